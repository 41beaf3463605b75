-- Webhooks from providers: every authentic message with its exact bytes, which facts had their effect, and how many
-- posts were refused. The truth of inbound processing is here; Redis only wakes the workers.

-- headers and body are vault ciphertext of what came in. next_at is when the message is looked at next: due work,
-- a retry, the next look for its envelope, or, while it is being processed, the end of the lease; null when nobody
-- will touch it by himself. `failures` counts against the retry delays, `waits` against the delays of parked and
-- unconfirmed messages, `deliveries` counts how often the provider sent these bytes.
CREATE TABLE inbox_messages (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    provider varchar(30) NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    headers bytea NOT NULL,
    body bytea NOT NULL,
    body_sha256 bytea NOT NULL,
    body_bytes integer NOT NULL,
    key_index integer NOT NULL,
    state text NOT NULL DEFAULT 'received'
        CHECK (state IN ('received', 'processing', 'done', 'parked', 'unprocessable', 'dead')),
    next_at timestamptz DEFAULT clock_timestamp(),
    claim_id uuid,
    failures integer NOT NULL DEFAULT 0,
    waits integer NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT '',
    duplicates integer NOT NULL DEFAULT 0,
    replays integer NOT NULL DEFAULT 0,
    provider_ref varchar(255) NOT NULL DEFAULT '',
    provider_event varchar(200) NOT NULL DEFAULT '',
    events integer NOT NULL DEFAULT 0,
    effects integer NOT NULL DEFAULT 0,
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT uq_inbox_messages_body UNIQUE (tenant_id, connection_id, body_sha256)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);
CREATE INDEX idx_inbox_due ON inbox_messages (next_at, id) WHERE next_at IS NOT NULL;
CREATE INDEX idx_inbox_claims ON inbox_messages (claim_id) WHERE state = 'processing';
CREATE INDEX idx_inbox_parked ON inbox_messages (tenant_id, connection_id, provider_ref) WHERE state = 'parked';
CREATE INDEX idx_inbox_trouble ON inbox_messages (tenant_id, state, id)
    WHERE state IN ('parked', 'unprocessable', 'dead');
SELECT guard_tenant_table('inbox_messages', 'SELECT');

-- A fact of a provider's, known by a key that redeliveries repeat though their bytes differ. Written in the
-- transaction of its effect, so that neither exists without the other.
CREATE TABLE inbox_facts (
    tenant_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    dedupe_key bytea NOT NULL,
    message_id uuid NOT NULL,
    first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, connection_id, dedupe_key)
);
CREATE INDEX idx_inbox_facts_message ON inbox_facts (tenant_id, message_id);
SELECT guard_tenant_table('inbox_facts', 'SELECT, INSERT');

-- Refused posts, counted by connection and minute: a forger can make a number larger, not the table. The nil UUID
-- stands for paths that lead to no connection. `recorded` is how many of them are in the ledger already.
CREATE TABLE inbound_refusals (
    tenant_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    minute timestamptz NOT NULL,
    reason varchar(200) NOT NULL,
    refused bigint NOT NULL,
    recorded bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, connection_id, minute, reason)
);
CREATE INDEX idx_refusals_unrecorded ON inbound_refusals (minute) WHERE refused > recorded;
SELECT guard_tenant_table('inbound_refusals', 'SELECT');

-- Keeps a batch of authentic messages, each by its bytes once. Bytes that are known are counted, and the message is
-- taken up again unless it is done, under way or beyond understanding: a failure never swallows the provider's retry.
-- Returns the ids under which the bytes are kept; `times` is how often each came within this batch.
CREATE FUNCTION keep_messages(
    tenants uuid[], ids uuid[], connections uuid[], providers text[], headers_in bytea[], bodies bytea[],
    digests bytea[], sizes integer[], keys integer[], times integer[]
) RETURNS TABLE (digest bytea, connection_id uuid, id uuid)
LANGUAGE sql VOLATILE AS $$
    INSERT INTO inbox_messages AS m (tenant_id, id, connection_id, provider, headers, body, body_sha256, body_bytes,
        key_index, duplicates)
    SELECT t.tenant, t.id, t.connection, t.provider, t.headers, t.body, t.digest, t.size, t.key, t.times - 1
    FROM unnest(tenants, ids, connections, providers, headers_in, bodies, digests, sizes, keys, times)
        AS t(tenant, id, connection, provider, headers, body, digest, size, key, times)
    ORDER BY t.tenant, t.connection, t.digest  -- one order for all, so that two batches cannot wait for each other
    ON CONFLICT ON CONSTRAINT uq_inbox_messages_body DO UPDATE SET
        duplicates = m.duplicates + excluded.duplicates + 1,
        last_received_at = clock_timestamp(),
        state = CASE WHEN m.state IN ('parked', 'dead') THEN 'received' ELSE m.state END,
        failures = CASE WHEN m.state = 'dead' THEN 0 ELSE m.failures END,
        finished_at = CASE WHEN m.state = 'dead' THEN NULL ELSE m.finished_at END,
        next_at = CASE WHEN m.state IN ('received', 'parked', 'dead') THEN clock_timestamp() ELSE m.next_at END
    RETURNING m.body_sha256, m.connection_id, m.id
