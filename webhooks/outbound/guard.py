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

import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from config.public_addresses import Network, why_refused
from normalizer.errors import Finding, ValidationFailed

ALLOWED_PORTS = frozenset({443, 8443})
LONGEST_URL = 2048
LOOKUP_TIMEOUT_S = 5.0
_THREADS = 32
_SLOW_THREADS = 4
_HUNG_S = 600.0
_MOST_HUNG = 10_000

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_AUTHORITY = re.compile(r"[a-z]+://([^/?#]*)", re.IGNORECASE)
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
_LOCAL_ZONES = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home.arpa", "onion")

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]


class UrlRule(msgspec.Struct, frozen=True):
    """What a kind of receiver's URL looks like. `plain` passes on the development allow-list only."""

    secure: str
    plain: str
    port: int
    ports: frozenset[int]
    example: str

    @property
    def usable_ports(self) -> str:
        return " or ".join(str(port) for port in sorted(self.ports))


HTTPS = UrlRule("https", "http", 443, ALLOWED_PORTS, "https://host/path")
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
        self._threads = ThreadPoolExecutor(_THREADS, "webhook-dns") if lookup is None else None
        # And few for names that hung lately: one tenant has names enough to take all the others.
        self._slow_threads = ThreadPoolExecutor(_SLOW_THREADS, "webhook-slow-dns") if lookup is None else None
        self._hung: dict[str, float] = {}  # until when a name counts as one that hangs
        self._lookup = lookup or self._look_up_in_thread

    def close(self) -> None:
        for threads in (self._threads, self._slow_threads):
            if threads is not None:
                threads.shutdown(wait=False, cancel_futures=True)

    def vet_url(self, text: str, rule: UrlRule = HTTPS, *, pointer: str = "/url") -> URL:
        """The URL as it will be requested, with its port. Raises ValidationFailed, which points to `pointer`,
        with what is wrong and what to do.
        """
        url, host, port = _read_url(text, rule, pointer)
        if self._is_listed(host, port):
            return url
        if url.scheme != rule.secure:
            raise _refuse(f"only {rule.secure} URLs are allowed", f"Use {rule.secure}://.", pointer)
        if port not in rule.ports:
            raise _refuse(f"port {port} is not allowed", f"Use port {rule.usable_ports}.", pointer)
        return url.with_host(_vet_name(host, pointer))

    async def vet_name(self, url: URL, *, pointer: str = "/url") -> None:
        """Resolves the host now, for an early answer at registration; delivery resolves and vets again.

        Raises ValidationFailed when an answer is forbidden. A name that does not resolve yet is accepted.
        """
        host, port = url.raw_host or "", url.port or 0
        if self._is_listed(host, port):
            return
        try:
            await self.resolve(host, port)
        except AddressRefused as error:
            raise _refuse(str(error), "Use a host whose addresses are all public.", pointer) from error
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
        loop = asyncio.get_running_loop()
        has_begun = False

        def look_up() -> list[AddrInfo]:
            nonlocal has_begun
            has_begun = True
            return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))

        hangs = self._hung.get(host, 0.0) > loop.time()
        try:
            found = await loop.run_in_executor(self._slow_threads if hangs else self._threads, look_up)
        except asyncio.CancelledError:
            if has_begun:  # one that only waited for a thread has done nothing
                self._remember_hung(host, loop.time())
            raise
        self._hung.pop(host, None)
        return list(dict.fromkeys(str(info[4][0]) for info in found))

    def _remember_hung(self, host: str, now: float) -> None:
        if len(self._hung) >= _MOST_HUNG:
            self._hung = {name: until for name, until in self._hung.items() if until > now}
        if len(self._hung) < _MOST_HUNG:
            self._hung[host] = now + _HUNG_S


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


def _read_url(text: str, rule: UrlRule, pointer: str) -> tuple[URL, str, int]:
    """The URL, its host and its port, read by the parser that also sends it."""
    if len(text) > LONGEST_URL:
        raise _refuse(f"the URL is longer than {LONGEST_URL} characters", "Use a shorter URL.", pointer)
    if any(letter <= " " or letter in {"\x7f", "\\"} for letter in text):
        raise _refuse(
            "the URL contains a space, control character or backslash", "Percent-encode it.", pointer
        )
    try:
        url = URL(text)
        host = url.raw_host
        if url.port is None and url.scheme in {rule.secure, rule.plain} and host:
            url = url.with_port(rule.port)
        port = url.port or 0
    except (ValueError, UnicodeError) as error:
        raise _refuse("this is not a URL", f"Use {rule.example}.", pointer) from error
    if not host or url.scheme not in {rule.secure, rule.plain}:
        raise _refuse(f"only {rule.secure} URLs can receive webhooks", f"Use {rule.example}.", pointer)
    authority = _AUTHORITY.match(text)
    if authority is None or "@" in authority[1]:
        raise _refuse("the URL contains a user name or password", "Give it apart, never in the URL.", pointer)
    if not authority[1].rpartition(":")[2].isascii() and ":" in authority[1]:
        raise _refuse("the port is not written in plain digits", f"Use port {rule.usable_ports}.", pointer)
    if "#" in text:
        raise _refuse("the URL has a fragment, which is never sent", "Remove what follows '#'.", pointer)
    return url, host, port


def _vet_name(host: str, pointer: str) -> str:
    """The DNS name, which yarl has brought into ASCII. Every spelling of an address counts as an address."""
    if ":" in host or host.startswith("["):
        raise _refuse("the host is an IP address", "Use a DNS name.", pointer)
    name = host.lower().removesuffix(".")
    labels = name.split(".")
    if _NUMBER.match(labels[-1]):
        # Resolvers read 2130706433, 0x7f000001, 0177.0.0.1 and 127.1 as addresses.
        raise _refuse("the host is an IP address", "Use a DNS name.", pointer)
    if len(name) > 253 or not all(_LABEL.match(label) for label in labels):
        raise _refuse("the host is not a DNS name", "Use a DNS name.", pointer)
    if len(labels) < 2 or any(name == zone or name.endswith("." + zone) for zone in _LOCAL_ZONES):
        raise _refuse("the host is a name of a local network", "Use a public DNS name.", pointer)
    return name


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def _refuse(problem: str, remedy: str, pointer: str) -> ValidationFailed:
    return ValidationFailed(
        f"This URL cannot receive webhooks: {problem}.",
        (Finding(pointer, problem, remedy),),
        code="url_refused",
    )
