"""Hot statements on tables that have grown: each touches about what it returns, however much lies beside it.

PostgreSQL itself counts the rows that a transaction read (`pg_stat_xact_user_tables`), so the functions are asked
as they are, and a missing index shows as thousands of rows.
"""

from uuid import UUID

import asyncpg

from config.database import Transaction
from tests.fixtures.store import Store
from tests.shared_postgres import SHARED

ROWS = 20_000
ENOUGH = (
    400  # for one call: what it returns, its neighbours on the way, and the planner's own look at the ends
)
TENANT = UUID(int=7)
PLACE = UUID(int=8)  # a connection, an endpoint, a principal

_FILL = (
    "INSERT INTO tenants (id, name) VALUES ($1, 'grown')",
    (
        "INSERT INTO envelopes (tenant_id, id, name, sender_id, status, connection_id, provider_ref, dispatch_state,"
        " next_lookup_at, created_at) SELECT $1, gen_random_uuid(), 'n', 's', 'completed', $2, 'ref-' || i, 'unknown',"
        " now() + interval '1 hour', now() - i * interval '1 minute' FROM generate_series(1, $3) i"
    ),
    (
        "INSERT INTO dispatch_attempts (tenant_id, envelope_id, epoch, provider, connection_id, mode, ended_at,"
        " orphan) SELECT $1, id, 1, 'p', $2, 'send', now() + interval '1 hour', 'left' FROM envelopes"
    ),
    (
        "INSERT INTO outbox_events (tenant_id, id, type, envelope_id, occurred_at, data)"
        " SELECT $1, gen_random_uuid(), 'envelope.sent', id, now(), '{}' FROM envelopes"
    ),
    "INSERT INTO webhook_endpoints (tenant_id, id, url, secret) VALUES ($1, $2, 'https://x.example', '')",
    (
        "INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, sequence, order_key, state, due_at)"
        " SELECT $1, gen_random_uuid(), id, $2, row_number() OVER (), envelope_id, CASE WHEN id::text < '8' THEN 'succeeded' ELSE 'pending' END,"
        " now() + interval '1 hour'"
        " FROM outbox_events"
    ),
    (
        "INSERT INTO inbox_messages (tenant_id, id, connection_id, provider, headers, body, body_sha256, body_bytes,"
        " key_index, state, next_at, provider_ref) SELECT $1, gen_random_uuid(), $2, 'p', '', '',"
        " sha256(i::text::bytea), 1, 0, 'parked', now() + interval '1 hour', 'other-' || i FROM generate_series(1, $3) i"
    ),
    "INSERT INTO jobs (id, kind, state) SELECT gen_random_uuid(), 'k', 'done' FROM generate_series(1, $3) i",
    (
        "INSERT INTO idempotency_keys (tenant_id, principal, route, key, id, fingerprint, completed_at, expires_at,"
        " request_id) SELECT $1, $2, 'r', 'k' || i, gen_random_uuid(), '', now(), now() + interval '1 day', ''"
        " FROM generate_series(1, $3) i"
    ),
    (
        "INSERT INTO jobs (id, kind, state, due_at) SELECT gen_random_uuid(), 'k', 'queued', now() + interval '1 hour'"
        " FROM generate_series(1, $3) i"
    ),
    (
        "INSERT INTO inbound_refusals (tenant_id, connection_id, minute, reason, refused, recorded)"
        " SELECT $1, $2, now() - i * interval '1 minute', 'r', 1, 1 FROM generate_series(1, $3) i"
    ),
)

# What the processes ask again and again, with nothing to do: the answer is empty, and must be cheap.
_HOT = {
    "an echo of our own act": "SELECT EXISTS (SELECT 1 FROM outbox_events WHERE tenant_id = $1 AND envelope_id = $2"
    " AND type = 'envelope.voided' AND created_at > clock_timestamp() - interval '5 minutes')",
    "the envelope of a message": "SELECT match_envelope($1, $2, 'ref-77', NULL)",
    "unsettled dispatches": "SELECT claim_unsettled(100, 60)",
    "orphans": "SELECT claim_orphans(100, 60)",
    "a claim of messages": "SELECT claim_messages($2, 100, 1000000, 60, 8)",
    "a claim of a job": "SELECT claim_job($2, '{k}', 60)",
    "old idempotency keys": "SELECT reap_idempotency_keys(100, 86400)",
    "a claim of a key": "SELECT claim_idempotency_key($1, $2, 'r', 'k7', $2, '', $2, 60, '')",
    "fan-out": "SELECT fan_out(100)",
    "a claim of deliveries": "SELECT claim_deliveries(ARRAY[$2], ARRAY[8], 64, 32, interval '60 s', $1)",
    "renewed leases": "SELECT renew_leases(ARRAY[$2], interval '60 s')",
    "lost leases": "SELECT expire_leases(100, 10)",
    "ready mailboxes": "SELECT ready_mailboxes()",
}


async def test_hot_statements_on_grown_tables_read_only_what_they_need(store: Store) -> None:
    connection = await asyncpg.connect(SHARED.url("postgres", store.name).reveal())
    try:
        await connection.execute(
            "SET session_replication_role = replica"
        )  # no foreign keys: only for the filling
        for statement in _FILL:
            await connection.execute(_filled_in(statement))
        await connection.execute("SET session_replication_role = origin")
        await connection.execute("ANALYZE")
    finally:
        await connection.close()
    read = {name: await _rows_read(store, statement) for name, statement in _HOT.items()}
    assert {name: rows for name, rows in read.items() if sum(rows.values()) > ENOUGH} == {}


async def _rows_read(store: Store, statement: str) -> dict[str, int]:
    async with store.hub.transaction(TENANT) as tx:
        before = await _counters(tx)  # those of earlier transactions may not have been handed in yet
        await tx.driver.fetch(f"SELECT q::text FROM ({_filled_in(statement)}) q")
        after = await _counters(tx)
    return {table: read - before[table] for table, read in after.items() if read > before[table]}


async def _counters(tx: Transaction) -> dict[str, int]:
    rows = await tx.driver.fetch(
        "SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS read"
        " FROM pg_stat_xact_user_tables WHERE schemaname = 'public'"
    )
    return {row["relname"]: row["read"] for row in rows}


def _filled_in(statement: str) -> str:
    tenant, place = f"'{TENANT}'::uuid", f"'{PLACE}'::uuid"
    return statement.replace("$1", tenant).replace("$2", place).replace("$3", str(ROWS))
