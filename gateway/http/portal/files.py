"""The consoles' own files over HTTP. They belong to nobody, tell nothing, and need no key and no session."""

from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from gateway.console.assets import PREFIX, find_asset


@get(f"{PREFIX}/{{name:path}}", opt={"open": True}, include_in_schema=False, sync_to_thread=False)
def console_file(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """One file of gateway/console/static, compressed for whoever takes it so."""
    asset = find_asset(name.lstrip("/"))
    if asset is None:
        raise NotFoundException
    headers = {
        "cache-control": asset.cache_control,
        "etag": asset.etag,
        "vary": "accept-encoding",
        "cross-origin-resource-policy": "same-origin",
    }
    if request.headers.get("if-none-match") == asset.etag:
        return Response(b"", status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(asset.gzipped, media_type=asset.media_type, headers=headers)
    return Response(asset.body, media_type=asset.media_type, headers=headers)
