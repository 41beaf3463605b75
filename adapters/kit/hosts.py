"""Which addresses a provider's requests may go to: the adapter's own hosts, over TLS.

Must never let a provider's answer, a stored base URL or a tenant's setting lead a request with credentials
somewhere else. Loopback without TLS is for development and only where the connection allows it.
"""

import ipaddress
import re
from functools import lru_cache

import httpx

from adapters.kit.port import Adapter, Connection

_PORTS = frozenset({None, 443, 8443})
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z", re.IGNORECASE)


class RequestRefused(Exception):
    """The request must not leave. The text names the host and the rule, never the path."""


def resolve_url(
    adapter: Adapter, connection: Connection, api_base: str, path: str, query: tuple[tuple[str, str], ...]
) -> httpx.URL:
    """The absolute URL of a request. Raises RequestRefused."""
    url = _parse(path if _is_absolute(path) else f"{api_base}{path}")
    is_loopback = connection.allow_loopback and _is_loopback(url.host)
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback):
        raise RequestRefused(f"{url.host or 'no host'}: only https goes to a provider")
    if url.userinfo:
        raise RequestRefused(f"{url.host}: a URL with a user name in it")
    if not is_loopback and _is_address(url.host):
        raise RequestRefused(f"{url.host} is an address; a provider has a name")
    if not is_loopback and url.port not in _PORTS:
        raise RequestRefused(f"{url.host}:{url.port}: a port that no provider uses")
    if not adapter.allowed_host(url.host, connection):
        raise RequestRefused(f"{url.host} is not a host of {adapter.title}")
    return url.copy_merge_params(query) if query else url


def check_headers(headers: list[tuple[str, str]]) -> None:
    """Raises RequestRefused for a header that could become two."""
    for name, value in headers:
        if "\r" in value or "\n" in value or "\0" in value:
            raise RequestRefused(f"the header {name} has a line break in it")


def _is_absolute(path: str) -> bool:
    return path.startswith(("https://", "http://"))


@lru_cache(maxsize=4096)
def _parse(text: str) -> httpx.URL:
    if "\\" in text or any(mark <= " " or mark == "\x7f" for mark in text):
        raise RequestRefused("a URL with a space, backslash or control character")
    if "/.." in text.partition("?")[0].lower().replace("%2e", "."):
        raise RequestRefused("a path that climbs out of its place")  # ids from a provider are untrusted text
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise RequestRefused("not a URL") from error
    if not url.host:
        raise RequestRefused("a URL without a host")
    return url


def _is_address(host: str) -> bool:
    """Whether a resolver would read it as an address: 2130706433, 0x7f.1 and 127.1 are some, beside the usual
    forms. An administrator may name a server of the provider's, and no address inside our own network.
    """
    return ":" in host or _NUMBER.match(host.rstrip(".").rpartition(".")[2]) is not None


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
