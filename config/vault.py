"""Encryption of secrets at rest: AES-256-GCM under one data key per tenant, wrapped by a master key.

Stored form: `v1|kek_id|dek_id|nonce|ciphertext`. The additional data is tenant|table|column|row and that
head, so a ciphertext opens only in the row, column and tenant that it was made for. `kek_id` says which
master key wrapped the data key when this was written; a later re-wrap does not change it.
Data keys stay in memory for five minutes at most. A random nonce allows 2^30 encryptions under one data key:
rotate them long before (`rotate_data_key`); retired keys go on opening what they closed.
Must never return a plaintext that failed authentication, and never use a data key that is not yet committed.
"""

import re
import secrets
from collections import OrderedDict
from typing import Final
from uuid import UUID, uuid4

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from config.clock import Clock
from config.database import Database, Transaction, assert_no_open_transaction
from config.errors import VaultError
from config.master_keys import KeyWrapper, WrappedKey

SYSTEM_TENANT: Final = UUID(int=0)  # secrets of the installation itself; reached with the hub role

_VERSION = "v1"
_NONCE_BYTES = 12
_CACHE_S = 300.0
_CACHE_SIZE = 10_000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Place(msgspec.Struct, frozen=True):
    """The cell that a ciphertext belongs to."""

    table: str
    column: str
    row_id: UUID | str

    def __post_init__(self) -> None:
        row = str(self.row_id)
        if not _NAME.fullmatch(self.table) or not _NAME.fullmatch(self.column) or not row or "|" in row:
            raise ValueError("a place is table, column and row id, none with a |")


class DataKey(msgspec.Struct, frozen=True):
    """A tenant's key, unwrapped. Does not show its bytes."""

    id: UUID
    kek_id: str
    key: bytes

    def __repr__(self) -> str:
        return f"DataKey({self.id})"


