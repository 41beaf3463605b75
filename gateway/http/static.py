"""Pages' own files over HTTP. They belong to nobody, tell nothing, and need no key and no session."""

from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from engine.ceremony.pages import assets
from engine.ceremony.pages.served_files import Asset
from gateway.console import assets as console
from gateway.http.open_routes import OPEN


@get(f"{assets.PREFIX}/{{name:path}}", sync_to_thread=False, **OPEN)
def page_file(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """One file of engine/ceremony/pages/static."""
    return _answer(request, assets.find_asset(name.lstrip("/")))


@get(f"{console.PREFIX}/{{name:path}}", sync_to_thread=False, **OPEN)
def console_file(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """One file of gateway/console/static."""
    return _answer(request, console.find_asset(name.lstrip("/")))


def _answer(request: Request[Any, Any, Any], asset: Asset | None) -> Response[bytes]:
    """Compressed for whoever takes it so."""
    if asset is None:
        raise NotFoundException
    headers = {
        "cache-control": asset.cache_control,
        "etag": asset.etag,
        "vary": "accept-encoding",
        # A page that another site frames still loads its own files; another site's scripts may not read them.
        "cross-origin-resource-policy": "same-origin",
    }
    if request.headers.get("if-none-match") == asset.etag:
        return Response(b"", status_code=304, headers=headers)
    if asset.gzipped and "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(asset.gzipped, media_type=asset.media_type, headers=headers)
    return Response(asset.body, media_type=asset.media_type, headers=headers)
