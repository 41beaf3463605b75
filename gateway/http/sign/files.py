"""A stored file as an answer: streamed, whole or one range of it, under a name that no header breaks on."""

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote
from uuid import UUID

from litestar import Request
from litestar.response import Stream

from engine.ceremony.downloads import Copy, open_copy
from engine.engine import Engine
from gateway.http.sign.answers import plain_headers

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_PLAIN = re.compile(r"[^A-Za-z0-9._ -]")


def read_range(request: Request[Any, Any, Any], size: int) -> tuple[int, int] | None:
    """First and last byte; None for the whole, also when the range is nonsense or there are several."""
    found = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if found is None or (not found[1] and not found[2]) or not size:
        return None
    if not found[1]:
        first, last = max(0, size - int(found[2])), size - 1
    else:
        first, last = int(found[1]), min(int(found[2]) if found[2] else size - 1, size - 1)
    return (first, last) if first <= last else None


def stream_copy(
    engine: Engine, tenant_id: UUID, copy: Copy, wanted: tuple[int, int] | None, content_disposition: str
) -> Stream:
    headers = {
        **plain_headers(),
        "content-disposition": content_disposition,
        "content-security-policy": "default-src 'none'; sandbox",
        "accept-ranges": "bytes",
        "etag": f'"{copy.sha256}"',
    }
    first, last = wanted or (0, copy.size_bytes - 1)
    headers["content-length"] = str(last - first + 1)
    if wanted is not None:
        headers["content-range"] = f"bytes {first}-{last}/{copy.size_bytes}"
    return Stream(
        _part(open_copy(engine, tenant_id, copy, first), last - first + 1),
        status_code=206 if wanted is not None else 200,
        media_type="application/pdf",
        headers=headers,
    )


def disposition(kind: str, name: str) -> str:
    """Both forms of the name: ASCII for old clients, RFC 5987 for the others."""
    name = name if name.lower().endswith(".pdf") else f"{name}.pdf"
    plain = _PLAIN.sub("_", name)[:100]
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name[:200], safe='')}"


async def _part(content: AsyncIterator[bytes], length: int) -> AsyncIterator[bytes]:
    async for chunk in content:
        if length <= 0:
            return
        yield chunk[:length]
        length -= len(chunk)
