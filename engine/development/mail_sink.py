"""A mail server that keeps every mail and delivers none, with a page and a JSON list of what came.

Mails are shown as their reader would see them, in a frame that runs no script and is of no origin. Kept in memory,
the newest 500.
"""

import asyncio
import itertools
from collections import deque
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from typing import Any

import msgspec
from aiohttp import web
from aiosmtpd.smtp import SMTP

from engine.development.pages import render_page, secured

_MOST = 500
_LARGEST = 10 * 1024 * 1024
# The mail's own style attributes are let through; nothing else is loaded, and no script runs.
_FRAME_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups"


class KeptMail(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    received_at: datetime
    sender: str
    recipients: tuple[str, ...]
    subject: str
    message_id: str
    headers: dict[str, str]
    text: str
    html: str


class MailSink:
    """The handler of aiosmtpd's protocol, and what it kept."""

    def __init__(self) -> None:
        self._mails: deque[KeptMail] = deque(maxlen=_MOST)
        self._numbers = itertools.count(1)
        self._arrived = asyncio.Condition()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  (aiosmtpd's name)
        message = message_from_bytes(envelope.content, policy=modern)
        mail = _read(message, next(self._numbers), tuple(envelope.rcpt_tos))
        async with self._arrived:
            self._mails.append(mail)
            self._arrived.notify_all()
        return f"250 kept as number {mail.number}; it goes nowhere"

    def list_mails(self, to: str = "", after: int = 0) -> list[KeptMail]:
        """Newest first."""
        wanted = to.lower()
        return [
            mail
            for mail in reversed(self._mails)
            if mail.number > after and (not wanted or wanted in (one.lower() for one in mail.recipients))
        ]

    async def wait_for(self, to: str, after: int, seconds: float) -> list[KeptMail]:
        """As list_mails, as soon as there is one or the time is over."""
        async with self._arrived:
            try:
                async with asyncio.timeout(seconds):
                    await self._arrived.wait_for(lambda: bool(self.list_mails(to, after)))
            except TimeoutError:
                return []
            return self.list_mails(to, after)

    def find(self, number: int) -> KeptMail | None:
        return next((mail for mail in self._mails if mail.number == number), None)

    def clear(self) -> None:
        self._mails.clear()


_SINK = web.AppKey("sink", MailSink)


def smtp_protocol(sink: MailSink) -> SMTP:
    """One connection's protocol, for loop.create_server."""
    return SMTP(sink, data_size_limit=_LARGEST, enable_SMTPUTF8=True, ident="Countersign development mail")


def mail_app(sink: MailSink) -> web.Application:
    app = web.Application()
    app[_SINK] = sink
    app.router.add_get("/", _list)
    app.router.add_get("/{number:\\d+}", _show)
    app.router.add_get("/{number:\\d+}/html", _show_html)
    app.router.add_get("/api", _list_json)
    app.router.add_delete("/api", _clear)
    return app


async def _list(request: web.Request) -> web.Response:
    mails = request.app[_SINK].list_mails(request.query.get("to", ""))
    return render_page("mails.html", title="Mail", mails=mails, to=request.query.get("to", ""))


async def _show(request: web.Request) -> web.Response:
    return render_page("mail_view.html", title="Mail", mail=_found(request))


async def _show_html(request: web.Request) -> web.Response:
    # Its links open beside it: the frame is of no origin and may not leave for them.
    page = _found(request).html.replace("<head>", '<head><base target="_blank">', 1)
    answer = web.Response(text=page, content_type="text/html")
    answer.headers["Content-Security-Policy"] = f"{_FRAME_POLICY} allow-popups-to-escape-sandbox"
    return secured(answer)


async def _list_json(request: web.Request) -> web.Response:
    """`to`, `after` (a number), `wait_s` (at most 60): mails as JSON, newest first."""
    sink = request.app[_SINK]
    to, after = request.query.get("to", ""), int(request.query.get("after", "0"))
    wait_s = min(60.0, float(request.query.get("wait_s", "0")))
    mails = await sink.wait_for(to, after, wait_s) if wait_s else sink.list_mails(to, after)
    return secured(web.Response(body=msgspec.json.encode(mails), content_type="application/json"))


async def _clear(request: web.Request) -> web.Response:
    request.app[_SINK].clear()
    return web.Response(status=204)


def _found(request: web.Request) -> KeptMail:
    mail = request.app[_SINK].find(int(request.match_info["number"]))
    if mail is None:
        raise web.HTTPNotFound(text="There is no such mail; the newest 500 are kept.")
    return mail


def _read(message: EmailMessage, number: int, recipients: tuple[str, ...]) -> KeptMail:
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    return KeptMail(
        number=number,
        received_at=datetime.now(UTC),
        sender=str(message["From"] or ""),
        recipients=recipients,
        subject=str(message["Subject"] or ""),
        message_id=str(message["Message-ID"] or "").strip(),
        headers={name: str(value) for name, value in message.items()},
        text=str(plain.get_content()) if plain is not None else "",
        html=str(html.get_content()) if html is not None else "",
    )
