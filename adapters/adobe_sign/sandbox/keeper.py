"""Keeps the world between runs: one JSON snapshot and one file per blob, or memory alone.

It must never leave a half-written snapshot: a new one is written beside the old one and renamed over it.
"""

import hashlib
import os
from pathlib import Path

import msgspec

from adapters.adobe_sign.sandbox.world import World


class StateUnreadableError(RuntimeError):
    """The state folder holds something that this sandbox did not write or cannot read."""


class Keeper:
    """Loads and saves the world; blobs are addressed by their SHA-256."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._blobs: dict[str, bytes] = {}
        if folder is not None:
            (folder / "files").mkdir(parents=True, exist_ok=True)

    def load(self) -> World:
        if self._folder is None:
            return World()
        snapshot = self._folder / "state.json"
        if not snapshot.exists():
            return World()
        try:
            return msgspec.json.decode(snapshot.read_bytes(), type=World)
        except msgspec.DecodeError as error:
            raise StateUnreadableError(f"{snapshot} cannot be read: {error}") from error

    def save(self, world: World) -> None:
        if self._folder is None:
            return
        fresh = self._folder / "state.json.new"
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(world))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._folder / "state.json")

    def put_blob(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        if self._folder is None:
            self._blobs[name] = content
            return name
        path = self._folder / "files" / name
        if not path.exists():
            fresh = path.with_suffix(".new")
            fresh.write_bytes(content)
            fresh.replace(path)
        return name

    def get_blob(self, name: str) -> bytes:
        if self._folder is None:
            return self._blobs[name]
        return (self._folder / "files" / name).read_bytes()
