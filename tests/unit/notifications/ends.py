"""Real ends for what Dockrev sends: a mail server, an HTTP server, a push service that can read what it gets."""

from __future__ import annotations

import base64
import datetime as dt
import json
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import http_ece
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import NameOID


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """The inverse of `b64`."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Seen:
    """One request an HTTP end got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


Answer = tuple[int, dict[str, Any] | bytes]


class HttpEnd:
    """An HTTP server on loopback, a context manager. `answers` come first, then `by_path` and `default`."""

    def __init__(self, default: Answer = (200, {"ok": True})) -> None:
        self.seen: list[Seen] = []
        self.answers: list[Answer | Callable[[], Answer]] = []
        self.by_path: dict[str, Answer] = {}
        self.default: Answer | Callable[[], Answer] = default
        self._arrived = threading.Condition()
        end = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, content = end.arrive(Seen("POST", self.path, headers, body))
                raw = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                if status in (301, 302, 307):
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                with suppress(BrokenPipeError, ConnectionResetError):  # whoever asked may be dead
                    self.end_headers()
                    self.wfile.write(raw)

            def log_message(self, format: str, *args: Any) -> None:
                """Not a line on stderr for each request of a test."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def arrive(self, seen: Seen) -> Answer:
        """Note a request; what to answer."""
        with self._arrived:
            self.seen.append(seen)
            answer = self.answers.pop(0) if self.answers else self.by_path.get(seen.path, self.default)
            self._arrived.notify_all()
        return answer() if callable(answer) else answer

    def wait_for(self, count: int, seconds: float = 10) -> list[Seen]:
        """Requests, once there are so many. Blocking."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.seen) >= count, seconds), f"{len(self.seen)} of {count} came"
            return list(self.seen)

    def __enter__(self) -> HttpEnd:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class Phone:
    """A device: keys of its own, and what its push service got for it."""

    def __init__(self, end: HttpEnd, name: str = "phone") -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        self._auth = b"0123456789abcdef"
        self._end = end
        self.path = f"/push/{name}"
        self.endpoint = end.url + self.path

    @property
    def subscription(self) -> dict[str, Any]:
        """What a browser would give."""
        point = self._private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return {"endpoint": self.endpoint, "keys": {"p256dh": b64(point), "auth": b64(self._auth)}}

    def pushes(self) -> list[Seen]:
        """Requests for this device."""
        return [seen for seen in self._end.seen if seen.path == self.path]

    def read(self, seen: Seen) -> dict[str, Any]:
        """Decrypt what came (RFC 8291)."""
        plain = http_ece.decrypt(seen.body, private_key=self._private, auth_secret=self._auth, version="aes128gcm")
        found: dict[str, Any] = json.loads(plain)
        return found


def vapid_claims(seen: Seen, public_key: str) -> dict[str, Any]:
    """The claims of a push's token, after its signature was found to be that of `public_key` (RFC 8292)."""
    scheme, _, rest = seen.headers["authorization"].partition(" ")
    assert scheme == "vapid"
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    assert parts["k"].rstrip("=") == public_key
    signed, _, signature = parts["t"].rpartition(".")
    raw = unb64(signature)
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64(public_key))
    both = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.verify(both, signed.encode(), ec.ECDSA(hashes.SHA256()))
    header, claims = (json.loads(unb64(part)) for part in signed.split("."))
    assert header["alg"] == "ES256"
    return cast("dict[str, Any]", claims)


@dataclass
class Mail:
    """One mail as the server got it."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    secured: bool


@dataclass
class _Inbox:
    """aiosmtpd's handler."""

    mails: list[Mail] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    data_answer: str = "250 taken"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.data_answer.startswith("250"):
            message = message_from_bytes(envelope.content, policy=policy.default)
            secured = server.transport.get_extra_info("ssl_object") is not None
            self.mails.append(Mail(envelope.mail_from, list(envelope.rcpt_tos), message, secured))
        return self.data_answer


class MailEnd:
    """A mail server on loopback. `tls` is none, starttls or implicit; with `password` a login is wanted."""

    def __init__(self, folder: Path, tls: str = "none", password: str | None = None) -> None:
        self.inbox = _Inbox()
        context = _context(folder) if tls != "none" else None

        def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
            good = isinstance(data, LoginPassword) and data.password.decode() == password
            return AuthResult(success=good, handled=False)

        options: dict[str, Any] = {"hostname": "127.0.0.1", "port": 0}
        if password is not None:
            options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": False}
        if tls == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        if tls == "implicit":
            options |= {"ssl_context": context}
        self._controller = _Loopback(self.inbox, **options)

    @property
    def mails(self) -> list[Mail]:
        """What came."""
        return self.inbox.mails

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._controller.bound_port()

    def __enter__(self) -> MailEnd:
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()


class _Loopback(Controller):
    """On a port the system chooses."""

    def bound_port(self) -> int:
        server: Any = self.server
        port: int = server.sockets[0].getsockname()[1]
        return port

    def _trigger_server(self) -> None:
        self.port = self.bound_port()
        super()._trigger_server()  # type: ignore[no-untyped-call]


def _context(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS with a certificate nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "end.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
