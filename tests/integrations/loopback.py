"""Servers on loopback that keep what they are sent: HTTP, and SMTP with STARTTLS and a login."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Request:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpServer:
    """Answers each POST with ``status``; while ``hold`` isn't set, with nothing."""

    url: str = ""
    status: int = 200
    location: str | None = None
    answer: bytes = b""
    requests: list[Request] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)


@contextmanager
def http_server() -> Iterator[HttpServer]:
    """A server of HTTP on a free port."""
    found = HttpServer()
    found.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.requests.append(Request(self.path, headers, body))
            found.hold.wait(60)
            self.send_response(found.status)
            if found.location:
                self.send_header("Location", found.location)
            self.send_header("Content-Length", str(len(found.answer)))
            self.end_headers()
            self.wfile.write(found.answer)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that went away

    server = Server(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Letter:
    """A mail as it came, and over what."""

    sender: str
    to: list[str]
    message: EmailMessage
    was_secret: bool
    user: bytes | None


@dataclass
class MailServer:
    """Keeps letters. ``code`` is what it answers to each."""

    host: str
    port: int
    certificate: Path
    letters: list[Letter]
    code: str = "250 kept"


@contextmanager
def mail_server(folder: Path, *, tls: bool = False, login: tuple[str, str] | None = None) -> Iterator[MailServer]:
    """A mail server on a free port of 127.0.0.1 with a certificate of its own, which offers STARTTLS or begins in TLS.

    With ``login`` it takes mail from that user only, and logins over TLS only.
    """
    from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = make_certificate(folder)
    context.load_cert_chain(certificate)
    found = MailServer("127.0.0.1", 0, certificate, [])

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            message = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            user = session.auth_data.login if session.authenticated else None
            was_secret = tls or session.ssl is not None
            found.letters.append(Letter(envelope.mail_from, envelope.rcpt_tos, message, was_secret, user))
            return found.code

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert login is not None and isinstance(data, LoginPassword)
        is_right = (data.login.decode(), data.password.decode()) == login
        return AuthResult(success=is_right, handled=False, auth_data=data)

    options: dict[str, Any] = {}
    if login is not None:
        options = {"authenticator": authenticate, "auth_required": True, "auth_require_tls": not tls}
    if not tls:
        options["tls_context"] = context
    with event_loop() as loop:
        serving = loop.create_server(
            lambda: SMTP(Handler(), loop=loop, **options), found.host, 0, ssl=context if tls else None
        )
        server = asyncio.run_coroutine_threadsafe(serving, loop).result(30)
        found.port = server.sockets[0].getsockname()[1]
        yield found
        loop.call_soon_threadsafe(server.close)


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own; its tasks are ended before it is closed."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def end() -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def make_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, and its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file = folder / "certificate.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file
