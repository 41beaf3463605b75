"""Document bytes by content hash: in memory, or in a folder when state is kept on disk."""

import hashlib
import os
from pathlib import Path


class Blobs:
    """Stores bytes once under their SHA-256."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._kept: dict[str, bytes] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def put(self, content: bytes) -> str:
        key = hashlib.sha256(content).hexdigest()
        if self._folder is None:
            self._kept[key] = content
        elif not (self._folder / key).exists():
            part = self._folder / f"{key}.part"
            part.write_bytes(content)
            os.replace(part, self._folder / key)
        return key

    def get(self, key: str) -> bytes:
        if self._folder is None:
            return self._kept[key]
        return (self._folder / key).read_bytes()
