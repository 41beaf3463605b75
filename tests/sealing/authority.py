"""A development authority over HTTP for the tests, on a thread of its own, and the tools that use it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding

from config.clock import Clock, SystemClock
from config.settings_sealing import SealLevel
from engine.development.authority import authority_app
from engine.development.authority_keys import Authority, open_authority
from engine.sealing.sealer import OwnStamps
from engine.sealing.signer import LocalKey
from engine.sealing.signing import SealTools
from engine.sealing.timestamps import Timestamps
from engine.sealing.typefaces import typefaces


@contextmanager
def served(make: Callable[[str], web.Application]) -> Iterator[str]:
    """The application's address while the block runs. `make` is told the address first."""
    ready, stop = threading.Event(), asyncio.Event()
    where: list[str] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        sock = __import__("socket").create_server(("127.0.0.1", 0))
        where.append(f"http://127.0.0.1:{sock.getsockname()[1]}")
        runner = web.AppRunner(make(where[0]))
        await runner.setup()
        await web.SockSite(runner, sock).start()
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield where[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


@contextmanager
def served_authority(folder: Path) -> Iterator[tuple[str, Authority]]:
    with served(lambda url: authority_app(folder, url)) as url:
        yield url, open_authority(folder)


def root_of(authority: Authority) -> Any:
    return asn1_x509.Certificate.load(authority.root.certificate.public_bytes(Encoding.DER))


def local_tools(
    authority: Authority, *, level: SealLevel = SealLevel.B_T, clock: Clock | None = None
) -> SealTools:
    """Stamps without HTTP."""
    stamps = Timestamps([OwnStamps(authority)], clock or SystemClock(), rest_s=60, roots=[root_of(authority)])
    return SealTools(faces=typefaces(), timestamps=stamps, level=level, loopback=("127.0.0.1:*",))


def seal_key(authority: Authority) -> LocalKey:
    issuers = (authority.issuing.certificate, authority.root.certificate)
    return LocalKey(authority.seal.certificate, issuers, authority.seal.key)
