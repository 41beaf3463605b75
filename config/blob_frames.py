"""The form of an encrypted object: head, then frames of 64 KiB under AES-256-GCM.

`CSB1`, data key's id, salt, then frames with a key of the object's own (HKDF of data key and salt); the nonce is
the frame's number and a last-frame flag, the additional data binds tenant and object key. So a frame that is
altered, moved, dropped or cut off is found. Source: STREAM, Hoang, Reyhanitabar, Rogaway and Vizár, 2015.
Must never give a frame that failed authentication.
"""

import hashlib
import secrets
from collections.abc import AsyncIterable, AsyncIterator
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.errors import BlobDamaged
from config.vault import DataKey

FRAME_BYTES: Final = 65_536
TAG_BYTES: Final = 16
_MAGIC = b"CSB1"
_SALT_BYTES = 32
HEAD_BYTES: Final = len(_MAGIC) + 16 + _SALT_BYTES


def make_head(data_key: DataKey) -> bytes:
    return _MAGIC + data_key.id.bytes + secrets.token_bytes(_SALT_BYTES)


def key_id_of(head: bytes) -> UUID:
    """Which data key closed the object. Raises BlobDamaged for what is no head."""
    if len(head) < HEAD_BYTES or head[: len(_MAGIC)] != _MAGIC:
        raise BlobDamaged("the object has no known form")
    return UUID(bytes=head[len(_MAGIC) : len(_MAGIC) + 16])


class _Frames:
    """Key, nonces and additional data of one object's frames, from the frame `first` on."""

    def __init__(self, data_key: bytes, tenant_id: UUID, key: str, head: bytes, first: int = 0) -> None:
        derived = HKDF(SHA256(), 32, salt=head[-_SALT_BYTES:], info=b"countersign blob v1").derive(data_key)
        self._cipher = AESGCM(derived)
        self._binding = f"{tenant_id}|{key}|".encode() + head
        self._number = first

    def next_nonce(self, *, is_last: bool) -> bytes:
        nonce = self._number.to_bytes(11, "big") + (b"\1" if is_last else b"\0")
        self._number += 1
        return nonce


class Opener(_Frames):
    def open_frame(self, frame: bytes, *, is_last: bool) -> bytes:
        try:
            return self._cipher.decrypt(self.next_nonce(is_last=is_last), frame, self._binding)
        except (InvalidTag, ValueError) as error:
            raise BlobDamaged(f"frame {self._number - 1} of the object is not what was written") from error


class Sealer(_Frames):
    def __init__(self, data_key: bytes, tenant_id: UUID, key: str, head: bytes) -> None:
        super().__init__(data_key, tenant_id, key, head)
        self._head = head
        self.sha256 = hashlib.sha256()
        self.size = 0

    async def seal(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        yield self._head
        held = bytearray()
        async for chunk in chunks:
            self.sha256.update(chunk)
            self.size += len(chunk)
            # A large chunk is encrypted where it lies; only what is left of it, and small ones, are copied.
            whole = memoryview(chunk)
            start = min(len(whole), FRAME_BYTES - len(held)) if held else 0
            held += whole[:start]
            if held and start < len(whole):
                yield self._cipher.encrypt(self.next_nonce(is_last=False), bytes(held), self._binding)
                held.clear()
            while len(whole) - start > FRAME_BYTES:
                frame = whole[start : start + FRAME_BYTES]
                start += FRAME_BYTES
                yield self._cipher.encrypt(self.next_nonce(is_last=False), frame, self._binding)
            held += whole[start:]
        yield self._cipher.encrypt(self.next_nonce(is_last=True), bytes(held), self._binding)