$$;

-- Leases up to `most` due messages, oldest due first, while fewer than `batches` claims are under way over all
-- workers. A message whose worker was lost counts that as a failure and is claimed alone, so that one that kills its
-- worker takes no other with it. At most `bytes` of bodies come at once.
CREATE FUNCTION claim_messages(claim uuid, most integer, bytes bigint, lease_s double precision, batches integer)
RETURNS TABLE (
    tenant_id uuid, id uuid, connection_id uuid, provider text, received_at timestamptz, body bytea,
    body_sha256 bytea, failures integer, waits integer, error text, events integer, effects integer
)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE moment timestamptz;  -- no index is asked for what clock_timestamp() says
BEGIN
    PERFORM pg_advisory_xact_lock(7260250);  -- the count of claims and the claim must be one step
    moment := clock_timestamp();
    IF (SELECT count(DISTINCT p.claim_id) FROM inbox_messages p
        WHERE p.state = 'processing' AND p.next_at > clock_timestamp()) >= batches THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT d.tenant_id, d.id, d.body_bytes, d.next_at, d.state = 'processing' AS lost
        FROM inbox_messages d
        WHERE d.next_at <= moment
        ORDER BY d.next_at, d.id LIMIT most FOR UPDATE SKIP LOCKED
    ), ranked AS (
        SELECT d.*, row_number() OVER w AS place, sum(d.body_bytes) OVER w AS total, first_value(d.lost) OVER w AS alone
        FROM due d WINDOW w AS (ORDER BY d.next_at, d.id)
    )
    UPDATE inbox_messages m SET
        state = 'processing', claim_id = claim, next_at = clock_timestamp() + make_interval(secs => lease_s),
        failures = m.failures + CASE WHEN r.lost THEN 1 ELSE 0 END,
        error = CASE WHEN r.lost THEN 'The worker was lost while it processed the message.' ELSE m.error END
    FROM ranked r
    WHERE m.tenant_id = r.tenant_id AND m.id = r.id
      AND (r.place = 1 OR (r.total <= bytes AND NOT r.alone AND NOT r.lost))
    RETURNING m.tenant_id, m.id, m.connection_id, m.provider::text, m.received_at, m.body, m.body_sha256, m.failures,
        m.waits, m.error, m.events, m.effects;
END $$;

-- Writes what became of a batch; only rows that this claim still holds move. delays: seconds until the next look,
-- null for never. Returns how many moved.
CREATE FUNCTION finish_messages(
    claim uuid, ids uuid[], states text[], delays double precision[], failures_in integer[], waits_in integer[],
    errors text[], refs text[], names text[], counts integer[], effects_in integer[]
) RETURNS integer
LANGUAGE sql VOLATILE AS $$
    WITH moved AS (
        UPDATE inbox_messages m SET
            state = t.state, next_at = clock_timestamp() + make_interval(secs => t.delay), claim_id = NULL,
            failures = t.failures, waits = t.waits, error = left(t.error, 1000),
            provider_ref = left(t.ref, 255), provider_event = left(t.name, 200), events = t.count,
            effects = t.effects,
            finished_at = CASE WHEN t.delay IS NULL THEN clock_timestamp() END
        FROM unnest(ids, states, delays, failures_in, waits_in, errors, refs, names, counts, effects_in)
            AS t(id, state, delay, failures, waits, error, ref, name, count, effects)
        WHERE m.id = t.id AND m.claim_id = claim AND m.state = 'processing'
        RETURNING 1
    ) SELECT count(*)::integer FROM moved
$$;

CREATE FUNCTION renew_claim(claim uuid, lease_s double precision) RETURNS integer
LANGUAGE sql VOLATILE AS $$
    WITH renewed AS (
        UPDATE inbox_messages m SET next_at = clock_timestamp() + make_interval(secs => lease_s)
        WHERE m.claim_id = claim AND m.state = 'processing' RETURNING 1
    ) SELECT count(*)::integer FROM renewed
$$;

-- Gives a claim back without a mark: at shutdown, or when the store went away in between.
CREATE FUNCTION release_claim(claim uuid) RETURNS integer
LANGUAGE sql VOLATILE AS $$
    WITH freed AS (
        UPDATE inbox_messages m SET state = 'received', claim_id = NULL, next_at = clock_timestamp()
        WHERE m.claim_id = claim AND m.state = 'processing' RETURNING 1
    ) SELECT count(*)::integer FROM freed
