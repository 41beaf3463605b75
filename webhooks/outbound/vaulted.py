"""Endpoint secrets at rest: each is vault ciphertext that opens in its own row and column only."""

from enum import StrEnum
from uuid import UUID

from config.database import Database, Transaction
from config.secret import Secret
from config.vault import Place, Vault


class SecretColumn(StrEnum):
    CURRENT = "secret"
    PREVIOUS = "previous_secret"


async def seal_secret(
    vault: Vault, tx: Transaction, tenant_id: UUID, endpoint_id: UUID, column: SecretColumn, secret: Secret
) -> bytes:
    place = Place("webhook_endpoints", column.value, endpoint_id)
    return await vault.encrypt(tx, tenant_id, place, secret.reveal().encode())


async def open_secret(
    vault: Vault,
    store: Transaction | Database,
    tenant_id: UUID,
    endpoint_id: UUID,
    column: SecretColumn,
    ciphertext: bytes,
) -> Secret:
    """Raises VaultError when the ciphertext was not made for this cell."""
    place = Place("webhook_endpoints", column.value, endpoint_id)
    return Secret((await vault.decrypt(store, tenant_id, place, ciphertext)).decode())
