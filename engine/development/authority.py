"""The development authority over HTTP: timestamps, certificate status, revocation lists, and a page that says so.

Loopback only is the caller's business; nothing that it answers has any legal effect. Must never run in
production.
"""

import asyncio
from pathlib import Path

from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from config.settings import Mode
from engine.development.authority_keys import LABEL, Authority, open_authority
from engine.development.authority_status import answer_status, list_revoked
from engine.development.authority_timestamps import answer_timestamp

_LARGEST_QUERY = 16_384
_AUTHORITY = web.AppKey("authority", Authority)
_PAGE = f"""<!doctype html><html lang="en"><title>{LABEL}</title><h1>{LABEL}</h1>
<p>Certificates and timestamps from here prove nothing to anybody: they let development run as production does.</p>
<ul><li><a href="root.pem">root certificate</a><li><a href="chain.pem">root and issuing certificate</a>
<li><a href="issuing.crl">revocation list</a><li>timestamps: POST tsa<li>certificate status: POST ocsp</ul></html>"""


def authority_app(
    folder: Path, base_url: str | None = None, *, mode: Mode = Mode.DEVELOPMENT
) -> web.Application:
    """`base_url` is where this application will be reached: it stands in the certificates that it issues.

    Raises ConfigError in production.
    """
    app = web.Application(client_max_size=_LARGEST_QUERY)
    app[_AUTHORITY] = open_authority(folder, base_url, mode=mode)
    app.router.add_post("/tsa", _timestamp)
    app.router.add_post("/ocsp", _status)
    app.router.add_get("/issuing.crl", _revoked_leaves)
    app.router.add_get("/root.crl", _revoked_authorities)
    app.router.add_get("/issuing.der", _issuing)
    app.router.add_get("/root.pem", _root)
    app.router.add_get("/chain.pem", _chain)
    app.router.add_get("/", _page)
    return app


async def _timestamp(request: web.Request) -> web.Response:
    if request.content_type != "application/timestamp-query":
        raise web.HTTPUnsupportedMediaType(text="send application/timestamp-query")
    query = await request.read()
    # The serial's reservation waits for the disk now and then.
    answer = await asyncio.to_thread(answer_timestamp, request.app[_AUTHORITY], query)
    return web.Response(body=answer, content_type="application/timestamp-reply")


async def _status(request: web.Request) -> web.Response:
    answer = await asyncio.to_thread(answer_status, request.app[_AUTHORITY], await request.read())
    return web.Response(body=answer, content_type="application/ocsp-response")


async def _revoked_leaves(request: web.Request) -> web.Response:
    authority = request.app[_AUTHORITY]
    body = list_revoked(authority.issuing, authority.revoked())
    return web.Response(body=body, content_type="application/pkix-crl")


async def _revoked_authorities(request: web.Request) -> web.Response:
    return web.Response(
        body=list_revoked(request.app[_AUTHORITY].root, {}), content_type="application/pkix-crl"
    )


async def _issuing(request: web.Request) -> web.Response:
    body = request.app[_AUTHORITY].issuing.certificate.public_bytes(Encoding.DER)
    return web.Response(body=body, content_type="application/pkix-cert")


async def _root(request: web.Request) -> web.Response:
    body = request.app[_AUTHORITY].root.certificate.public_bytes(Encoding.PEM)
    return web.Response(body=body, content_type="application/x-pem-file")


async def _chain(request: web.Request) -> web.Response:
    authority = request.app[_AUTHORITY]
    body = b"".join(one.certificate.public_bytes(Encoding.PEM) for one in (authority.root, authority.issuing))
    return web.Response(body=body, content_type="application/x-pem-file")


async def _page(_: web.Request) -> web.Response:
    return web.Response(text=_PAGE, content_type="text/html")
