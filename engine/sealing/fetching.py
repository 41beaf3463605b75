"""Fetches what certificates point to (OCSP, CRL, issuers) from public servers only, and never much of it.

The addresses stand in certificates that tenants import and in files that strangers upload: they must not lead into
the installation's own network. The last look is at the address that is really connected to, whatever a name said
before. No redirect is followed, no proxy of the environment used. Loopback only by the development's allow-list.
"""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from pyhanko_certvalidator.fetchers.aiohttp_fetchers import AIOHttpFetcherBackend
from pyhanko_certvalidator.fetchers.api import FetchLimits

from config.public_addresses import why_refused

FETCH_S = 10
MOST_BYTES = 20 * 1024 * 1024  # the largest lists of revoked certificates have some ten million bytes
_PORTS = frozenset({80, 443})
_LIMITS = FetchLimits(max_requests=60, max_cert_requests=10, max_aia_urls_per_object=3)


class FetchRefused(OSError):
    """An OSError, so that the client gives the connection up in order."""


@asynccontextmanager
async def open_fetcher(loopback: Sequence[str], timeout_s: float = FETCH_S) -> AsyncIterator[Any]:
    """PyHanko's fetcher backend, for one use in the running loop. `loopback`: host:port or host:* of this machine."""

    def make_socket(info: tuple[Any, ...]) -> socket.socket:
        address, port = str(info[4][0]), int(info[4][1])
        if not _is_listed(loopback, address, port):
            reason = why_refused(address)
            if reason is not None or port not in _PORTS:
                raise FetchRefused(f"{address}:{port} is not asked ({reason or 'not a port of the web'})")
        made = socket.socket(info[0], info[1], info[2])
        made.setblocking(False)
        return made

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=make_socket, use_dns_cache=False, limit=8),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        middlewares=(_stay_there,),
        response_class=_Bounded,
    ) as session:
        yield AIOHttpFetcherBackend(session, per_request_timeout=max(1, int(timeout_s)), limits=_LIMITS)


class _Bounded(aiohttp.ClientResponse):
    """Reads no more than what such an answer may have, whatever its header says."""

    async def read(self) -> bytes:
        if self._body is None:
            content = bytearray()
            async for chunk in self.content.iter_any():
                content += chunk
                if len(content) > MOST_BYTES:
                    self.close()
                    raise aiohttp.ClientPayloadError(f"the answer has more than {MOST_BYTES} bytes")
            self._body = bytes(content)
        return self._body


async def _stay_there(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise aiohttp.ClientError("the answer leads elsewhere")
    return response


def _is_listed(loopback: Sequence[str], address: str, port: int) -> bool:
    if not (address == "::1" or address.startswith("127.")):
        return False
    names = (f"[{address}]" if ":" in address else address, "localhost")
    return any(f"{name}:{allowed}" in loopback for name in names for allowed in (port, "*"))
