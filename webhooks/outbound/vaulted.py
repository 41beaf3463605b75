"""Endpoint secrets at rest: each is vault ciphertext that opens in its own row and column only."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

import msgspec

from config.database import Database, Transaction
from config.secret import Secret
from config.vault import Place, Vault


class SecretColumn(StrEnum):
    CURRENT = "secret"
    PREVIOUS = "previous_secret"
    SIGNING_KEY = "signing_key"  # the 32 bytes of an Ed25519 seed
    PREVIOUS_SIGNING_KEY = "previous_signing_key"
    OLDER_KEYS = "older_keys"  # a JSON list of the generations before the previous one
    SENSITIVE_HEADERS = "sensitive_headers"  # a JSON object of texts
    CLIENT_KEY = "client_key"  # PEM
    OAUTH_SECRET = "oauth_secret"  # noqa: S105 - a column's name
    SINK_SECRET = "sink_secret"  # noqa: S105 - a column's name; "user:password"


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


async def seal_seed(
    vault: Vault, tx: Transaction, tenant_id: UUID, endpoint_id: UUID, column: SecretColumn, seed: bytes
) -> bytes:
    return await vault.encrypt(tx, tenant_id, Place("webhook_endpoints", column.value, endpoint_id), seed)


async def open_seed(
    vault: Vault,
    store: Transaction | Database,
    tenant_id: UUID,
    endpoint_id: UUID,
    column: SecretColumn,
    ciphertext: bytes,
) -> bytes:
    """The bytes of a SIGNING_KEY column. Raises VaultError as open_secret."""
    return await vault.decrypt(
        store, tenant_id, Place("webhook_endpoints", column.value, endpoint_id), ciphertext
    )


async def seal_headers(
    vault: Vault, tx: Transaction, tenant_id: UUID, endpoint_id: UUID, headers: Mapping[str, Secret]
) -> bytes:
    text = Secret(msgspec.json.encode({name: value.reveal() for name, value in headers.items()}).decode())
    return await seal_secret(vault, tx, tenant_id, endpoint_id, SecretColumn.SENSITIVE_HEADERS, text)


async def open_headers(
    vault: Vault, store: Transaction | Database, tenant_id: UUID, endpoint_id: UUID, ciphertext: bytes
) -> dict[str, Secret]:
    """The sensitive headers by name. Raises VaultError as open_secret."""
    text = await open_secret(vault, store, tenant_id, endpoint_id, SecretColumn.SENSITIVE_HEADERS, ciphertext)
    values = msgspec.json.decode(text.reveal(), type=dict[str, str])
    return {name: Secret(value) for name, value in values.items()}
