"""The tables of the design documents against the database: each column, default, index and key is there, or the
difference has its line in docs/deviations.md.
"""

import pytest

from tests.docs.lists import DOCS
from tests.docs.tables import read_tables
from tests.fixtures.store import Store

# A 3, and B 7.1 for certificates and webhooks, as they are written there; workflows and delegations are piece 4. Of
# tenants and users only what the documents' statements read.
DESIGNED = {
    "envelopes": "id sender_id name status authentication_level expiration_date created_at updated_at completed_at",
    "recipients": "id envelope_id name email role routing_order status access_token ip_address completed_at"
    " created_at",
    "documents": "id envelope_id name page_count s3_key status created_at",
    "document_fields": "id document_id recipient_id type page_number x y width height required completed value"
    " signature_id created_at",
    "signatures": "id recipient_id field_id s3_key type created_at",
    "audit_events": "id envelope_id event_type data timestamp actor previous_hash hash created_at",
    "idempotency_keys": "key response created_at",
    "tenants": "id",
    "users": "id first_name last_name email",
    "certificates": "id user_id tenant_id certificate_pem encrypted_private_key serial_number subject_name"
    " issuer_name not_valid_before not_valid_after thumbprint_sha256 revoked revoked_at revocation_reason"
    " created_at",
    "signature_audit_events": "event_id event_type timestamp actor_id actor_email actor_name actor_ip_address"
    " actor_user_agent resource_type resource_id details previous_event_hash event_hash",
    "signature_webhooks": "webhook_id tenant_id url secret events active retry_count timeout_seconds created_at"
    " updated_at",
}
# Where a designed column is with us. What the ledger keeps is one canonical document: its body.
ELSEWHERE = {
    "recipients.access_token": "ceremony_links.token_hash",
    "documents.s3_key": "documents.blob_key",
    "document_fields.signature_id": "engine_fields.signature_id",
    "signatures.s3_key": "signatures.blob_key",
    "signatures.field_id": "engine_fields.signature_id",
    "audit_events.id": "ledger_entries.event_id",
    "audit_events.envelope_id": "ledger_entries.resource_id",
    "audit_events.event_type": "ledger_entries.event_type",
    "audit_events.data": "ledger_entries.body",
    "audit_events.timestamp": "ledger_entries.occurred_at",
    "audit_events.actor": "ledger_entries.body",
    "audit_events.previous_hash": "ledger_entries.prev_hash",
    "audit_events.hash": "ledger_entries.hash",
    "audit_events.created_at": "ledger_entries.recorded_at",
    "idempotency_keys.response": "idempotency_keys.body",
    **{f"users.{one}": f"tenant_users.{one}" for one in ("id", "first_name", "last_name", "email")},
    "signature_audit_events.event_id": "ledger_entries.event_id",
    "signature_audit_events.event_type": "ledger_entries.event_type",
    "signature_audit_events.timestamp": "ledger_entries.occurred_at",
    "signature_audit_events.actor_id": "ledger_entries.body",
    "signature_audit_events.actor_email": "ledger_entries.body",
    "signature_audit_events.actor_name": "ledger_entries.body",
    "signature_audit_events.actor_ip_address": "ledger_entries.body",
    "signature_audit_events.actor_user_agent": "ledger_entries.body",
    "signature_audit_events.resource_type": "ledger_entries.resource_type",
    "signature_audit_events.resource_id": "ledger_entries.resource_id",
    "signature_audit_events.details": "ledger_entries.body",
    "signature_audit_events.previous_event_hash": "ledger_entries.prev_hash",
    "signature_audit_events.event_hash": "ledger_entries.hash",
    "signature_webhooks.webhook_id": "webhook_endpoints.id",
    "signature_webhooks.tenant_id": "webhook_endpoints.tenant_id",
    "signature_webhooks.url": "webhook_endpoints.url",
    "signature_webhooks.secret": "webhook_endpoints.secret",
    "signature_webhooks.events": "webhook_endpoints.events",
    "signature_webhooks.active": "webhook_endpoints.active",
    "signature_webhooks.retry_count": "webhook_endpoints.retry_schedule",
    "signature_webhooks.timeout_seconds": "webhook_endpoints.timeout_seconds",
    "signature_webhooks.created_at": "webhook_endpoints.created_at",
    "signature_webhooks.updated_at": "webhook_endpoints.updated_at",
}
DEFAULTS = {
    "envelopes.status": "draft",
    "envelopes.authentication_level": "email",
    "recipients.role": "signer",
    "recipients.routing_order": "1",
    "recipients.status": "pending",
    "documents.status": "processing",
    "document_fields.required": "true",
    "document_fields.completed": "false",
    "certificates.revoked": "false",
    "signature_webhooks.active": "true",
    "signature_webhooks.timeout_seconds": "30",
}
OTHER_DEFAULTS = {"documents.status": "ready"}
# Designed, and ours: the same name, or the index or key that finds what that one finds.
INDEXES = {
    "idx_envelopes_sender_status": "idx_envelopes_sender_status",
    "idx_recipients_envelope": "idx_recipients_envelope",
    "idx_recipients_token": "ceremony_links_token_hash_key",
    "idx_fields_recipient": "idx_fields_recipient",
    "idx_audit_envelope": "ledger_entries_pkey",
    "idx_audit_resource": "ledger_entries_pkey",
    "idx_idempotency_created": "idx_idempotency_expires",
    "idx_certs_user": "idx_certs_user",
    "idx_certs_thumbprint": "idx_certs_thumbprint",
    "idx_webhooks_tenant": "webhook_endpoints_pkey",
}
UNIQUE = {"unique_serial": "serial_number issuer_name"}


