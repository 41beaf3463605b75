"""Whether a client may post to a connection at all: its address and its certificate, before anything is read.

Both are asked beside the signature and never instead of it. Must fail closed: an address that is not known is in no
network, and a certificate that no trusted proxy vouches for is none.
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from webhooks.inbound.ports import Client, SenderRules

_V4_SHOWN, _V6_SHOWN = 24, 48
UNKNOWN_SOURCE = "unknown"


class Admission(msgspec.Struct, frozen=True):
    """`refusal` empty: let in, from `network` and with `certificate` where these are asked for."""

    refusal: str = ""
    network: str = ""
    certificate: str = ""


def admit(rules: SenderRules, client: Client) -> Admission:
    network = certificate = ""
    if rules.networks:
        found = _network_of(client.address, rules.networks)
        if found is None:
            return Admission("address outside the allowed networks")
        network = found
    if rules.certificate_sha256 or rules.certificate_subject:
        shown = client.certificate
        if shown is None:
            return Admission("no client certificate that a trusted proxy vouches for")
        if rules.certificate_sha256 and shown.sha256 not in rules.certificate_sha256:
            return Admission("another client certificate")
        if rules.certificate_subject and shown.subject != rules.certificate_subject:
            return Admission("client certificate of another subject")
        certificate = shown.sha256 or shown.subject
    return Admission(network=network, certificate=certificate)


@lru_cache(maxsize=4096)
def mask_address(address: str) -> str:
    """The network around an address, for counts: enough to see where forgeries come from, and nobody's own address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return UNKNOWN_SOURCE
    shown = _V4_SHOWN if parsed.version == 4 else _V6_SHOWN
    return str(ipaddress.ip_network((parsed, shown), strict=False))


def _network_of(address: str, networks: Sequence[str]) -> str | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return next((one for one in networks if parsed in _parsed(one)), None)


@lru_cache(maxsize=1024)
def _parsed(network: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(network)
