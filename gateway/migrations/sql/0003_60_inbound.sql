-- Whom a message came from and how that was proved, what it contradicts, and what an administrator decided about it.

-- allowed_networks: CIDR; empty: any. A connection that names a certificate (SHA-256 of its DER, in hexadecimal, or its
-- subject as RFC 4514 writes it) takes messages only with it.
ALTER TABLE connections
    ADD COLUMN allowed_networks text[] NOT NULL DEFAULT '{}',
    ADD COLUMN client_certificate_sha256 text[] NOT NULL DEFAULT '{}',
    ADD COLUMN client_certificate_subject varchar(500) NOT NULL DEFAULT '';

-- verdict: how the message was found authentic ({} for one that came before this was kept). is_recorded: the ledger
-- has its inbound_received. findings: in what it contradicts what was sent. released_at: since when an administrator
-- lets the provider's own answer decide about it.
ALTER TABLE inbox_messages
    ADD COLUMN verdict jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN verified_at timestamptz,
    ADD COLUMN is_recorded boolean NOT NULL DEFAULT true,
    ADD COLUMN envelope_id uuid,
    ADD COLUMN findings jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN released_at timestamptz,
    DROP CONSTRAINT inbox_messages_state_check,
    ADD CONSTRAINT inbox_messages_state_check CHECK (state IN
        ('received', 'processing', 'done', 'parked', 'unprocessable', 'dead', 'quarantined', 'dropped'));
ALTER TABLE inbox_messages ALTER COLUMN is_recorded SET DEFAULT false;

DROP INDEX idx_inbox_trouble;
CREATE INDEX idx_inbox_trouble ON inbox_messages (tenant_id, state, id)
    WHERE state IN ('parked', 'unprocessable', 'dead', 'quarantined');
-- What has ended, oldest first: the reaper's way in.
CREATE INDEX idx_inbox_ended ON inbox_messages (finished_at) WHERE state IN ('done', 'dropped');

-- Differences of an envelope that an administrator has accepted: they hold back no further message about it.
CREATE TABLE inbox_accepted_findings (
    tenant_id uuid NOT NULL,
    envelope_id uuid NOT NULL,
    code varchar(50) NOT NULL,
    message_id uuid NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, envelope_id, code)
);
SELECT guard_tenant_table('inbox_accepted_findings', 'SELECT');

-- As before, with the verdicts; what is quarantined or dropped stays so when the provider repeats it.
DROP FUNCTION keep_messages;
CREATE FUNCTION keep_messages(
    tenants uuid[], ids uuid[], connections uuid[], providers text[], headers_in bytea[], bodies bytea[],
    digests bytea[], sizes integer[], keys integer[], times integer[], verdicts text[]
) RETURNS TABLE (digest bytea, connection_id uuid, id uuid)
LANGUAGE sql VOLATILE AS $$
    INSERT INTO inbox_messages AS m (tenant_id, id, connection_id, provider, headers, body, body_sha256, body_bytes,
        key_index, duplicates, verdict, verified_at)
    SELECT t.tenant, t.id, t.connection, t.provider, t.headers, t.body, t.digest, t.size, t.key, t.times - 1,
        t.verdict::jsonb, clock_timestamp()
    FROM unnest(tenants, ids, connections, providers, headers_in, bodies, digests, sizes, keys, times, verdicts)
        AS t(tenant, id, connection, provider, headers, body, digest, size, key, times, verdict)
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