@pytest.mark.parametrize("table", list(DESIGNED))
async def test_designed_table_has_its_columns(store: Store, table: str):
    columns = await _columns(store)
    wanted = {f"{table}.{one}" for one in DESIGNED[table].split()}
    assert {ELSEWHERE.get(one, one) for one in wanted} - columns.keys() == set()


async def test_column_that_is_told_to_be_elsewhere_is_not_here_too(store: Store):
    assert set(ELSEWHERE) & (await _columns(store)).keys() == set()


@pytest.mark.parametrize("column", list(DEFAULTS))
async def test_designed_default_is_the_columns_default(store: Store, column: str):
    default = (await _columns(store))[ELSEWHERE.get(column, column)]
    assert default.partition("::")[0].strip("'") == OTHER_DEFAULTS.get(column, DEFAULTS[column])


async def test_designed_indexes_exist(store: Store):
    rows = await store.owner.fetch("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
    assert set(INDEXES.values()) - {row["indexname"] for row in rows} == set()


@pytest.mark.parametrize("name", list(UNIQUE))
async def test_designed_key_is_unique_within_a_tenant(store: Store, name: str):
    definition = await store.owner.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1", name
    )
    assert definition == f"UNIQUE (tenant_id, {', '.join(UNIQUE[name].split())})"


@pytest.mark.parametrize(
    "name",
    sorted(
        {one for one in ELSEWHERE if one.partition(".")[0] in {"recipients", "document_fields", "signatures"}}
        | {"s3_key", "audit_events", "signature_audit_events", "idempotency_keys.response"}
        | {"signature_webhooks", "retry_count", "users", *OTHER_DEFAULTS, *UNIQUE}
        | {one for one, ours in INDEXES.items() if one != ours}
    ),
)
def test_every_difference_of_the_tables_has_its_line(name: str):
    said = [row[0] for table in read_tables(DOCS / "deviations.md") for row in table.rows]
    assert any(f"`{name}`" in one for one in said)


async def _columns(store: Store) -> dict[str, str]:
    """Default by `table.column`; '' when there is none."""
    rows = await store.owner.fetch(
        "SELECT table_name, column_name, coalesce(column_default, '') AS value"
        " FROM information_schema.columns WHERE table_schema = 'public'"
    )
    return {f"{row['table_name']}.{row['column_name']}": row["value"] for row in rows}
