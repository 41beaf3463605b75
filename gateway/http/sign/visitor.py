"""Who is at the other end, as far as the connection and its headers say."""

from typing import Any

from litestar import Request

from config.logging import request_id
from engine.envelopes.visitor import MOST_AGENT, MOST_FORWARDED, Visitor
from gateway.http.client_address import client_address
from gateway.services import Services


def read_visitor(request: Request[Any, Any, Any], services: Services) -> Visitor:
    """The address is the connection's, or what a trusted proxy of ours says of it; never what a browser claims."""
    return Visitor(
        ip_address=client_address(request.scope, services.settings.http.trusted_proxies),
        user_agent=request.headers.get("user-agent", "")[:MOST_AGENT],
        forwarded_for=request.headers.get("x-forwarded-for", "")[:MOST_FORWARDED],
        request_id=request_id.get() or "",
    )
