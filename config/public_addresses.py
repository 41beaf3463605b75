"""Which IP addresses a request to an address that somebody else gave may go to: public unicast ones, and no others.

Python's `is_global` is not used: it says yes to NAT64, 6to4 and multicast addresses, and its answers change
between patch releases. Must never let an address pass because a part of it is public: every IPv4 address that
an IPv6 address carries is vetted too.
Source: IANA special-purpose address registries (RFC 6890 and successors); RFC 6052, 3056, 5214.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

_V4 = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier-grade NAT"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "a cloud's own service"),
    ("169.254.0.0/16", "link-local and cloud metadata"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "anycast sink"),
    ("192.52.193.0/24", "multicast tunnelling"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "anycast sink"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/3", "multicast and reserved"),
)
_V6 = (
    ("2001::/23", "protocol assignments and Teredo"),
    ("2001:db8::/32", "documentation"),
    ("2620:4f:8000::/48", "anycast sink"),
    ("3fff::/20", "documentation"),
)
_DENIED_V4 = tuple((IPv4Network(text), reason) for text, reason in _V4)
_DENIED_V6 = tuple((IPv6Network(text), reason) for text, reason in _V6)
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")
_ISATAP = {0x0000_5EFE, 0x0200_5EFE}


def why_refused(address: str, own_networks: Sequence[Network] = ()) -> str | None:
    """The reason why nothing may be sent to this address, or None when it is public unicast.

    `own_networks` are the deployment's own public ranges.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return "not an IP address"
    if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
        return "an address with a zone"
    for network in own_networks:
        if parsed.version == network.version and parsed in network:
            return "the deployment's own network"
    if isinstance(parsed, IPv4Address):
        return _refuse_v4(parsed, own_networks)
    return _refuse_v6(parsed, own_networks)


def _refuse_v4(address: IPv4Address, own_networks: Sequence[Network]) -> str | None:
    for network, reason in _DENIED_V4:
        if address in network:
            return reason
    for own in own_networks:
        if isinstance(own, IPv4Network) and address in own:
            return "the deployment's own network"
    return None


def _refuse_v6(address: IPv6Address, own_networks: Sequence[Network]) -> str | None:
    mapped = address.ipv4_mapped
    if mapped is not None:
        return _refuse_v4(mapped, own_networks)
    # Outside of 2000::/3 nothing is public unicast but the well-known NAT64 prefix.
    if address not in _UNICAST and address not in _NAT64:
        return "not public unicast"
    for network, reason in _DENIED_V6:
        if address in network:
            return reason
    for carried in _carried(address):
        reason_v4 = _refuse_v4(carried, own_networks)
        if reason_v4 is not None:
            return f"carries {carried}: {reason_v4}"
    return None


def _carried(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that a translator or tunnel would take out of this IPv6 address."""
    number = int(address)
    low = number & 0xFFFF_FFFF
    if address in _NAT64:
        yield IPv4Address(low)
    if address in _6TO4:
        yield IPv4Address((number >> 80) & 0xFFFF_FFFF)
    if (number >> 32) & 0xFFFF_FFFF in _ISATAP:
        yield IPv4Address(low)


def read_networks(entries: Sequence[str]) -> tuple[Network, ...]:
    """Parses a deployment's own ranges; raises ValueError for one that is no network."""
    return tuple(ip_network(entry) for entry in entries)
