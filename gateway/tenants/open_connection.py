"""Opens a tenant's connection for use: the row, its credentials out of the vault, and its adapter.

Opened connections are kept for a short time by id and version: an envelope costs no decryption, and a
changed connection has a new version and is opened anew. Must never hand out another tenant's connection.
"""

from uuid import UUID

import msgspec

from adapters.kit.port import Adapter, Connection
from config.secret import Secret
from config.vault import Place
from gateway.services import Services
from gateway.tenants.connection_cache import OpenConnection
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id


async def open_connection(
    services: Services, tenant_id: UUID, connection_id: UUID, version: int | None = None
) -> OpenConnection:
    """With `version`, an already opened connection costs no statement. Raises NotFound."""
    if version is not None:
        kept = services.connections.get(tenant_id, connection_id, version, services.clock.monotonic())
        if kept is not None:
            return kept
    async with services.database.transaction(tenant_id) as tx:
        row = await tx.driver.fetchrow(
            "SELECT provider, path_key, credentials, webhook_keys, version, max_document_bytes,"
            " poll_interval_s, receive_webhooks FROM connections WHERE tenant_id = $1 AND id = $2",
            tenant_id,
            connection_id,
        )
    if row is None:
        raise NotFound("connection", print_id(Kind.CONNECTION, connection_id))
    kept = services.connections.get(tenant_id, connection_id, row["version"], services.clock.monotonic())
    if kept is not None:
        return kept
    adapter = services.adapters[row["provider"]]
    credentials = await services.vault.decrypt(
        services.database, tenant_id, Place("connections", "credentials", connection_id), row["credentials"]
    )
    keys = await services.vault.decrypt(
        services.database, tenant_id, Place("connections", "webhook_keys", connection_id), row["webhook_keys"]
    )
    opened = OpenConnection(
        adapter=adapter,
        connection=Connection(
            id=str(connection_id),
            tenant_id=str(tenant_id),
            version=row["version"],
            credentials=adapter.decode_credentials(credentials),
            webhook_url=webhook_url(services, adapter, row["path_key"]) if row["receive_webhooks"] else "",
            webhook_keys=tuple(Secret(key) for key in msgspec.json.decode(keys, type=list[str])),
            max_document_bytes=row["max_document_bytes"],
            poll_interval_s=row["poll_interval_s"],
            allow_loopback=bool(services.settings.countersign.loopback_allow_list),
        ),
        version=row["version"],
    )
    services.connections.put(opened, connection_id, services.clock.monotonic())
    return opened


def webhook_url(services: Services, adapter: Adapter, path_key: str) -> str:
    base = services.settings.countersign.public_base_url.rstrip("/")
    return f"{base}/webhooks/signatures/{adapter.webhook_path}/{path_key}"
