"""Hands a message to a mail server (spec §8.1): plain text and HTML, to several recipients."""

from __future__ import annotations

import asyncio
import ssl
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from app.adapters._trust import trust_store
from app.adapters.notify.email.settings import EXAMPLE, SmtpSettings
from app.adapters.notify.errors import NotConfigured, NotifyError, Refused, Unreachable
from app.adapters.notify.message import Message
from app.core.clock import utc_now

if TYPE_CHECKING:
    import aiosmtplib

SECONDS: Final = 30.0
PREFIX: Final = "[dockrev] "


class EmailSender:
    """Sends by one SMTP address."""

    def __init__(self, settings: SmtpSettings, *, seconds: float = SECONDS) -> None:
        self._settings = settings
        self._seconds = seconds

    async def send(self, message: Message) -> str:
        """See `Sender`. A remark names recipients that were refused while others were accepted."""
        if not self._settings.recipients:
            raise NotConfigured("no recipient is set", hint=f"Add to=… to the SMTP address, like {EXAMPLE}")
        import aiosmtplib  # 1 MB and 60 ms that most processes never need

        host = self._settings.host
        try:
            async with asyncio.timeout(self._seconds):
                return await self._deliver(compose(self._settings, message))
        except NotifyError:
            raise
        except (TimeoutError, aiosmtplib.SMTPTimeoutError) as error:
            raise Unreachable(f"{host} did not answer in time", hint="Check host and port of the address.") from error
        except ssl.SSLError as error:
            raise _untrusted(host) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise explain(error, host) from error

    async def _deliver(self, mail: EmailMessage) -> str:
        import aiosmtplib

        settings = self._settings
        context = await asyncio.to_thread(_context, settings.verify)
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            timeout=self._seconds,
            use_tls=settings.implicit_tls,
            start_tls=False,
            tls_context=context,
        )
        await client.connect()
        try:
            await self._secure(client)
            if settings.user is not None:
                await client.login(settings.user, settings.password or "")
            refused, _ = await client.send_message(
                mail, sender=parseaddr(settings.sender)[1], recipients=[parseaddr(to)[1] for to in settings.recipients]
            )
        finally:
            client.close()
        return "; ".join(f"{address} was refused: {_said(answer)}" for address, answer in refused.items())

    async def _secure(self, client: aiosmtplib.SMTP) -> None:
        """STARTTLS where wanted; never a password over a line that others can read, unless the owner said so."""
        settings = self._settings
        await client.ehlo()
        secured = settings.implicit_tls
        if not secured and settings.tls != "off":
            if client.supports_extension("starttls"):
                await client.starttls()
                secured = True
            elif settings.tls == "required":
                raise Refused(
                    f"{settings.host} offers no STARTTLS", hint="Use smtps:// or drop tls=required from the address."
                )
        if settings.user and not secured and settings.tls != "off" and not _is_loopback(settings.host):
            raise Refused(
                f"{settings.host} offers no encryption, so the password was not sent",
                hint="Use smtps://, or add tls=off to the address if the network between is trusted.",
            )


def compose(settings: SmtpSettings, message: Message) -> EmailMessage:
    """The mail. The Message-ID is the same each time a message is sent, so that a repetition can be told."""
    mail = EmailMessage()
    mail["Subject"] = PREFIX + " ".join(message.title.split())[:200]
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.recipients)
    mail["Date"] = format_datetime(utc_now())
    domain = parseaddr(settings.sender)[1].rpartition("@")[2] or "localhost"
    mail["Message-ID"] = f"<{message.id}.dockrev@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    if message.html:
        mail.add_alternative(message.html, subtype="html")
    return mail


def explain(error: BaseException, host: str) -> NotifyError:
    """What the library raised, as one of ours: an answer of 500 and more is final, everything else may pass."""
    import aiosmtplib

    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = [each.code for each in error.recipients]
        text = "; ".join(f"{each.recipient}: {_said((each.code, each.message))}" for each in error.recipients[:5])
        return _answered(f"{host} refused every recipient: {text}", min(codes, default=550), "Check to=… .")
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        hint = "Check user and password in the SMTP address; some providers want an app password."
        return _answered(f"{host} refused the login: {_said((error.code, error.message))}", error.code, hint)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _answered(f"{host} answered {_said((error.code, error.message))}", error.code, "")
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return Refused(f"{host} does not offer what the address asks for: {str(error)[:200]}")
    if "certificate" in str(error).lower():
        return _untrusted(host)
    return Unreachable(f"{host} cannot be reached", hint="Check host and port of the SMTP address.")


def _answered(text: str, code: int, hint: str) -> NotifyError:
    return Refused(text, hint=hint) if code >= 500 else Unreachable(text, hint=hint)


def _untrusted(host: str) -> Refused:
    hint = "Add its authority to the system's trust store, or add verify=no to the SMTP address."
    return Refused(f"no trusted TLS connection with {host}", hint=hint)


def _said(answer: Any) -> str:
    code, text = answer
    return f"{code} {' '.join(str(text).split())[:200]}"


def _context(verify: bool) -> ssl.SSLContext:
    context = trust_store()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
