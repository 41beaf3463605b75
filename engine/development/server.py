"""All development services in one process: mail, text messages, identity, authority. On loopback only.

They have no authentication, and a page shows every link and code: MUST never be reachable from elsewhere, and
refuse production.
"""

import asyncio
import contextlib
import json
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from aiohttp import web

from config.errors import ConfigError
from config.settings import Mode
from engine.development.authority import authority_app
from engine.development.identity_sandbox import identity_app
from engine.development.mail_sink import MailSink, mail_app, smtp_protocol
from engine.development.pages import render_page
from engine.development.sms_sandbox import ACCOUNT, FROM_NUMBER, TOKEN, TextBox, sms_app

logger = logging.getLogger("countersign.development")
_HOST = "127.0.0.1"


class Service(msgspec.Struct, frozen=True):
    """`has_page`: whether there is something to look at under the path itself."""

    path: str
    title: str
    meaning: str
    has_page: bool = True


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """`url` is the process's; the services are under it by the paths of SERVICES."""

    url: str
    smtp_port: int
    services: dict[str, str]

    def ready_line(self) -> str:
        credentials = {"sms_account": ACCOUNT, "sms_token": TOKEN, "sms_from_number": FROM_NUMBER}
        told = {"url": self.url, "smtp_port": self.smtp_port, "services": self.services}
        return json.dumps({**told, "credentials": credentials})


SERVICES = (
    Service("/mail", "Mail", "Every mail that was sent, as its reader sees it."),
    Service("/sms", "Text messages", "Every text message, among them codes."),
    Service(
        "/identity", "Identity check", "A check of identity where you choose the verdict.", has_page=False
    ),
    Service("/authority", "Authority", "Certificates, time stamps and revocation for development."),
)


@asynccontextmanager
async def open_services(folder: Path, port: int, smtp_port: int, mode: Mode) -> AsyncIterator[Running]:
    """Ports of 0 are chosen. Raises ConfigError in production and for a port that is taken."""
    if mode is Mode.PRODUCTION:
        raise ConfigError("the development services must not run in production mode.")
    async with contextlib.AsyncExitStack() as stack:
        http_socket, smtp_socket = _bind(port), _bind(smtp_port)
        url = f"http://{_HOST}:{http_socket.getsockname()[1]}"
        sink = MailSink()
        loop = asyncio.get_running_loop()
        smtp = await loop.create_server(lambda: smtp_protocol(sink), sock=smtp_socket)
        stack.push_async_callback(smtp.wait_closed)
        stack.callback(smtp.close)
        runner = web.AppRunner(_application(folder, url, sink), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, http_socket).start()
        yield Running(
            url=url,
            smtp_port=smtp_socket.getsockname()[1],
            services={one.path[1:]: url + one.path for one in SERVICES},
        )


async def serve(folder: Path, port: int, smtp_port: int, mode: Mode) -> None:
    """Prints one line of JSON when ready, and runs until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for which in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(which, stop.set)
    async with open_services(folder, port, smtp_port, mode) as running:
        print(running.ready_line(), flush=True)  # noqa: T201  (the ready line is this process's answer)
        await stop.wait()


def _application(folder: Path, url: str, sink: MailSink) -> web.Application:
    app = web.Application()
    app.router.add_get("/", _index)
    app.add_subapp("/mail", mail_app(sink))
    app.add_subapp("/sms", sms_app(TextBox()))
    app.add_subapp("/identity", identity_app())
    app.add_subapp("/authority", authority_app(folder / "authority", f"{url}/authority"))
    return app


async def _index(_: web.Request) -> web.Response:
    return render_page("index.html", title="Development services", services=SERVICES)


def _bind(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((_HOST, port))
    except OSError as error:
        made.close()
        raise ConfigError(f"port {port} is taken by another program.") from error
    return made
