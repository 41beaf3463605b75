"""Answers of the portal: a page, and the headers that all of them bear.

No page runs anything that is not its own file, none is kept, indexed or framed, except an embedded session's by the
origins that its link was made with. Must never set a cookie that a script can read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Response

from gateway.console.access import SESSION_LONGEST
from gateway.console.render import render
from gateway.http.sign.answers import origin_of, plain_headers
from gateway.services import Services

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
)


def portal_page(
    services: Services,
    page: Any,
    *,
    status: int = 200,
    origins: Sequence[str] = (),
    return_url: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response[str]:
    """`origins` may frame it; a form may lead to `return_url`'s origin besides ours."""
    return Response(
        render(page, services.clock.now()),
        status_code=status,
        media_type="text/html; charset=utf-8",
        headers={**_page_headers(origins, return_url), **(headers or {})},
    )


def cookie_name(services: Services, handle: str) -> str:
    return f"__Host-portal-{handle}" if _is_https(services) else f"portal-{handle}"


def set_cookie(services: Services, handle: str, secret: str, *, framed: bool) -> str:
    """The header's value; an empty secret takes the cookie back. In a frame of another site a browser keeps it for
    that site alone (CHIPS).
    """
    seconds = int(SESSION_LONGEST.total_seconds()) if secret else 0
    attributes = f"{cookie_name(services, handle)}={secret}; Max-Age={seconds}; Path=/; HttpOnly"
    if not _is_https(services):
        return f"{attributes}; SameSite=Lax"
    return f"{attributes}; Secure; " + ("SameSite=None; Partitioned" if framed else "SameSite=Lax")


def _page_headers(origins: Sequence[str], return_url: str) -> dict[str, str]:
    targets = ("'self'", origin_of(return_url)) if return_url else ("'self'",)
    policy = (
        *_POLICY,
        f"form-action {' '.join(targets)}",
        "frame-ancestors " + (" ".join(origins) if origins else "'none'"),
    )
    headers = {**plain_headers(), "content-security-policy": "; ".join(policy)}
    if not origins:
        headers["x-frame-options"] = "DENY"
    return headers


def _is_https(services: Services) -> bool:
    return services.settings.countersign.public_base_url.startswith("https://")
