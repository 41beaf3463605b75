"""Where a webhook may lead: https, port 443 or 8443, a public address; or a host of the named allow-list.

The allow-list is for development on this machine: its hosts may use http and any port.
"""

import asyncio
import ipaddress
import socket
from typing import NamedTuple
from urllib.parse import urlsplit


class BadAddress(NamedTuple):
    """Why an address is refused; `trigger` names a row of the refusal table."""

    trigger: str
    detail: str


async def find_fault_of_url(url: str, allowed_hosts: list[str]) -> BadAddress | None:
    """What is wrong with the URL, or None."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return BadAddress("wrong_port", f"The webhook URL is invalid: {error}")
    host = parts.hostname or ""
    if parts.username or parts.password:
        return BadAddress("credentials_in_url", "The webhook URL must not carry credentials")
    if host and host in allowed_hosts and parts.scheme in {"http", "https"}:
        return None
    if parts.scheme != "https" or not host:
        return BadAddress("http_url", "The webhook URL must be https")
    if port not in {None, 443, 8443}:
        return BadAddress("wrong_port", "The webhook URL must use port 443 or 8443")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
    except OSError:
        return BadAddress("unresolvable_host", "The host of the webhook URL is unknown")
    if not all(ipaddress.ip_address(address[4][0]).is_global for address in found):
        return BadAddress("private_address", "The webhook URL must lead to a public address")
    return None
