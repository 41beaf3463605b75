"""A stand-in for an identity provider: a page where one passes or fails by choosing to. It checks nobody.

Speaks what engine/ceremony/identity_client.py asks for. Must never run in production.
"""

import html
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from config.errors import ConfigError
from config.settings import Mode

WARNING = "DEVELOPMENT IDENTITY CHECK: NOBODY IS CHECKED HERE"
_LARGEST_BODY = 16_384


@dataclass
class _Check:
    reference: str
    name: str
    return_url: str
    status: str = "pending"


_CHECKS = web.AppKey("checks", dict[str, _Check])
_KEY = web.AppKey("key", str)


def identity_app(key: str = "", *, mode: Mode = Mode.DEVELOPMENT) -> web.Application:
    """`key`: the bearer key that callers must send; empty: none. Raises ConfigError in production."""
    if mode is Mode.PRODUCTION:
        raise ConfigError("the development identity check must not run in production")
    app = web.Application(client_max_size=_LARGEST_BODY)
    app[_CHECKS] = {}
    app[_KEY] = key
    app.router.add_post("/checks", _start)
    app.router.add_get("/checks/{ref}", _tell)
    app.router.add_get("/verify/{ref}", _page)
    app.router.add_post("/verify/{ref}", _choose)
    return app


async def _start(request: web.Request) -> web.Response:
    _authorize(request)
    body = await request.json()
    return_url = str(body["return_url"])
    if urlsplit(return_url).scheme not in {"http", "https"}:
        raise web.HTTPUnprocessableEntity(text="return_url is no web address")
    ref = f"chk_{secrets.token_hex(12)}"
    request.app[_CHECKS][ref] = _Check(str(body["reference"]), str(body["name"]), return_url)
    mounted = request.path.removesuffix("/checks")  # "" unless it is part of another application
    url = str(request.url.with_path(f"{mounted}/verify/{ref}").with_query(None))
    return web.json_response({"id": ref, "url": url}, status=201)


async def _tell(request: web.Request) -> web.Response:
    _authorize(request)
    ref, check = _find(request)
    return web.json_response({"id": ref, "reference": check.reference, "status": check.status})


async def _page(request: web.Request) -> web.Response:
    _, check = _find(request)
    name = html.escape(check.name)
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{WARNING}</title><h1>{WARNING}</h1>'
        f"<p>Is it really {name}?</p>"
        '<form method="post"><button name="verdict" value="passed">It is</button> '
        '<button name="verdict" value="failed">It is not</button></form></html>'
    )
    return web.Response(text=text, content_type="text/html", headers=_headers(check))


async def _choose(request: web.Request) -> web.Response:
    _, check = _find(request)
    verdict = str((await request.post()).get("verdict", ""))
    if verdict not in {"passed", "failed"}:
        raise web.HTTPUnprocessableEntity(text="choose one of the two")
    if check.status == "pending":
        check.status = verdict
    return web.Response(status=303, headers={"location": check.return_url, **_headers(check)})


def _headers(check: _Check) -> dict[str, str]:
    # Browsers hold a form's redirect to form-action too: the page that it leads back to is named.
    back = urlsplit(check.return_url)
    policy = f"default-src 'none'; form-action 'self' {back.scheme}://{back.netloc}; frame-ancestors 'none'"
    return {
        "cache-control": "no-store",
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
    }


def _find(request: web.Request) -> tuple[str, _Check]:
    ref = request.match_info["ref"]
    check = request.app[_CHECKS].get(ref)
    if check is None:
        raise web.HTTPNotFound
    return ref, check


def _authorize(request: web.Request) -> None:
    wanted = f"Bearer {request.app[_KEY]}"
    given = request.headers.get("authorization", "")
    if request.app[_KEY] and not secrets.compare_digest(given.encode(), wanted.encode()):
        raise web.HTTPUnauthorized
