"""Hot statements on tables that have grown: each touches about what it returns, however much lies beside it.

PostgreSQL itself counts the rows that a transaction read (`pg_stat_xact_user_tables`), so the functions are asked
as they are, and a missing index shows as thousands of rows.
"""

from collections.abc import Sequence
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
        "INSERT INTO engine_notices (tenant_id, id, kind, channel, urgent, state, due_at)"
        " SELECT $1, gen_random_uuid(), 'reminder', 'email', i % 100 = 0,"
        " CASE WHEN i % 2 = 0 THEN 'waiting' ELSE 'sent' END, now() + interval '1 hour'"
        " FROM generate_series(1, $3) i"
    ),
    (
        "INSERT INTO engine_envelopes (tenant_id, id, connection_id, envelope_id, reference, status, subject,"
        " verification_code) SELECT $1, id, $2, id, 'r-' || id, 'sent', 's', 'v-' || id FROM envelopes"
    ),
    (
        "INSERT INTO engine_recipients (tenant_id, engine_id, id, position, name, email, role, routing_order,"
        " authentication) SELECT $1, id, id, 1, 'n', 'e', 'signer', 1, '{email}' FROM envelopes"
    ),
    (
        "INSERT INTO ceremony_links (tenant_id, id, engine_id, recipient_id, token_hash, prefix, created_at,"
        " expires_at) SELECT $1, id, id, id, sha256(id::text::bytea), 'p', now(), now() + interval '1 day'"
        " FROM envelopes"
    ),
    (
        "INSERT INTO ceremony_sessions (tenant_id, id, handle, secret_hash, link_id, engine_id, recipient_id,"
        " envelope_version, agent_hash, started_at, seen_at, last_at) SELECT $1, id, id::text, '', id, id, id, 1, '',"
        " now(), now(), now() FROM envelopes"
    ),
    (
        "INSERT INTO ceremony_codes (tenant_id, id, engine_id, recipient_id, method, code_hash, sent_at, expires_at)"
        " SELECT $1, id, id, id, 'sms', '', now(), now() FROM envelopes"
    ),
    (
        "INSERT INTO ceremony_counters (tenant_id, kind, subject, starts_at) SELECT $2, 'k', sha256(i::text::bytea),"
        " now() FROM generate_series(1, $3) i"
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
    "a claim of notices": "SELECT claim_notices($2, 'email', 20, 60)",
    "old notices": "SELECT id FROM engine_notices WHERE ended_at < now() - interval '90 days'",
    "old idempotency keys": "SELECT reap_idempotency_keys(100, 86400)",
    "a claim of a key": "SELECT claim_idempotency_key($1, $2, 'r', 'k7', $2, '', $2, 60, '')",
    "fan-out": "SELECT fan_out(100)",
    "a claim of deliveries": "SELECT claim_deliveries(ARRAY[$2], ARRAY[8], 64, 32, interval '60 s', $1)",
    "renewed leases": "SELECT renew_leases(ARRAY[$2], interval '60 s')",
    "lost leases": "SELECT expire_leases(100, 10)",
    "a signing link": "SELECT find_ceremony_link(sha256(id::text::bytea), '', now(), now())"
    " FROM (SELECT id FROM envelopes LIMIT 1) e",
    "a signer's session": "SELECT find_ceremony_session(id::text) FROM (SELECT id FROM envelopes LIMIT 1) e",
    "a tick of a limit": "SELECT take_allowance($2, 'k', sha256('7'), now(), 1, 9)",
    "what is left of old ceremonies": "SELECT reap_access(now() - interval '1 day')",
    "envelopes whose time is over": "SELECT tenant_id, id FROM engine_envelopes WHERE status = 'sent'"
    " AND expires_at <= now() ORDER BY expires_at LIMIT 200",
    "reminders": "SELECT tenant_id, id FROM engine_envelopes WHERE status = 'sent' AND next_reminder_at <= now()"
    " ORDER BY next_reminder_at LIMIT 200",
    "warnings": "SELECT tenant_id, id FROM engine_envelopes WHERE status = 'sent' AND warn_at <= now()"
    " AND warned_at IS NULL ORDER BY warn_at LIMIT 200",
    "a reference of the engine's": "SELECT id FROM engine_envelopes WHERE tenant_id = $1 AND connection_id = $2"
    " AND reference = 'r-7'",
    "changes at the engine": "SELECT id FROM engine_envelopes WHERE tenant_id = $1 AND connection_id = $2"
    " AND (updated_at, id) > (now() - interval '1 second', $1) ORDER BY updated_at, id LIMIT 100",
    "the engine's envelope": "SELECT load_engine_envelope($1, (SELECT id FROM engine_envelopes LIMIT 1), false)",
    "ready mailboxes": "SELECT ready_mailboxes()",
    "news of endpoints": "SELECT find_endpoint_news(5, 120, 432000)",
    "the beginning of a feed": "SELECT feed_floor($1)",
    "old attempts": "SELECT reap_attempts($1, interval '30 days', '00000000-0000-0000-0000-000000000000', 100)",
    "old deliveries": "SELECT reap_deliveries($1, interval '90 days', 'ffffffff-0000-0000-0000-000000000000', 100)",
    "old events": "SELECT reap_events($1, interval '90 days', 'ffffffff-0000-0000-0000-000000000000', 100)",
}

