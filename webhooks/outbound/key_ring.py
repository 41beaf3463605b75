"""An endpoint's keys out of its row: opened for signing, or the public ones for everybody.

The public keys belong to nobody's session: whoever received a message with an endpoint's id in mind may ask for them,
and learns keys and dates alone. Must never show a key that signs.
"""

from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from config.database import Database, Transaction
from config.vault import Vault
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id
from webhooks.outbound.sign import KeyRing, SigningKeys
from webhooks.outbound.vaulted import SecretColumn, open_secret, open_seed

KEY_COLUMNS = (
    "tenant_id, id, secret, signing_key, previous_secret, previous_signing_key, previous_until, cutover_at"
)


class PublicKeys(msgspec.Struct, frozen=True):
    """`current` None: the endpoint is older than v1a and gets a key at its next rotation."""

    current: bytes | None
    previous: bytes | None
    previous_until: datetime | None


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
    return KeyRing(current, previous, row["previous_until"], row["cutover_at"])


async def read_public_keys(hub: Database, endpoint_id: UUID, *, now: datetime) -> PublicKeys:
    """By the endpoint's id alone: needs the hub role. Raises NotFound."""
    row = await hub.fetchrow(
        "SELECT verify_key, previous_verify_key, previous_until FROM webhook_endpoints WHERE id = $1",
        endpoint_id,
    )
    if row is None:
        raise NotFound("endpoint", print_id(Kind.ENDPOINT, endpoint_id))
    until = row["previous_until"]
    overlaps = row["previous_verify_key"] is not None and until is not None and now < until
    return PublicKeys(
        row["verify_key"], row["previous_verify_key"] if overlaps else None, until if overlaps else None
    )


async def _seed(
    place: tuple[Vault, Transaction | Database, UUID, UUID], column: SecretColumn, sealed: bytes | None
) -> bytes | None:
    return None if sealed is None else await open_seed(*place, column, sealed)