-- The engine's reports come in the transaction of their change: nobody posts them, so nothing was received.
CREATE OR REPLACE FUNCTION put_engine_message(tenant uuid, own uuid, connection uuid, provider_in text, headers_in bytea,
    body_in bytea, digest bytea, size integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    INSERT INTO inbox_messages (tenant_id, id, connection_id, provider, headers, body, body_sha256, body_bytes, key_index,
        verdict, verified_at, is_recorded)
    SELECT tenant, own, c.id, c.provider, headers_in, body_in, digest, size, 0, '{"scheme": "in_process"}',
        clock_timestamp(), true
    FROM connections c WHERE c.tenant_id = tenant AND c.id = connection AND c.provider = provider_in;
    RETURN FOUND;
END $$;

-- As before, with what is known of each message's authenticity.
DROP FUNCTION claim_messages;
CREATE FUNCTION claim_messages(claim uuid, most integer, bytes bigint, lease_s double precision, batches integer)
RETURNS TABLE (
    tenant_id uuid, id uuid, connection_id uuid, provider text, received_at timestamptz, body bytea,
    body_sha256 bytea, body_bytes integer, failures integer, waits integer, error text, events integer, effects integer,
    verdict text, is_recorded boolean, is_released boolean
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
    RETURNING m.tenant_id, m.id, m.connection_id, m.provider::text, m.received_at, m.body, m.body_sha256, m.body_bytes,
        m.failures, m.waits, m.error, m.events, m.effects, m.verdict::text, m.is_recorded, m.released_at IS NOT NULL;
END $$;

-- As before, with the envelope and the differences. The caller has recorded, in this transaction, what was not yet.
DROP FUNCTION finish_messages;
CREATE FUNCTION finish_messages(
    claim uuid, ids uuid[], states text[], delays double precision[], failures_in integer[], waits_in integer[],
    errors text[], refs text[], names text[], counts integer[], effects_in integer[], envelopes uuid[],
    findings_in text[]
) RETURNS integer
LANGUAGE sql VOLATILE AS $$
    WITH moved AS (
        UPDATE inbox_messages m SET
            state = t.state, next_at = clock_timestamp() + make_interval(secs => t.delay), claim_id = NULL,
            failures = t.failures, waits = t.waits, error = left(t.error, 1000),
            provider_ref = left(t.ref, 255), provider_event = left(t.name, 200), events = t.count,
            effects = t.effects, envelope_id = COALESCE(t.envelope, m.envelope_id), findings = t.found::jsonb,
            is_recorded = true, finished_at = CASE WHEN t.delay IS NULL THEN clock_timestamp() END
        FROM unnest(ids, states, delays, failures_in, waits_in, errors, refs, names, counts, effects_in, envelopes,
            findings_in)
            AS t(id, state, delay, failures, waits, error, ref, name, count, effects, envelope, found)
        WHERE m.id = t.id AND m.claim_id = claim AND m.state = 'processing'
        RETURNING 1
    ) SELECT count(*)::integer FROM moved
$$;

-- Takes a message out of quarantine: from here on the provider's own answer decides about it. With `accepting`, its
-- differences hold back no further message about the same envelope. Returns the connection, null when it is not there.
CREATE FUNCTION release_message(tenant uuid, one uuid, accepting text[]) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE freed inbox_messages;
BEGIN
    PERFORM enter_tenant(tenant);
    UPDATE inbox_messages m SET state = 'received', next_at = clock_timestamp(), released_at = clock_timestamp(),
        failures = 0, waits = 0, finished_at = NULL
    WHERE m.tenant_id = tenant AND m.id = one AND m.state = 'quarantined' RETURNING m.* INTO freed;
    IF freed.id IS NOT NULL AND freed.envelope_id IS NOT NULL THEN
        INSERT INTO inbox_accepted_findings (tenant_id, envelope_id, code, message_id)
        SELECT DISTINCT tenant, freed.envelope_id, f.finding ->> 'code', one
        FROM jsonb_array_elements(freed.findings) AS f(finding) WHERE f.finding ->> 'code' = ANY (accepting)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN freed.connection_id;
END $$;

-- Gives a message up for good: it is kept, and has no effect. Returns its connection and former state.
CREATE FUNCTION drop_message(tenant uuid, one uuid, OUT connection uuid, OUT previous text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    UPDATE inbox_messages m SET state = 'dropped', next_at = NULL, claim_id = NULL, finished_at = clock_timestamp()
    FROM (SELECT k.id, k.state FROM inbox_messages k WHERE k.tenant_id = tenant AND k.id = one
          AND k.state IN ('parked', 'unprocessable', 'dead', 'quarantined') FOR UPDATE) former
    WHERE m.tenant_id = tenant AND m.id = former.id
    RETURNING m.connection_id, former.state INTO connection, previous;
END $$;

-- As before, and for the caller's own tenant only.
CREATE OR REPLACE FUNCTION replay_messages(tenant uuid, one uuid, of_states text[], on_connection uuid,
    since timestamptz, until timestamptz, most integer)
RETURNS TABLE (id uuid, connection_id uuid, previous text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM enter_tenant(tenant);
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

-- Messages that ended so long ago that only the ledger still needs their digest. Facts stay: they keep a redelivery
-- from having its effect again. Returns how many went; fewer than asked for when there are no more.
CREATE FUNCTION reap_messages(most integer, kept_days integer) RETURNS integer
LANGUAGE sql VOLATILE AS $$
    WITH gone AS (
        DELETE FROM inbox_messages m USING (
            SELECT e.tenant_id, e.id FROM inbox_messages e
            WHERE e.state IN ('done', 'dropped') AND e.is_recorded
              AND e.finished_at < now() - make_interval(days => kept_days)
            ORDER BY e.finished_at LIMIT most FOR UPDATE SKIP LOCKED
        ) old
        WHERE m.tenant_id = old.tenant_id AND m.id = old.id RETURNING 1
    ) SELECT count(*)::integer FROM gone
$$;

-- Refusals by where they came from too: a network of addresses, never one; "" for those that are counted together.
ALTER TABLE inbound_refusals
    ADD COLUMN source varchar(50) NOT NULL DEFAULT '',
    DROP CONSTRAINT inbound_refusals_pkey,
    ADD PRIMARY KEY (tenant_id, connection_id, minute, reason, source);

DROP FUNCTION count_refusals;
CREATE FUNCTION count_refusals(tenants uuid[], connections uuid[], minutes timestamptz[], reasons text[],
    sources text[], counts bigint[]) RETURNS void
LANGUAGE sql VOLATILE AS $$
    INSERT INTO inbound_refusals AS r (tenant_id, connection_id, minute, reason, source, refused)
    SELECT t.tenant, t.connection, date_trunc('minute', t.minute), t.reason, t.source, sum(t.count)
    FROM unnest(tenants, connections, minutes, reasons, sources, counts)
        AS t(tenant, connection, minute, reason, source, count)
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (tenant_id, connection_id, minute, reason, source) DO UPDATE SET refused = r.refused + excluded.refused
$$;

DROP FUNCTION take_refusals;
CREATE FUNCTION take_refusals(most integer, settle_s double precision)
RETURNS TABLE (tenant_id uuid, connection_id uuid, minute timestamptz, reason text, source text, refused bigint)
LANGUAGE sql VOLATILE AS $$
    UPDATE inbound_refusals r SET recorded = r.refused
    FROM (
        SELECT k.tenant_id, k.connection_id, k.minute, k.reason, k.source, k.refused - k.recorded AS fresh
        FROM inbound_refusals k
        WHERE k.refused > k.recorded
          AND k.minute + interval '1 minute' + make_interval(secs => settle_s) <= clock_timestamp()
        ORDER BY k.minute LIMIT most FOR UPDATE SKIP LOCKED
    ) due
    WHERE r.tenant_id = due.tenant_id AND r.connection_id = due.connection_id AND r.minute = due.minute
      AND r.reason = due.reason AND r.source = due.source
    RETURNING r.tenant_id, r.connection_id, r.minute, r.reason::text, r.source::text, due.fresh
$$;

REVOKE ALL ON FUNCTION keep_messages, claim_messages, finish_messages, release_message, drop_message, reap_messages,
    count_refusals, take_refusals FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_messages, claim_messages, finish_messages, reap_messages, count_refusals, take_refusals
    TO countersign_hub;
GRANT EXECUTE ON FUNCTION release_message, drop_message TO countersign_app, countersign_hub;