class Vault:
    def __init__(self, wrapper: KeyWrapper, clock: Clock) -> None:
        self._wrapper = wrapper
        self._clock = clock
        self._keys: OrderedDict[tuple[UUID, UUID], tuple[DataKey, float]] = OrderedDict()
        self._current: OrderedDict[UUID, tuple[UUID, float]] = OrderedDict()

    async def encrypt(
        self, store: Transaction | Database, tenant_id: UUID, place: Place, plaintext: bytes
    ) -> bytes:
        """The ciphertext for that place; makes the tenant's first data key when there is none.

        `store` is a transaction of that tenant (or of the hub role), or a Database. With a remote key wrapper
        call `current_key(database, tenant_id)` before the transaction begins: it may not call out inside.
        """
        data_key = await self.current_key(store, tenant_id)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        head = f"{_VERSION}|{data_key.kek_id}|{data_key.id}"
        sealed = AESGCM(data_key.key).encrypt(nonce, plaintext, _binding(tenant_id, place, head))
        return head.encode() + b"|" + nonce + b"|" + sealed

    async def decrypt(
        self, store: Transaction | Database, tenant_id: UUID, place: Place, ciphertext: bytes
    ) -> bytes:
        """The plaintext; raises VaultError unless the ciphertext was made for this tenant and place."""
        head, key_id, nonce, sealed = _take_apart(ciphertext)
        data_key = await self.key(store, tenant_id, key_id)
        try:
            return AESGCM(data_key.key).decrypt(nonce, sealed, _binding(tenant_id, place, head))
        except InvalidTag as error:
            raise VaultError(f"the ciphertext does not belong to {place.table}.{place.column}") from error

    async def renew(
        self, store: Transaction | Database, tenant_id: UUID, place: Place, ciphertext: bytes
    ) -> bytes | None:
        """The same secret under the tenant's current data key; None when it is there already.

        The hook of lazy re-encryption: call it where a ciphertext is read for writing, or from a job.
        """
        current = await self.current_key(store, tenant_id)
        _, key_id, _, _ = _take_apart(ciphertext)
        if key_id == current.id:
            return None
        return await self.encrypt(
            store, tenant_id, place, await self.decrypt(store, tenant_id, place, ciphertext)
        )

    async def current_key(self, store: Transaction | Database, tenant_id: UUID) -> DataKey:
        """The data key that closes for this tenant now; made when there is none."""
        known = self._current.get(tenant_id)
        if known is not None and known[1] > self._clock.monotonic():
            return await self.key(store, tenant_id, known[0])
        if isinstance(store, Database):
            async with store.transaction(tenant_id) as tx:
                row = await tx.driver.fetchrow(_SELECT_CURRENT, tenant_id)
        else:
            row = await store.driver.fetchrow(_SELECT_CURRENT, tenant_id)
        if row is None:
            return await self._make_key(store, tenant_id)
        data_key = await self._unwrap(tenant_id, row["id"], WrappedKey(row["kek_id"], row["wrapped"]))
        self._remember_current(store, tenant_id, data_key)
        return data_key

    async def key(self, store: Transaction | Database, tenant_id: UUID, key_id: UUID) -> DataKey:
        """A data key by its id, retired or not; raises VaultError when the tenant has none of that id."""
        known = self._keys.get((tenant_id, key_id))
        if known is not None and known[1] > self._clock.monotonic():
            return known[0]
        if isinstance(store, Database):
            async with store.transaction(tenant_id) as tx:
                row = await tx.driver.fetchrow(_SELECT_BY_ID, tenant_id, key_id)
        else:
            row = await store.driver.fetchrow(_SELECT_BY_ID, tenant_id, key_id)
        if row is None:
            raise VaultError("the tenant has no data key of that id")
        data_key = await self._unwrap(tenant_id, key_id, WrappedKey(row["kek_id"], row["wrapped"]))
        self._remember(tenant_id, data_key, is_current=False)
        return data_key

    async def rotate_data_key(self, store: Database, tenant_id: UUID) -> UUID:
        """Adds a new data key that closes from now on (in other processes within five minutes).

        The older ones are marked as retired and still open what they closed. Needs the hub role.
        """
        data_key, wrapped = await self._new_key(tenant_id)
        async with store.transaction(tenant_id) as tx:
            await tx.driver.execute(_INSERT, tenant_id, data_key.id, wrapped.wrapped, wrapped.kek_id)
            await tx.driver.execute(_RETIRE_OTHERS, tenant_id, data_key.id)
            await tx.commit()
        self._remember(tenant_id, data_key, is_current=True)
        return data_key.id

    async def rotate_master(self, hub: Database, *, page: int = 100) -> int:
        """Wraps every tenant's data keys with the current master key; the number of keys that changed.

        Touches no data, may be interrupted and repeated, and runs beside traffic.
        """
        changed = 0
        after = (SYSTEM_TENANT, SYSTEM_TENANT)
        while True:
            rows = await hub.fetch(_SELECT_OLD, self._wrapper.current_id, *after, page)
            if not rows:
                return changed
            for row in rows:
                tenant_id, key_id = row["tenant_id"], row["id"]
                after = (tenant_id, key_id)
                data_key = await self._unwrap(tenant_id, key_id, WrappedKey(row["kek_id"], row["wrapped"]))
                wrapped = await self._wrap(tenant_id, key_id, data_key.key)
                done = await hub.execute(
                    _REWRAP, tenant_id, key_id, row["kek_id"], wrapped.wrapped, wrapped.kek_id
                )
                changed += done == "UPDATE 1"

    def forget(self) -> None:
        """Drops every data key from memory."""
        self._keys.clear()
        self._current.clear()

    async def _make_key(self, store: Transaction | Database, tenant_id: UUID) -> DataKey:
        """The tenant's first key. Two processes may each make one: both are kept, the newest closes."""
        data_key, wrapped = await self._new_key(tenant_id)
        arguments = (tenant_id, data_key.id, wrapped.wrapped, wrapped.kek_id)
        if isinstance(store, Database):
            async with store.transaction(tenant_id) as tx:
                await tx.driver.execute(_INSERT, *arguments)
                await tx.commit()
        else:
            await store.driver.execute(_INSERT, *arguments)
        self._remember_current(store, tenant_id, data_key)
        return data_key

    async def _new_key(self, tenant_id: UUID) -> tuple[DataKey, WrappedKey]:
        key, key_id = secrets.token_bytes(32), uuid4()
        wrapped = await self._wrap(tenant_id, key_id, key)
        return DataKey(key_id, wrapped.kek_id, key), wrapped

    async def _wrap(self, tenant_id: UUID, key_id: UUID, key: bytes) -> WrappedKey:
        if self._wrapper.is_remote:
            assert_no_open_transaction()
        return await self._wrapper.wrap(key, _key_context(tenant_id, key_id))

    async def _unwrap(self, tenant_id: UUID, key_id: UUID, wrapped: WrappedKey) -> DataKey:
        if self._wrapper.is_remote:
            assert_no_open_transaction()
        key = await self._wrapper.unwrap(wrapped, _key_context(tenant_id, key_id))
        return DataKey(key_id, wrapped.kek_id, key)

    def _remember_current(self, store: Transaction | Database, tenant_id: UUID, data_key: DataKey) -> None:
        """Not before commit: a key that was seen in a transaction may be its own and be rolled back."""
        if isinstance(store, Database):
            self._remember(tenant_id, data_key, is_current=True)
            return

        async def remember() -> None:
            self._remember(tenant_id, data_key, is_current=True)

        store.on_commit(remember)

    def _remember(self, tenant_id: UUID, data_key: DataKey, *, is_current: bool) -> None:
        until = self._clock.monotonic() + _CACHE_S
        self._keys[tenant_id, data_key.id] = (data_key, until)
        self._keys.move_to_end((tenant_id, data_key.id))
        if is_current:
            self._current[tenant_id] = (data_key.id, until)
            self._current.move_to_end(tenant_id)
        while len(self._keys) > _CACHE_SIZE:
            self._keys.popitem(last=False)
        while len(self._current) > _CACHE_SIZE:
            self._current.popitem(last=False)


