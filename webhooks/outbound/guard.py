"""Keeps webhooks from reaching anything but public https servers (server-side request forgery).

The URL is vetted by the parser that also sends it. A name is resolved when a connection is made, EVERY answer
must be public unicast, and the connection goes to an address of that answer: a name that changes its answer
between check and use gains nothing. A second check sits where the socket is made. Connections are re-used as
they are vetted; a new one is vetted anew. Must never follow a redirect or a proxy of the environment.
One development allow-list (host:port or host:* of this machine) lets loopback and plain http pass.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from normalizer.errors import Finding, ValidationFailed
from webhooks.outbound.addresses import Network, why_refused

ALLOWED_PORTS = frozenset({443, 8443})
LONGEST_URL = 2048
LOOKUP_TIMEOUT_S = 5.0

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_AUTHORITY = re.compile(r"[a-z]+://([^/?#]*)", re.IGNORECASE)
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
_LOCAL_ZONES = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home.arpa", "onion")

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
AddrInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]]


class AddressRefused(OSError):
    """The guard forbids the address; an OSError, so that the client gives the connection up in order."""


class Guard:
    """`loopback` is the development allow-list, empty in production; `own_networks` are refused too."""

    def __init__(
        self,
        loopback: Sequence[str] = (),
        *,
        own_networks: Sequence[Network] = (),
        lookup: Lookup | None = None,
    ) -> None:
        self._loopback = frozenset(loopback)
        self._own_networks = tuple(own_networks)
        # Threads of its own: a name server that hangs for one tenant must not take the loop's few threads.
        self._threads = ThreadPoolExecutor(32, "webhook-dns") if lookup is None else None
        self._lookup = lookup or self._look_up_in_thread

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def vet_url(self, text: str) -> URL:
        """The URL as it will be requested. Raises ValidationFailed with what is wrong and what to do."""
        if len(text) > LONGEST_URL:
            raise _refuse(f"the URL is longer than {LONGEST_URL} characters", "Use a shorter URL.")
        if any(letter <= " " or letter in {"\x7f", "\\"} for letter in text):
            raise _refuse("the URL contains a space, control character or backslash", "Percent-encode it.")
        try:
            url = URL(text)
            host, port = url.raw_host, url.port
        except (ValueError, UnicodeError) as error:
            raise _refuse("this is not a URL", "Use https://host/path.") from error
        if not host or url.scheme not in {"https", "http"}:
            raise _refuse("only https URLs can receive webhooks", "Use https://host/path.")
        authority = _AUTHORITY.match(text)
        if authority is None or "@" in authority[1]:
            raise _refuse("the URL contains a user name or password", "Put a token into path or query.")
        if not authority[1].rpartition(":")[2].isascii() and ":" in authority[1]:
            raise _refuse("the port is not written in plain digits", "Use port 443 or 8443.")
        if "#" in text:
            raise _refuse("the URL has a fragment, which is never sent", "Remove what follows '#'.")
        if self._is_listed(host, port):
            return url
        if url.scheme != "https":
            raise _refuse("only https URLs can receive webhooks", "Use https://.")
        if port not in ALLOWED_PORTS:
            raise _refuse(f"port {port} is not allowed", "Use port 443 or 8443.")
        return url.with_host(_vet_name(host))

    async def vet_name(self, url: URL) -> None:
        """Resolves the host now, for an early answer at registration; delivery resolves and vets again.

        Raises ValidationFailed when an answer is forbidden. A name that does not resolve yet is accepted.
        """
        host, port = url.raw_host or "", url.port or 0
        if self._is_listed(host, port):
            return
        try:
            await self.resolve(host, port)
        except AddressRefused as error:
            raise _refuse(str(error), "Use a host whose addresses are all public.") from error
        except OSError:
            return

    async def resolve(self, host: str, port: int) -> list[str]:
        """Vetted addresses of a host. Raises AddressRefused when ANY answer is forbidden."""
        async with asyncio.timeout(LOOKUP_TIMEOUT_S):
            answers = await self._lookup(host, port)
        if not answers:
            raise OSError(f"{host} has no address")
        if not self._is_listed(host, port):
            for answer in answers:
                self._refuse_address(answer, host)
        return list(answers)

    def make_socket(self, info: AddrInfo) -> socket.socket:
        """The connector's socket factory: the last look at the address that is really connected to."""
        address, port = str(info[4][0]), info[4][1]
        if not (isinstance(port, int) and self._is_listed(address, port)):
            self._refuse_address(address, address)
        made = socket.socket(info[0], info[1], info[2])
        made.setblocking(False)
        return made

    def _refuse_address(self, address: str, host: str) -> None:
        reason = why_refused(address, self._own_networks)
        if reason is not None:
            raise AddressRefused(f"{host} leads to {address}, which is not public ({reason})")

    def _is_listed(self, host: str, port: int | None) -> bool:
        if not self._loopback:
            return False
        for name in (host, f"[{host}]", "localhost") if _is_loopback(host) else (host,):
            if f"{name}:{port}" in self._loopback or f"{name}:*" in self._loopback:
                return True
        return False

    async def _look_up_in_thread(self, host: str, port: int) -> list[str]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(info[4][0]) for info in found))


class GuardedResolver(AbstractResolver):
    """aiohttp's resolver, whose every answer has passed the guard. Literal addresses never come here: the
    client goes past the resolver with them, so `vet_url` refuses them before.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            addresses = await self._guard.resolve(host, port)
        except TimeoutError as error:
            raise OSError(f"looking {host} up took longer than {LOOKUP_TIMEOUT_S:.0f} s") from error
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
            if family in {socket.AF_UNSPEC, socket.AF_INET6 if ":" in address else socket.AF_INET}
        ]

    async def close(self) -> None:
        """Nothing to close: the guard outlives its resolvers."""


def _vet_name(host: str) -> str:
    """The DNS name, which yarl has brought into ASCII. Every spelling of an address counts as an address."""
    if ":" in host or host.startswith("["):
        raise _refuse("the host is an IP address", "Use a DNS name.")
    name = host.lower().removesuffix(".")
    labels = name.split(".")
    if _NUMBER.match(labels[-1]):
        # Resolvers read 2130706433, 0x7f000001, 0177.0.0.1 and 127.1 as addresses.
        raise _refuse("the host is an IP address", "Use a DNS name.")
    if len(name) > 253 or not all(_LABEL.match(label) for label in labels):
        raise _refuse("the host is not a DNS name", "Use a DNS name.")
    if len(labels) < 2 or any(name == zone or name.endswith("." + zone) for zone in _LOCAL_ZONES):
        raise _refuse("the host is a name of a local network", "Use a public DNS name.")
    return name


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def _refuse(problem: str, remedy: str) -> ValidationFailed:
    return ValidationFailed(
        f"This URL cannot receive webhooks: {problem}.",
        (Finding("/url", problem, remedy),),
        code="url_refused",
    )
