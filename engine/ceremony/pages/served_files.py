"""Pages' own files: under which address, with which bytes, and for how long a browser may keep them.

An address carries a digest of all files, so it never stands for other bytes and may be kept for ever, and style and
scripts find each other by plain relative names. A page of another release that is still open gets today's file,
which it must not keep.
MUST read nothing but what lies in the folder: the name comes from the address.
"""

import gzip
import hashlib
from pathlib import Path

import msgspec

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


def make_asset(body: bytes, suffix: str) -> Asset:
    """What may be kept for ever. Raises KeyError for a kind of file that no page asks for."""
    return Asset(
        body=body,
        gzipped=gzip.compress(body, 9, mtime=0) if suffix in _COMPRESSED else b"",
        media_type=_TYPES[suffix],
        cache_control=_FOR_EVER,
        etag=f'"{hashlib.sha256(body).hexdigest()[:20]}"',
    )


class ServedFiles:
    """One folder's files under one prefix, read once each; which there are is looked up when the first is asked for."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix
        self._paths: dict[str, Path] = {}
        self._digest = ""
        self._read: dict[str, Asset] = {}

    def address_of(self, name: str) -> str:
        """By the name inside the folder ("ceremony.js", "vendor/pdfjs/pdf.min.mjs"). Raises KeyError for one that is
        not there.
        """
        self._look()
        if name not in self._paths:
            raise KeyError(name)
        return f"{self._prefix}/{self._digest}/{name}"

    def find(self, name: str) -> Asset | None:
        """What stands under <prefix>/<name>; None for what is not there."""
        self._look()
        digest, _, rest = name.partition("/")
        path = self._paths.get(rest)
        if path is None:
            return None
        asset = self._read.get(rest)
        if asset is None:
            asset = self._read[rest] = make_asset(path.read_bytes(), path.suffix)
        # Kept once whatever digest was asked for: the address is anybody's to choose.
        return asset if digest == self._digest else msgspec.structs.replace(asset, cache_control=_ASK_FIRST)

    def _look(self) -> None:
        """Only kinds of files that a page asks for may be served: no licence and no manifest."""
        if self._digest:
            return
        self._paths = {
            path.relative_to(self._folder).as_posix(): path
            for path in sorted(self._folder.rglob("*"))
            if path.suffix in _TYPES and path.is_file()
        }
        digest = hashlib.sha256()
        for name, path in self._paths.items():
            digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        self._digest = digest.hexdigest()[:16]
