"""A tenant's connections to providers: create, change, rotate keys, check. Secrets go in and never come out."""

import base64
import secrets
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import msgspec

from adapters.kit.outcome import Done
from adapters.kit.port import Adapter
from config.vault import Place
from gateway.envelopes.problems import refusal_error
from gateway.services import Caller, Services
from gateway.tenant_blobs import TenantBlobs
from gateway.tenants.facts import tenant_event
from gateway.tenants.inbound_rules import checked_digests, checked_networks, checked_subject
from gateway.tenants.open_connection import open_connection, webhook_url
from normalizer.canonical import Json
from normalizer.errors import Finding, NotFound, ValidationFailed
from normalizer.events import Event, ResourceType
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

Key = Annotated[str, msgspec.Meta(min_length=8, max_length=500)]
Network = Annotated[str, msgspec.Meta(max_length=50)]
Digest = Annotated[str, msgspec.Meta(max_length=100)]
Subject = Annotated[str, msgspec.Meta(max_length=500)]
PollInterval = Annotated[int, msgspec.Meta(ge=0, le=3600)]


class ConnectionInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`credentials`: the provider's own fields (GET /admin/providers lists them). `webhook_keys`: the keys
    with which the provider signs its webhooks, where it signs; all of them are accepted. `poll_interval_s`: how long
    the account's plan makes a reader of one envelope wait; 0 takes the provider's lowest plan. `allowed_networks`
    (CIDR; empty: any) and the client certificate (by digest or subject, as a trusted proxy tells it) are asked for too.
    """

    provider: str
    label: Annotated[str, msgspec.Meta(max_length=100)] = ""
    credentials: dict[str, Any]
    webhook_keys: tuple[Key, ...] = ()
    max_document_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    poll_interval_s: PollInterval = 0
    receive_webhooks: bool = True
    allowed_networks: tuple[Network, ...] = ()
    client_certificate_sha256: tuple[Digest, ...] = ()
    client_certificate_subject: Subject = ""


class ConnectionChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None leaves as it is; credentials, keys, networks and certificates are replaced as a whole."""

    label: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    credentials: dict[str, Any] | None = None
    webhook_keys: tuple[Key, ...] | None = None
    max_document_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None
    poll_interval_s: PollInterval | None = None
    receive_webhooks: bool | None = None
    active: bool | None = None
    allowed_networks: tuple[Network, ...] | None = None
    client_certificate_sha256: tuple[Digest, ...] | None = None
    client_certificate_subject: Subject | None = None


class ConnectionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`webhook_url` is where the provider must post; its last segment is a secret of the tenant's."""

    id: UUID
    provider: str
    label: str
    version: int
    webhook_url: str
    webhook_key_count: int
    max_document_bytes: int
    poll_interval_s: int
    receive_webhooks: bool
    active: bool
    created_at: datetime
    updated_at: datetime
    allowed_networks: tuple[str, ...]
    client_certificate_sha256: tuple[str, ...]
    client_certificate_subject: str


class ConnectionHealth(msgspec.Struct, frozen=True, kw_only=True):
    """`ok` False: `problem` says what is wrong and `remedy` what to do."""

    ok: bool
    account: str = ""
    detail: str = ""
    problem: str = ""
    remedy: str = ""


_COLUMNS = (
    "id, provider, label, path_key, webhook_keys, version, max_document_bytes, poll_interval_s, receive_webhooks,"
    " active, created_at, updated_at, allowed_networks, client_certificate_sha256, client_certificate_subject"
)


async def create_connection(
    services: Services, caller: Caller, tenant_id: UUID, given: ConnectionInput
) -> ConnectionFacts:
    """Raises ValidationFailed for an unknown provider or incomplete credentials, NotFound for the tenant."""
    adapter = _adapter(services, given.provider)
    raw = _checked_credentials(adapter, given.credentials)
    connection_id = services.ids.new()
    credentials = await _seal(services, tenant_id, connection_id, "credentials", raw)
    keys = await _seal(
        services, tenant_id, connection_id, "webhook_keys", msgspec.json.encode(given.webhook_keys)
    )
    async with services.hub.transaction() as tx:
        try:
            row = await tx.driver.fetchrow(
                "INSERT INTO connections (tenant_id, id, provider, label, path_key, credentials, webhook_keys,"
                " max_document_bytes, receive_webhooks, allowed_networks, client_certificate_sha256,"
                " client_certificate_subject, poll_interval_s)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
                f" RETURNING {_COLUMNS}",
                tenant_id,
                connection_id,
                adapter.name,
                given.label,
                base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("="),
                credentials,
                keys,
                given.max_document_bytes,
                given.receive_webhooks,
                checked_networks(given.allowed_networks),
                checked_digests(given.client_certificate_sha256),
                checked_subject(given.client_certificate_subject),
                given.poll_interval_s,
            )
        except asyncpg.ForeignKeyViolationError as error:
            raise NotFound("tenant", print_id(Kind.TENANT, tenant_id)) from error
        facts: dict[str, Json] = {"provider": adapter.name, "webhook_keys": len(given.webhook_keys)}
        event = _event(services, caller, LedgerType.CONNECTION_CREATED, tenant_id, connection_id, facts)
        await services.recorder.record(tx, [event])
        await tx.commit()
    return await _facts(services, tenant_id, row)