PENDING = 100_000
_FILL_PENDING = (
    "INSERT INTO tenants (id, name) VALUES ($1, 'grown')",
    (
        "INSERT INTO webhook_endpoints (tenant_id, id, url, secret, rate_per_second, ordering)"
        " VALUES ($1, $2, 'https://x.example', '', 1000, 'hold')"
    ),
    "INSERT INTO endpoint_health (tenant_id, endpoint_id) VALUES ($1, $2)",
    (
        "INSERT INTO outbox_events (tenant_id, id, type, occurred_at, data)"
        " SELECT $1, lpad(to_hex(i), 32, '0')::uuid, 'envelope.sent', now(), '{}' FROM generate_series(1, 200) i"
    ),
    (
        "INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, sequence, order_key, state, due_at, attempt)"
        " SELECT $1, gen_random_uuid(), lpad(to_hex(i % 200 + 1), 32, '0')::uuid, $2, i, gen_random_uuid(), 'pending',"
        " now() - interval '1 hour', i % 2 FROM generate_series(1, $3) i"
    ),
    (
        "INSERT INTO delivery_attempts (tenant_id, delivery_id, claim_id, endpoint_id, started_at, duration_ms, outcome)"
        " SELECT $1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), 1, 'retry'"
        " FROM generate_series(1, $3 / 10) i"
    ),
)
_COMPLETE = (
    "SELECT complete_deliveries(array_agg(d.tenant_id), array_agg(d.id), array_agg($1), array_agg(d.endpoint_id),"
    " array_agg('pending'::text), array_agg(1), array_agg(0), array_agg(1.0::float8), array_agg(now()), array_agg(5),"
    " array_agg('retry'::text), array_agg(500), array_agg(''::text), array_agg(NULL::bytea),"
    " ARRAY[5, 30, 10, 600, 5, 120, 432000]::float8[])"
    " FROM (SELECT * FROM deliveries WHERE endpoint_id = $2 AND state = 'leased') d"
)


async def test_a_hundred_thousand_due_deliveries_make_no_claim_and_no_completion_dearer(store: Store) -> None:
    await _fill(store, _FILL_PENDING, PENDING)
    async with store.hub.transaction(TENANT) as tx:
        read = {}
        for name, statement in (
            ("claim", "SELECT claim_deliveries(ARRAY[$2], ARRAY[16], 32, 16, interval '60 s', $1)"),
            ("complete", _COMPLETE),
            ("ready", "SELECT ready_mailboxes()"),
            ("figures", "SELECT window_figures($1, $2, interval '1 day', 100)"),
        ):
            before = await _counters(tx)
            await tx.driver.fetch(f"SELECT q::text FROM ({_filled_in(statement)}) q")
            after = await _counters(tx)
            read[name] = sum(after.values()) - sum(before[table] for table in after)
    assert {name: rows for name, rows in read.items() if rows > ENOUGH} == {}


async def test_hot_statements_on_grown_tables_read_only_what_they_need(store: Store) -> None:
    await _fill(store, _FILL, ROWS)
    read = {name: await _rows_read(store, statement) for name, statement in _HOT.items()}
    assert {name: rows for name, rows in read.items() if sum(rows.values()) > ENOUGH} == {}


async def _fill(store: Store, statements: Sequence[str], rows: int) -> None:
    connection = await asyncpg.connect(SHARED.url("postgres", store.name).reveal())
    try:
        await connection.execute(
            "SET session_replication_role = replica"
        )  # no foreign keys: only for the filling
        for statement in statements:
            await connection.execute(_filled_in(statement, rows))
        await connection.execute("SET session_replication_role = origin")
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


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


def _filled_in(statement: str, rows: int = ROWS) -> str:
    tenant, place = f"'{TENANT}'::uuid", f"'{PLACE}'::uuid"
    return statement.replace("$1", tenant).replace("$2", place).replace("$3", str(rows))
