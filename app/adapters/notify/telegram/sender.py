"""`sendMessage` of the Bot API (spec §8.1): HTML, and plain text where HTML does not get through."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final
from urllib.parse import quote, urlsplit

from app.adapters.notify.errors import NotifyError, Refused, Unreachable
from app.adapters.notify.message import Message
from app.adapters.notify.telegram.settings import TelegramSettings

SECONDS: Final = 15.0
LIMIT: Final = 4096
CUT: Final = "... [truncated]"
MAX_ANSWER: Final = 65536


class TelegramSender:
    """Writes to one chat."""

    def __init__(self, settings: TelegramSettings, *, seconds: float = SECONDS) -> None:
        self._settings = settings
        self._seconds = seconds

    async def send(self, message: Message) -> str:
        """See `Sender`. Too long for HTML, or HTML that Telegram cannot read: sent as plain text."""
        if message.html and units(message.html) <= LIMIT:
            status, answer = await self._call({"text": message.html, "parse_mode": "HTML"})
            if not (status == 400 and "can't parse entities" in _description(answer).lower()):
                return self._settled(status, answer)
        return self._settled(*await self._call({"text": fitting(message.text)}))

    async def _call(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        from app.adapters._httpx import httpx, trust_store

        settings = self._settings
        host = urlsplit(settings.api_url).hostname or "Telegram"
        url = f"{settings.api_url}/bot{quote(settings.token, safe=':')}/sendMessage"
        content = {"chat_id": settings.chat_id, "disable_web_page_preview": True, **body}
        try:
            async with asyncio.timeout(self._seconds):
                context = await asyncio.to_thread(trust_store)
                async with (
                    httpx.AsyncClient(verify=context, timeout=self._seconds, follow_redirects=False) as client,
                    client.stream("POST", url, json=content) as answer,
                ):
                    return answer.status_code, await _read(answer.aiter_bytes())
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Unreachable(f"{host} did not answer in time") from error
        except httpx.TransportError as error:
            raise Unreachable(f"{host} cannot be reached", hint="Check the way from Dockrev to Telegram.") from error
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise Refused("the bot token cannot be used", hint="Store the token as @BotFather shows it.") from error

    def _settled(self, status: int, answer: dict[str, Any]) -> str:
        if 200 <= status < 300 and answer.get("ok", True) is not False:
            return ""
        raise refusal(status, _description(answer), (answer.get("parameters") or {}).get("retry_after"))


def refusal(status: int, description: str, retry_after: Any = None) -> NotifyError:
    """An answer of the Bot API that is not a success, with what to do about it."""
    said = f"Telegram answered {status}{f' ({description})' if description else ''}"
    if status == 429 or status >= 500:
        wait = float(retry_after) if isinstance(retry_after, int | float) and 0 < retry_after < 86400 else None
        return Unreachable(said, retry_after=wait)
    hints = {
        400: "Check the chat id; a group's begins with -100.",
        401: "The bot token is not valid (any more).",
        403: "The bot may not write there: open the chat and start the bot, or add it to the group.",
        404: "The bot token is not valid (any more).",
    }
    return Refused(said, hint=hints.get(status, ""))


async def _read(chunks: Any) -> dict[str, Any]:
    body = b""
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_ANSWER:
            return {}
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _description(answer: dict[str, Any]) -> str:
    return " ".join(str(answer.get("description", "")).split())[:200]


def units(text: str) -> int:
    """Length as Telegram counts: UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def fitting(text: str) -> str:
    """The text, cut to what one message may hold."""
    if units(text) <= LIMIT:
        return text
    kept = text.encode("utf-16-le")[: 2 * (LIMIT - len(CUT))].decode("utf-16-le", "ignore")
    return kept + CUT
