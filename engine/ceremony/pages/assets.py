"""The pages' own files: under which address, with which bytes, and for how long a browser may keep them.

An address carries a digest of all files, so it never stands for other bytes and may be kept for ever, and style and
scripts find each other by plain relative names. A page of another release that is still open gets today's file,
which it must not keep.
MUST read nothing but what lies in static/: the name comes from the address.
"""

import gzip
import hashlib
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import msgspec

from engine.ceremony.pages.colours import is_colour, shades_of

_STATIC = Path(__file__).with_name("static")
PREFIX: Final = "/sign/static"
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_FIRST = "no-cache"
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
    ".pfb": "application/octet-stream",
    ".bcmap": "application/octet-stream",
}
# Compressing what is compressed already costs time for nothing.
_COMPRESSED = frozenset({".css", ".js", ".mjs", ".svg", ".ttf"})


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """`gzipped` is empty where compression does not pay."""

    body: bytes
    gzipped: bytes
    media_type: str
    cache_control: str
    etag: str


def address_of(name: str) -> str:
    """The address of a file by its name inside static/ ("ceremony.js", "vendor/pdfjs/pdf.min.mjs")."""
    return f"{PREFIX}/{_digest()}/{name}"


def address_of_theme(accent: str, ink: str) -> str:
    """The style sheet of a tenant's two colours: both are in its name, so it needs no look-up."""
    return f"{PREFIX}/theme/{accent[1:]}-{ink[1:]}.css"


def find_asset(name: str) -> Asset | None:
    """What stands under PREFIX/<name>; None for what is not there."""
    first, _, rest = name.partition("/")
    if first == "theme":
        return _theme(rest)
    if rest not in _files():
        return None
    asset = _file(rest)
    # Kept once whatever digest was asked for: the address is anybody's to choose.
    return asset if first == _digest() else msgspec.structs.replace(asset, cache_control=_ASK_FIRST)


@cache
def _file(name: str) -> Asset:
    path = _files()[name]
    return _asset(path.read_bytes(), path.suffix)


@lru_cache(maxsize=256)
def _theme(name: str) -> Asset | None:
    accent, _, ink = name.removesuffix(".css").partition("-")
    if not (name.endswith(".css") and is_colour(f"#{accent}") and is_colour(f"#{ink}")):
        return None
    shades = msgspec.structs.asdict(shades_of(f"#{accent}", f"#{ink}"))
    lines = "".join(f"  --{name}: {value};\n" for name, value in shades.items())
    return _asset(f":root {{\n{lines}}}\n".encode(), ".css")


def _asset(body: bytes, suffix: str) -> Asset:
    return Asset(
        body=body,
        gzipped=gzip.compress(body, 9, mtime=0) if suffix in _COMPRESSED else b"",
        media_type=_TYPES[suffix],
        cache_control=_FOR_EVER,
        etag=f'"{hashlib.sha256(body).hexdigest()[:20]}"',
    )


@cache
def _files() -> dict[str, Path]:
    """What may be served, by name: only kinds of files that a page asks for, so no licence and no manifest."""
    return {
        path.relative_to(_STATIC).as_posix(): path
        for path in sorted(_STATIC.rglob("*"))
        if path.suffix in _TYPES and path.is_file()
    }


@cache
def _digest() -> str:
    digest = hashlib.sha256()
    for name, path in _files().items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
