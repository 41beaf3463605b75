"""The master key that wraps the tenants' data keys, and the port behind which a KMS takes its place.

A key file has one key per line, `id base64`: the first wraps, all unwrap. To rotate, put a new line on top,
restart, and run the rotation, which re-wraps every data key and touches no data; then drop the old line.
Must never log a key, and never use one whose file others can read.
"""

import base64
import binascii
import logging
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from config.errors import ConfigError, VaultError
from config.secret import Secret
from config.settings import Settings

logger = logging.getLogger("countersign.vault")

_KEY_ID = re.compile(r"[A-Za-z0-9._:/-]{1,100}")  # a KMS key's ARN or path fits
_DEVELOPMENT = "dev-"
_NONCE_BYTES = 12


class WrappedKey(msgspec.Struct, frozen=True):
    kek_id: str
    wrapped: bytes


class KeyWrapper(Protocol):
    """Wraps data keys. A KMS (AWS, GCP, Azure, Vault transit) implements these two calls and nothing else.

    `wrap` MUST bind `context` (encryption context or additional data of the KMS), and `unwrap` MUST refuse
    another context. Both raise VaultError for a refusal and OSError or TimeoutError when the KMS is away.
    With `is_remote` the vault makes sure that no database transaction is open across the call.
    """

    @property
    def current_id(self) -> str:
        """The id of the key that wraps now."""
        ...

    @property
    def is_remote(self) -> bool: ...

    async def wrap(self, key: bytes, context: bytes) -> WrappedKey: ...

    async def unwrap(self, wrapped: WrappedKey, context: bytes) -> bytes: ...


class LocalKeyWrapper:
    """AES-256-GCM with master keys that this process holds; the first of them wraps."""

    is_remote = False

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        if not keys:
            raise ConfigError("there is no master key")
        if len({key_id for key_id, _ in keys}) != len(keys):
            raise ConfigError("two master keys have the same id")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys}
        self._current = keys[0][0]

    @property
    def current_id(self) -> str:
        return self._current

    async def wrap(self, key: bytes, context: bytes) -> WrappedKey:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return WrappedKey(self._current, nonce + self._ciphers[self._current].encrypt(nonce, key, context))

    async def unwrap(self, wrapped: WrappedKey, context: bytes) -> bytes:
        cipher = self._ciphers.get(wrapped.kek_id)
        if cipher is None:
            raise VaultError(f"the master key {wrapped.kek_id} is not configured")
        try:
            return cipher.decrypt(wrapped.wrapped[:_NONCE_BYTES], wrapped.wrapped[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError) as error:
            raise VaultError(f"a data key cannot be unwrapped with master key {wrapped.kek_id}") from error


def load_key_wrapper(settings: Settings) -> LocalKeyWrapper:
    """The master keys that the settings name; development makes its own when they name none.

    Raises ConfigError for a file that others can read, a malformed key, or a development key in production.
    """
    general = settings.countersign
    if general.master_key_file is not None:
        keys = _read_key_file(general.master_key_file)
    elif general.master_key is not None:
        keys = [_parse_key(*_split(part, ":")) for part in general.master_key.reveal().split(",")]
    elif settings.is_production:
        raise ConfigError("production needs master_key_file")
    else:
        path = general.data_dir / "master.key"
        if not path.exists():
            _make_development_key(path)
        keys = _read_key_file(path)
    if keys[0][0].startswith(_DEVELOPMENT):
        if settings.is_production:
            raise ConfigError("production refuses a development master key (its id begins with dev-)")
        logger.warning("a development master key is in use; it must never protect real documents")
    return LocalKeyWrapper(keys)


def make_key_line(key_id: str) -> Secret:
    """A line for a key file with a new random key."""
    if _KEY_ID.fullmatch(key_id) is None:
        raise ConfigError("a master key's id has letters, digits and . _ : / - only")
    return Secret(f"{key_id} {base64.b64encode(secrets.token_bytes(32)).decode()}")


def _read_key_file(path: Path) -> list[tuple[str, bytes]]:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the master key file {path} cannot be read") from error
    if mode & 0o377:
        raise ConfigError(f"the master key file {path} must have mode 0400, not {mode & 0o777:04o}")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise ConfigError(f"the master key file {path} is empty")
    return [_parse_key(*_split(line, " ")) for line in lines]


def _split(text: str, separator: str) -> tuple[str, str]:
    # From the right: a KMS-like id may hold colons, base64 holds neither.
    key_id, _, encoded = text.strip().rpartition(separator)
    return key_id.strip(), encoded.strip()


def _parse_key(key_id: str, encoded: str) -> tuple[str, bytes]:
    if _KEY_ID.fullmatch(key_id) is None:
        raise ConfigError("a master key must be written as id and base64")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"the master key {key_id} is not base64") from None  # the cause shows the key
    if len(key) != 32:
        raise ConfigError(f"the master key {key_id} must have 32 bytes")
    if len(set(key)) < 8:
        raise ConfigError(f"the master key {key_id} is not random")
    return key_id, key


def _make_development_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f"master.key.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    try:
        with open(descriptor, "w") as key_file:
            key_file.write(make_key_line(_DEVELOPMENT + secrets.token_hex(4)).reveal() + "\n")
        os.link(unfinished, path)  # unlike a rename it does not replace the key of another process
    except FileExistsError:
        logger.debug("another process made the development key first")
    finally:
        unfinished.unlink()
