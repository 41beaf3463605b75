"""Real servers on loopback that behave as they are told: SMTP, and a carrier of text messages."""

import asyncio
import base64
import datetime as dt
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import IPv4Address
from pathlib import Path

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class MailServer:
    """`replies` overrides what RCPT, DATA or MAIL are answered; `cut`: the connection ends inside DATA."""

    replies: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    hang: bool = False
    port: int = 0
    received: list[EmailMessage] = field(default_factory=list)
    connections: int = 0
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802  (aiosmtpd's name)
        if self.hang:
            await asyncio.Event().wait()
        reply = self.replies.get("MAIL", "250 OK")
        if reply.startswith("250"):
            envelope.mail_from = address
        return reply

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802  (aiosmtpd's name)
        reply = self.replies.get("RCPT", "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  (aiosmtpd's name)
        if self.cut:
            server.transport.abort()
            return "250 never heard"
        reply = self.replies.get("DATA", "250 kept")
        if reply.startswith("250"):
            self.received.append(message_from_bytes(envelope.content, policy=policy.default))
        return reply

    def authenticate(self, server, session, envelope, mechanism, credentials):
        self.logins.append((credentials.login, credentials.password))
        return AuthResult(success=credentials.password == b"right", handled=False)


@asynccontextmanager
async def mail_server(told: MailServer | None = None, **options) -> AsyncIterator[MailServer]:
    told = told or MailServer()
    loop = asyncio.get_running_loop()
    protocols = []

    def factory() -> SMTP:
        told.connections += 1
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # AUTH without TLS, on purpose
            protocols.append(SMTP(told, enable_SMTPUTF8=False, loop=loop, **options))
        return protocols[-1]

    server = await loop.create_server(factory, "127.0.0.1", told.port)
    told.port = server.sockets[0].getsockname()[1]
    try:
        yield told
    finally:
        server.close()
        for protocol in protocols:
            if protocol.transport is not None:
                protocol.transport.abort()
            if protocol._handler_coroutine is not None:
                protocol._handler_coroutine.cancel()
        await server.wait_closed()
        await asyncio.sleep(0)


@dataclass
class SmsServer:
    """`answer`: (status, JSON). `hang`: no answer at all."""

    answer: tuple[int, dict] = (201, {"sid": "SM1"})
    hang: bool = False
    url: str = ""
    received: list[dict] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        if self.hang:
            await asyncio.Event().wait()
        user, _, password = base64.b64decode(request.headers["authorization"][6:]).decode().partition(":")
        form = dict(await request.post())
        self.received.append({"path": request.path, "user": user, "password": password, **form})
        status, content = self.answer
        return web.json_response(content, status=status)


@asynccontextmanager
async def sms_server(told: SmsServer | None = None) -> AsyncIterator[SmsServer]:
    told = told or SmsServer()
    app = web.Application()
    app.router.add_post("/2010-04-01/Accounts/{account}/Messages.json", told.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    told.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield told
    finally:
        await runner.cleanup()


def make_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail of the tests")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "mail.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context
