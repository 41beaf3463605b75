"""Which addresses a provider's requests may go to: the adapter's own hosts, over TLS.

Must never let a provider's answer, a stored base URL or a tenant's setting lead a request with credentials
somewhere else. Loopback without TLS is for development and only where the connection allows it.
"""

import ipaddress
from functools import lru_cache

import httpx

from adapters.kit.port import Adapter, Connection


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


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