def _take_apart(ciphertext: bytes) -> tuple[str, UUID, bytes, bytes]:
    parts = bytes(ciphertext).split(b"|", 3)
    if len(parts) != 4 or parts[0] != _VERSION.encode():
        raise VaultError("this is not a ciphertext of a known version")
    nonce, bar, sealed = parts[3][:_NONCE_BYTES], parts[3][_NONCE_BYTES : _NONCE_BYTES + 1], parts[3][13:]
    try:
        key_id = UUID(parts[2].decode("ascii"))
        head = b"|".join(parts[:3]).decode("ascii")
    except ValueError as error:
        raise VaultError("the ciphertext is damaged") from error
    if bar != b"|":
        raise VaultError("the ciphertext is damaged")
    return head, key_id, nonce, sealed


def _binding(tenant_id: UUID, place: Place, head: str) -> bytes:
    return f"{tenant_id}|{place.table}|{place.column}|{place.row_id}|{head}".encode()


def _key_context(tenant_id: UUID, key_id: UUID) -> bytes:
    return f"data-key|{tenant_id}|{key_id}|{_VERSION}".encode()


_SELECT_CURRENT = (
    "SELECT id, wrapped, kek_id FROM data_keys WHERE tenant_id = $1 AND retired_at IS NULL"
    " ORDER BY created_at DESC, id DESC LIMIT 1"
)
_SELECT_BY_ID = "SELECT wrapped, kek_id FROM data_keys WHERE tenant_id = $1 AND id = $2"
_INSERT = "INSERT INTO data_keys (tenant_id, id, wrapped, kek_id) VALUES ($1, $2, $3, $4)"
_RETIRE_OTHERS = (
    "UPDATE data_keys SET retired_at = now() WHERE tenant_id = $1 AND id <> $2 AND retired_at IS NULL"
)
_SELECT_OLD = (
    "SELECT tenant_id, id, wrapped, kek_id FROM data_keys"
    " WHERE kek_id <> $1 AND (tenant_id, id) > ($2, $3) ORDER BY tenant_id, id LIMIT $4"
)
_REWRAP = "UPDATE data_keys SET wrapped = $4, kek_id = $5 WHERE tenant_id = $1 AND id = $2 AND kek_id = $3"
