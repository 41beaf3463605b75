"""Sends one webhook over HTTP: one aiohttp session per process, connections kept and re-used.

Follows no redirect, no proxy of the environment, no cookie; decompresses nothing; reads a bounded part of the
answer; one deadline covers the whole exchange, name look-up and a dripping answer included. A failed attempt
is a value, not an exception. Must never be called with a database transaction open, nor with an unvetted URL.
"""

import contextlib
import ssl
import time
from collections.abc import Mapping
from typing import cast

import aiohttp
import msgspec
from aiohttp.connector import SocketFactoryType
from yarl import URL

from config.database import assert_no_open_transaction
from webhooks.outbound.guard import AddressRefused, Guard, GuardedResolver

USER_AGENT = "Countersign-Webhooks/1"
_LONGEST_ERROR = 300
_IDLE_S = 30.0


class Answer(msgspec.Struct, frozen=True):
    """How one attempt ended. `status` None: no complete answer, and `error` says why. `slow`: time ran out
    or no connection came about, so more of the same at once would only bind slots.
    """

    duration_ms: int
    status: int | None = None
    error: str = ""
    body: bytes = b""
    retry_after: str | None = None
    instruction: str = ""
    slow: bool = False


class WebhookClient:
    def __init__(
        self,
        guard: Guard,
        *,
        response_bytes: int,
        connect_timeout_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`tls` adds trust anchors (a private authority, or a test's); certificates are always verified."""
        self._guard = guard
        self._response_bytes = response_bytes
        self._connect_timeout_s = connect_timeout_s
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(self._guard),
            # What was vetted may be used for a moment; a new look-up is vetted again.
            use_dns_cache=True,
            ttl_dns_cache=10,
            # The pump bounds what is under way, per endpoint and in all; idle connections end by themselves.
            limit=0,
            limit_per_host=0,
            keepalive_timeout=_IDLE_S,
            ssl=self._tls or True,
            socket_factory=cast(SocketFactoryType, self._guard.make_socket),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(
        self,
        url: URL,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> Answer:
        """Never raises for what a receiver or the network does. `tls`: a context of the receiver's own, whose
        connections are shared with nobody else's.
        """
        session = self._session
        if session is None:
            raise RuntimeError("the client is not open")
        assert_no_open_transaction()
        started = time.perf_counter()
        try:
            async with session.post(
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout(timeout_s),
                ssl=True if tls is None else tls,
            ) as response:
                kept = await self._read_part(response)
                return Answer(
                    duration_ms=milliseconds_since(started),
                    status=response.status,
                    error=_name_refusal(response.status),
                    body=kept,
                    retry_after=response.headers.get("Retry-After"),
                    instruction=response.headers.get("webhook-delivery", "").strip().lower(),
                )
        except aiohttp.ConnectionTimeoutError:
            return Answer(milliseconds_since(started), error="no connection in time", slow=True)
        except TimeoutError:
            return Answer(milliseconds_since(started), error=f"no answer within {timeout_s:g} s", slow=True)
        except aiohttp.ClientConnectorError as error:
            return Answer(milliseconds_since(started), error=_name_connect(error), slow=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # ValueError: aiohttp's parser and URL code raise it for some malformed answers.
            return Answer(milliseconds_since(started), error=shorten(f"the exchange broke: {_name(error)}"))

    def _timeout(self, timeout_s: float) -> aiohttp.ClientTimeout:
        """`total` covers the look-up, the connection, the request and the whole answer."""
        known = self._timeouts.get(timeout_s)
        if known is None:
            known = aiohttp.ClientTimeout(total=timeout_s, sock_connect=self._connect_timeout_s)
            self._timeouts[timeout_s] = known
        return known

    async def _read_part(self, response: aiohttp.ClientResponse) -> bytes:
        """Up to the cap; a longer answer costs its sender the connection. A body that breaks off after its
        status line is still an answer: the status was said.
        """
        parts: list[bytes] = []
        size = 0
        with contextlib.suppress(aiohttp.ClientPayloadError, aiohttp.ClientConnectionError):
            while size < self._response_bytes:
                part = await response.content.read(self._response_bytes - size)
                if not part:
                    return b"".join(parts)
                parts.append(part)
                size += len(part)
        response.close()
        return b"".join(parts)


def milliseconds_since(started: float) -> int:
    return int((time.perf_counter() - started) * 1000)


def _name_refusal(status: int) -> str:
    """Empty for a success."""
    if status < 300:
        return ""
    return f"answered {status}" + ("; redirects are not followed" if status < 400 else "")


def _name_connect(error: aiohttp.ClientConnectorError) -> str:
    cause = error.os_error
    if isinstance(cause, AddressRefused):
        return shorten(str(cause))
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name cannot be resolved"
    if isinstance(error, aiohttp.ClientSSLError):
        return shorten(f"TLS failed: {cause}")
    return shorten(f"no connection: {cause.strerror or cause}")


def _name(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def shorten(text: str) -> str:
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean[:_LONGEST_ERROR]
