"""Where a request comes from: the connection's peer, or what our own proxies say of it.

Must never believe a header that no trusted proxy has written: anybody can send X-Forwarded-For.
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from litestar.types import Scope

_LONGEST = 50
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(scope: Scope, trusted_proxies: Sequence[str]) -> str:
    """The right-most hop that no trusted proxy of ours wrote; "" when the server does not know its peer.

    A hop that is no address was written by nobody we trust to write one: what came before it counts.
    """
    client = scope.get("client")
    peer = client[0] if client else ""
    address = _parse(peer)
    if address is None:
        return peer[:_LONGEST]
    networks = _networks(tuple(trusted_proxies))
    for hop in reversed(_forwarded(scope)):
        if not _is_trusted(address, networks):
            break
        told = _parse(hop)
        if told is None:
            break
        address = told
    return str(address)


def is_trusted_peer(scope: Scope, trusted_proxies: Sequence[str]) -> bool:
    """Whether the connection itself comes from a proxy of ours: only then may its headers be believed."""
    client = scope.get("client")
    address = _parse(client[0]) if client else None
    return address is not None and _is_trusted(address, _networks(tuple(trusted_proxies)))


def _forwarded(scope: Scope) -> list[str]:
    """Every hop of every header, in order: a proxy may add a line of its own."""
    values = [
        value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"
    ]
    return ",".join(values).split(",") if values else []


def _parse(text: str) -> _Address | None:
    """Without brackets, port and zone; IPv4 in IPv6 as IPv4: one form for one address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_trusted(address: _Address, networks: tuple[_Network, ...]) -> bool:
    return any(address in network for network in networks)


@lru_cache(maxsize=16)
def _networks(trusted_proxies: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(proxy) for proxy in trusted_proxies)
