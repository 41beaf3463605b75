"""The consoles' own files: under which address, with which bytes, and for how long a browser may keep them.

An address carries a digest of all files, so it never stands for other bytes and may be kept for ever.
MUST read nothing but what lies in static/: the name comes from the address.
"""

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

_STATIC = Path(__file__).with_name("static")
PREFIX: Final = "/console/static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    body: bytes
    gzipped: bytes
    media_type: str
    cache_control: str
    etag: str


def address_of(name: str) -> str:
    """The address of a file by its name in static/. Raises KeyError for one that is not there."""
    return f"{PREFIX}/{_digest()}/{_files()[name].name}"


def find_asset(name: str) -> Asset | None:
    """What stands under PREFIX/<digest>/<file>; None for what is not there."""
    digest, _, rest = name.partition("/")
    if rest not in _files():
        return None
    asset = _file(rest)
    # A page of another release that is still open gets today's file, which it must not keep.
    return asset if digest == _digest() else msgspec.structs.replace(asset, cache_control="no-cache")


@cache
def _file(name: str) -> Asset:
    path = _files()[name]
    body = path.read_bytes()
    return Asset(
        body=body,
        gzipped=gzip.compress(body, 9, mtime=0),
        media_type=_TYPES[path.suffix],
        cache_control="public, max-age=31536000, immutable",
        etag=f'"{hashlib.sha256(body).hexdigest()[:20]}"',
    )


@cache
def _files() -> dict[str, Path]:
    return {path.name: path for path in sorted(_STATIC.iterdir()) if path.suffix in _TYPES}


@cache
def _digest() -> str:
    digest = hashlib.sha256()
    for name, path in _files().items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