$$;

-- Parked messages whose envelope has learnt its provider's id since are due now.
CREATE FUNCTION wake_parked(most integer) RETURNS integer
LANGUAGE sql VOLATILE AS $$
    WITH matched AS (
        UPDATE inbox_messages m SET next_at = clock_timestamp()
        FROM (
            SELECT p.tenant_id, p.id FROM inbox_messages p
            JOIN envelopes e ON e.tenant_id = p.tenant_id AND e.connection_id = p.connection_id
                AND e.provider_ref = p.provider_ref
            WHERE p.state = 'parked' AND p.provider_ref <> ''
              AND (p.next_at IS NULL OR p.next_at > clock_timestamp())
            LIMIT most FOR UPDATE OF p SKIP LOCKED
        ) found
        WHERE m.tenant_id = found.tenant_id AND m.id = found.id
        RETURNING 1
    ) SELECT count(*)::integer FROM matched
$$;

-- Takes messages up again on request: one by its id, or those of a state. Facts that had their effect stay known, so
-- that no effect comes twice; those of messages that are done and had none are forgotten and get another chance.
CREATE FUNCTION replay_messages(tenant uuid, one uuid, of_states text[], on_connection uuid, since timestamptz,
    until timestamptz, most integer)
RETURNS TABLE (id uuid, connection_id uuid, previous text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY
    WITH chosen AS MATERIALIZED (
        SELECT k.id, k.connection_id, k.state, k.effects FROM inbox_messages k
        WHERE k.tenant_id = tenant AND k.state = ANY (of_states) AND (one IS NULL OR k.id = one)
          AND (on_connection IS NULL OR k.connection_id = on_connection)
          AND (since IS NULL OR k.received_at >= since) AND (until IS NULL OR k.received_at < until)
        ORDER BY k.id LIMIT most FOR UPDATE
    ), forgotten AS (
        DELETE FROM inbox_facts f USING chosen c
        WHERE f.tenant_id = tenant AND f.message_id = c.id AND c.state = 'done' AND c.effects = 0
    ), taken AS (
        UPDATE inbox_messages m SET state = 'received', next_at = clock_timestamp(), failures = 0, waits = 0,
            replays = m.replays + 1, finished_at = NULL, claim_id = NULL
        FROM chosen c WHERE m.tenant_id = tenant AND m.id = c.id
    )
    SELECT c.id, c.connection_id, c.state FROM chosen c ORDER BY c.id;
END $$;

CREATE FUNCTION count_refusals(tenants uuid[], connections uuid[], minutes timestamptz[], reasons text[],
    counts bigint[]) RETURNS void
LANGUAGE sql VOLATILE AS $$
    INSERT INTO inbound_refusals AS r (tenant_id, connection_id, minute, reason, refused)
    SELECT t.tenant, t.connection, date_trunc('minute', t.minute), t.reason, sum(t.count)
    FROM unnest(tenants, connections, minutes, reasons, counts) AS t(tenant, connection, minute, reason, count)
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (tenant_id, connection_id, minute, reason) DO UPDATE SET refused = r.refused + excluded.refused
$$;

-- Refusals of minutes that are over and not in the ledger yet; the caller records them in this transaction.
CREATE FUNCTION take_refusals(most integer, settle_s double precision)
RETURNS TABLE (tenant_id uuid, connection_id uuid, minute timestamptz, reason text, refused bigint)
LANGUAGE sql VOLATILE AS $$
    UPDATE inbound_refusals r SET recorded = r.refused
    FROM (
        SELECT k.tenant_id, k.connection_id, k.minute, k.reason, k.refused - k.recorded AS fresh
        FROM inbound_refusals k
        WHERE k.refused > k.recorded
          AND k.minute + interval '1 minute' + make_interval(secs => settle_s) <= clock_timestamp()
        ORDER BY k.minute LIMIT most FOR UPDATE SKIP LOCKED
    ) due
    WHERE r.tenant_id = due.tenant_id AND r.connection_id = due.connection_id AND r.minute = due.minute
      AND r.reason = due.reason
    RETURNING r.tenant_id, r.connection_id, r.minute, r.reason::text, due.fresh
$$;

REVOKE ALL ON FUNCTION keep_messages, claim_messages, finish_messages, renew_claim, release_claim, wake_parked,
    replay_messages, count_refusals, take_refusals FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_messages, claim_messages, finish_messages, renew_claim, release_claim, wake_parked,
    count_refusals, take_refusals TO countersign_hub;
GRANT EXECUTE ON FUNCTION replay_messages TO countersign_app, countersign_hub;
