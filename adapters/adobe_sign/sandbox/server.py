"""Runs the sandbox in this process: finds the port, says when it is ready, stops cleanly on a signal."""

import asyncio
import contextlib
import signal
import socket
import sys
from pathlib import Path

import msgspec
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from adapters.adobe_sign.sandbox import options as defaults
from adapters.adobe_sign.sandbox.app import create_app
from adapters.adobe_sign.sandbox.box import Sandbox
from adapters.adobe_sign.sandbox.keeper import Keeper
from adapters.adobe_sign.sandbox.options import Options

_READY_WITHIN_S = 20.0


class PortTakenError(RuntimeError):
    """Another process listens on the wanted port."""


async def serve(options: Options, host: str, port: int, state_dir: Path | None) -> None:
    """Serve until SIGINT or SIGTERM; one JSON line on standard output says when requests are answered."""
    with _reserve_port(host, port) as holder:
        port = holder.getsockname()[1]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        box = Sandbox(options, Keeper(state_dir), url)
        server = Server(
            create_app(box),
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            websockets=False,
            log_enabled=False,
        )
        loop = asyncio.get_running_loop()

        def stop() -> None:
            # Before the server waits for requests in flight, those that are held by a fault are let go.
            box.stopping.set()
            server.stop()

        for signal_number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signal_number, stop)
        serving = asyncio.create_task(server.serve())
        await _wait_until_ready(host, port, serving)
    _announce(url)
    await serving


def _reserve_port(host: str, port: int) -> socket.socket:
    """A bound, silent socket that keeps the port until the server has it.

    The server shares its port (SO_REUSEPORT), so that an unasked share must be looked for here.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if port:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise PortTakenError(f"{host}:{port} cannot be used: {error.strerror}") from error
    holder = socket.socket(family)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind((host, port))
    return holder


async def _wait_until_ready(host: str, port: int, serving: asyncio.Task[None]) -> None:
    async with asyncio.timeout(_READY_WITHIN_S):
        while not serving.done():
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(b"GET /sandbox/health HTTP/1.0\r\nHost: sandbox\r\n\r\n")
                answer = await reader.read()
                writer.close()
                if b'"status":"ok"' in answer:
                    return
            await asyncio.sleep(0.02)
    await serving  # raises what went wrong


def _announce(url: str) -> None:
    line = {
        "name": "adobe-sign",
        "url": url,
        "credentials": {
            "client_id": defaults.CLIENT_ID,
            "client_secret": defaults.CLIENT_SECRET,
            "refresh_token": defaults.REFRESH_TOKEN,
            "api_access_point": f"{url}/",
        },
    }
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()
