"""Answers of the signing pages: a page, a redirect, JSON for a script, and the headers that all of them bear.

No page runs anything that is not its own file, none is kept, indexed or framed, except an embedded session's by
the origins that its link was made with. Must never set a cookie that a script can read.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Response

from engine.ceremony.render import AnyPage, render
from engine.ceremony.sessions import Session
from gateway.services import Services

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "worker-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
)


def page_answer(
    page: AnyPage,
    *,
    status: int = 200,
    session: Session | None = None,
    origins: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    form_targets: Sequence[str] = (),
) -> Response[str]:
    """`origins` may frame a page before its session; `form_targets`: origins besides our own to which a form of this
    page may lead.
    """
    return Response(
        render(page),
        status_code=status,
        media_type="text/html; charset=utf-8",
        headers={**page_headers(session, form_targets, origins), **(headers or {})},
    )


def json_answer(body: Any, *, status: int = 200) -> Response[bytes]:
    return Response(
        msgspec.json.encode(body), status_code=status, media_type="application/json", headers=plain_headers()
    )


def redirect(path: str, *, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """See other: what follows a form is a page of its own."""
    return Response(
        b"",
        status_code=303,
        media_type="text/plain",
        headers={**plain_headers(), "location": path, **(headers or {})},
    )


def plain_headers() -> dict[str, str]:
    return {
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-robots-tag": "noindex, nofollow",
        "x-content-type-options": "nosniff",
    }


def page_headers(
    session: Session | None, form_targets: Sequence[str] = (), origins: Sequence[str] = ()
) -> dict[str, str]:
    origins = session.origins if session is not None else origins
    policy = (
        *_POLICY,
        " ".join(("form-action 'self'", *form_targets)),
        "frame-ancestors " + (" ".join(origins) if origins else "'none'"),
    )
    headers = {**plain_headers(), "content-security-policy": "; ".join(policy)}
    if not origins:
        headers["x-frame-options"] = "DENY"
    return headers


def cookie_name(services: Services, handle: str) -> str:
    return f"__Host-sign-{handle}" if _is_https(services) else f"sign-{handle}"


def set_cookie(services: Services, handle: str, secret: str, *, framed: bool) -> str:
    """The header's value. In a frame of another site a browser keeps it for that site alone (CHIPS)."""
    seconds = int(services.settings.access.session_absolute_s)
    return (
        f"{cookie_name(services, handle)}={secret}; Max-Age={seconds}; {_attributes(services, framed=framed)}"
    )


def clear_cookie(services: Services, handle: str, *, framed: bool) -> str:
    return f"{cookie_name(services, handle)}=; Max-Age=0; {_attributes(services, framed=framed)}"


def origin_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _attributes(services: Services, *, framed: bool) -> str:
    if not _is_https(services):
        return "Path=/; HttpOnly; SameSite=Lax"
    if framed:
        return "Path=/; HttpOnly; Secure; SameSite=None; Partitioned"
    return "Path=/; HttpOnly; Secure; SameSite=Lax"


def _is_https(services: Services) -> bool:
    return services.settings.countersign.public_base_url.startswith("https://")