async def change_connection(
    services: Services, caller: Caller, tenant_id: UUID, connection_id: UUID, change: ConnectionChange
) -> ConnectionFacts:
    """The version counts up, so that every process opens the connection anew. Raises NotFound."""
    named = sorted(name for name, value in msgspec.structs.asdict(change).items() if value is not None)
    if not named:
        raise ValidationFailed("Nothing to change was named.", code="empty_change")
    current = await services.hub.fetchrow(
        "SELECT provider FROM connections WHERE tenant_id = $1 AND id = $2", tenant_id, connection_id
    )
    if current is None:
        raise NotFound("connection", print_id(Kind.CONNECTION, connection_id))
    adapter = services.adapters[current["provider"]]
    credentials = keys = None
    if change.credentials is not None:
        raw = _checked_credentials(adapter, change.credentials)
        credentials = await _seal(services, tenant_id, connection_id, "credentials", raw)
    if change.webhook_keys is not None:
        keys = await _seal(
            services, tenant_id, connection_id, "webhook_keys", msgspec.json.encode(change.webhook_keys)
        )
    networks, digests, subject = _checked_rules(change)
    async with services.hub.transaction() as tx:
        row = await tx.driver.fetchrow(
            "UPDATE connections SET label = COALESCE($3, label), credentials = COALESCE($4, credentials),"
            " webhook_keys = COALESCE($5, webhook_keys), active = COALESCE($6, active),"
            " max_document_bytes = COALESCE($7, max_document_bytes), version = version + 1,"
            " receive_webhooks = COALESCE($8, receive_webhooks), allowed_networks = COALESCE($9, allowed_networks),"
            " client_certificate_sha256 = COALESCE($10, client_certificate_sha256),"
            " client_certificate_subject = COALESCE($11, client_certificate_subject),"
            " poll_interval_s = COALESCE($12, poll_interval_s), updated_at = clock_timestamp()"
            f" WHERE tenant_id = $1 AND id = $2 RETURNING {_COLUMNS}",
            tenant_id,
            connection_id,
            change.label,
            credentials,
            keys,
            change.active,
            change.max_document_bytes,
            change.receive_webhooks,
            networks,
            digests,
            subject,
            change.poll_interval_s,
        )
        facts: dict[str, Json] = {"provider": adapter.name, "changed": tuple(named)}
        event = _event(services, caller, LedgerType.CONNECTION_CHANGED, tenant_id, connection_id, facts)
        await services.recorder.record(tx, [event])
        await tx.commit()
    return await _facts(services, tenant_id, row)


def _checked_rules(change: ConnectionChange) -> tuple[list[str] | None, list[str] | None, str | None]:
    networks, digests = change.allowed_networks, change.client_certificate_sha256
    subject = change.client_certificate_subject
    return (
        None if networks is None else checked_networks(networks),
        None if digests is None else checked_digests(digests),
        None if subject is None else checked_subject(subject),
    )


async def list_connections(services: Services, tenant_id: UUID) -> list[ConnectionFacts]:
    rows = await services.hub.fetch(
        f"SELECT {_COLUMNS} FROM connections WHERE tenant_id = $1 ORDER BY created_at, id", tenant_id
    )
    return [await _facts(services, tenant_id, row) for row in rows]


async def check_connection(services: Services, tenant_id: UUID, connection_id: UUID) -> ConnectionHealth:
    """Asks the provider whether the credentials work. Raises NotFound."""
    opened = await open_connection(services, tenant_id, connection_id)
    adapter, connection = opened.adapter, opened.connection
    outcome = await services.executor.run(
        adapter,
        connection,
        "check_credentials",
        lambda exchange: adapter.check_credentials(exchange, connection),
        blobs=TenantBlobs(services.blobs, tenant_id),
    )
    if isinstance(outcome, Done):
        return ConnectionHealth(ok=True, account=outcome.value.account, detail=outcome.value.detail)
    error = refusal_error(adapter.name, outcome)
    return ConnectionHealth(ok=False, problem=error.detail, remedy=error.remedy)


def _adapter(services: Services, provider: str) -> Adapter:
    adapter = services.adapters.get(provider)
    if adapter is None:
        raise ValidationFailed(
            "There is no such provider.",
            (Finding("/provider", f"Choose one of: {', '.join(sorted(services.adapters))}."),),
        )
    return adapter


def _checked_credentials(adapter: Adapter, given: dict[str, Any]) -> bytes:
    raw = msgspec.json.encode(given)
    adapter.decode_credentials(raw)  # raises ValidationFailed and says which field
    return raw


async def _seal(services: Services, tenant_id: UUID, connection_id: UUID, column: str, plain: bytes) -> bytes:
    return await services.vault.encrypt(
        services.hub, tenant_id, Place("connections", column, connection_id), plain
    )


async def _facts(services: Services, tenant_id: UUID, row: asyncpg.Record | None) -> ConnectionFacts:
    columns = dict(row or {})
    path_key, sealed = columns.pop("path_key"), columns.pop("webhook_keys")
    place = Place("connections", "webhook_keys", columns["id"])
    keys = msgspec.json.decode(
        await services.vault.decrypt(services.hub, tenant_id, place, sealed), type=list[str]
    )
    url = webhook_url(services, services.adapters[columns["provider"]], path_key)
    return msgspec.convert({**columns, "webhook_url": url, "webhook_key_count": len(keys)}, ConnectionFacts)


def _event(
    services: Services,
    caller: Caller,
    kind: LedgerType,
    tenant_id: UUID,
    connection_id: UUID,
    facts: dict[str, Json],
) -> Event:
    return tenant_event(
        services,
        caller,
        kind,
        tenant_id,
        ResourceType.CONNECTION,
        print_id(Kind.CONNECTION, connection_id),
        facts,
    )
