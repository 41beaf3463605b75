"""Tables, columns and indexes that the design names exist, under the names that docs/deviations.md gives."""

import pytest

from tests.fixtures.store import Store

COLUMNS = {
    "envelopes": "id sender_id name status authentication_level expiration_date created_at updated_at completed_at",
    "recipients": "id envelope_id name email role routing_order status completed_at created_at",
    "documents": "id envelope_id name page_count blob_key status created_at",
    "document_fields": "id document_id recipient_id type page_number x y width height required completed value",
    "idempotency_keys": "key created_at",
    "tenants": "id",
    "tenant_users": "id first_name last_name email",
    "webhook_endpoints": "id tenant_id url secret events active timeout_seconds created_at updated_at",
    "ledger_entries": "event_id event_type resource_type resource_id occurred_at prev_hash hash body",
}
INDEXES = {
    "idx_envelopes_sender_status",
    "idx_recipients_envelope",
    "idx_fields_recipient",
    "idx_idempotency_expires",
}


@pytest.mark.parametrize("table", list(COLUMNS))
async def test_designed_table_has_its_columns(store: Store, table: str):
    rows = await store.owner.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_name = $1", table
    )
    assert set(COLUMNS[table].split()) - {row["column_name"] for row in rows} == set()


async def test_designed_indexes_exist(store: Store):
    rows = await store.owner.fetch("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
    assert {row["indexname"] for row in rows} >= INDEXES
