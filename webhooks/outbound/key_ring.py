"""An endpoint's keys out of its row: opened for signing, or the public ones for everybody.

The public keys belong to nobody's session: whoever received a message with an endpoint's id in mind may ask for them,
and learns keys and dates alone. Must never show a key that signs.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from config.database import Database, Transaction
from config.secret import Secret
from config.vault import Vault
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id
from webhooks.outbound.sign import KeyRing, OldKeys, SigningKeys, public_key
from webhooks.outbound.vaulted import SecretColumn, open_secret, open_seed, seal_secret

KEY_COLUMNS = (
    "tenant_id, id, secret, signing_key, previous_secret, previous_signing_key, previous_until, cutover_at,"
    " previous_cutover_at, older_keys"
)


class OldGeneration(msgspec.Struct, frozen=True):
    """One of older_keys: what signs, until when, and since when in the design's header."""

    secret: str
    seed: bytes | None
    until: datetime
    cutover_at: datetime | None

    def __repr__(self) -> str:
        return "OldGeneration(***)"


class PublicKeys(msgspec.Struct, frozen=True):
    """`current` None: the endpoint is older than v1a and gets a key at its next rotation. `older`: the keys before
    the previous one that still verify, each with its end, newest first.
    """

    current: bytes | None
    previous: bytes | None
    previous_until: datetime | None
    older: tuple[tuple[bytes, datetime], ...] = ()


async def open_key_ring(vault: Vault, store: Transaction | Database, row: asyncpg.Record) -> KeyRing:
    """`row` has KEY_COLUMNS. Raises VaultError."""
    place = (vault, store, row["tenant_id"], row["id"])
    current = SigningKeys(
        await open_secret(*place, SecretColumn.CURRENT, row["secret"]),
        await _seed(place, SecretColumn.SIGNING_KEY, row["signing_key"]),
    )
    if row["previous_secret"] is None:
        return KeyRing(current)
    previous = SigningKeys(
        await open_secret(*place, SecretColumn.PREVIOUS, row["previous_secret"]),
        await _seed(place, SecretColumn.PREVIOUS_SIGNING_KEY, row["previous_signing_key"]),
    )
    older = tuple(
        OldKeys(SigningKeys(Secret(one.secret), one.seed), one.until, one.cutover_at)
        for one in await _open_older(vault, store, row)
    )
    return KeyRing(
        current, previous, row["previous_until"], row["cutover_at"], row["previous_cutover_at"], older
    )


async def open_old_generations(
    vault: Vault, store: Transaction | Database, row: asyncpg.Record, *, now: datetime
) -> list[OldGeneration]:
    """The previous one and those before it, as far as they still sign, newest first. `row` has KEY_COLUMNS."""
    found = await _open_older(vault, store, row)
    if row["previous_secret"] is not None:
        place = (vault, store, row["tenant_id"], row["id"])
        secret = await open_secret(*place, SecretColumn.PREVIOUS, row["previous_secret"])
        seed = await _seed(place, SecretColumn.PREVIOUS_SIGNING_KEY, row["previous_signing_key"])
        previous = OldGeneration(secret.reveal(), seed, row["previous_until"], row["previous_cutover_at"])
        found = [previous, *found]
    return [one for one in found if now < one.until]


async def seal_older(
    vault: Vault, tx: Transaction, tenant_id: UUID, endpoint_id: UUID, older: Sequence[OldGeneration]
) -> dict[str, object]:
    """The columns of the generations before the previous one."""
    text = Secret(msgspec.json.encode(older).decode())
    sealed = await seal_secret(vault, tx, tenant_id, endpoint_id, SecretColumn.OLDER_KEYS, text)
    return {
        "older_keys": sealed if older else None,
        "older_verify_keys": [None if one.seed is None else public_key(one.seed) for one in older],
        "older_until": [one.until for one in older],
    }


async def read_public_keys(hub: Database, endpoint_id: UUID, *, now: datetime) -> PublicKeys:
    """By the endpoint's id alone: needs the hub role. Raises NotFound."""
    row = await hub.fetchrow(
        "SELECT verify_key, previous_verify_key, previous_until, older_verify_keys, older_until"
        " FROM webhook_endpoints WHERE id = $1",
        endpoint_id,
    )
    if row is None:
        raise NotFound("endpoint", print_id(Kind.ENDPOINT, endpoint_id))
    until = row["previous_until"]
    overlaps = row["previous_verify_key"] is not None and until is not None and now < until
    older = zip(row["older_verify_keys"], row["older_until"], strict=True)
    return PublicKeys(
        row["verify_key"],
        row["previous_verify_key"] if overlaps else None,
        until if overlaps else None,
        tuple((key, end) for key, end in older if key is not None and now < end),
    )


async def _open_older(
    vault: Vault, store: Transaction | Database, row: asyncpg.Record
) -> list[OldGeneration]:
    if row["older_keys"] is None:
        return []
    text = await open_secret(
        vault, store, row["tenant_id"], row["id"], SecretColumn.OLDER_KEYS, row["older_keys"]
    )
    return msgspec.json.decode(text.reveal(), type=list[OldGeneration])


async def _seed(
    place: tuple[Vault, Transaction | Database, UUID, UUID], column: SecretColumn, sealed: bytes | None
) -> bytes | None:
    return None if sealed is None else await open_seed(*place, column, sealed)
