-- Webhooks to tenants: endpoints, the outbox, deliveries and their attempts.
-- The truth of delivery is here; Redis only wakes the deliverers. Business transactions write the outbox and never
-- wait for an endpoint's counter: sequence numbers are given by the fan-out after commit.

-- secret and previous_secret are vault ciphertext. events empty: all types. `revision` moves with every change of
-- configuration and tells the deliverers' caches apart; next_sequence does not move it.
CREATE TABLE webhook_endpoints (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL UNIQUE,
    url varchar(2048) NOT NULL,
    description varchar(500) NOT NULL DEFAULT '',
    events text[] NOT NULL DEFAULT '{}',
    active boolean NOT NULL DEFAULT true,
    disabled_reason varchar(200) NOT NULL DEFAULT '',
    secret bytea NOT NULL,
    previous_secret bytea,
    previous_until timestamptz,
    cutover_at timestamptz,
    retry_profile varchar(20) NOT NULL DEFAULT 'design' CHECK (retry_profile IN ('design', 'standard', 'custom')),
    retry_schedule integer[] NOT NULL DEFAULT '{}',
    timeout_seconds integer NOT NULL DEFAULT 30 CHECK (timeout_seconds BETWEEN 1 AND 60),
    signature_profile varchar(20) NOT NULL DEFAULT 'both'
        CHECK (signature_profile IN ('both', 'seed', 'standard')),
    max_in_flight integer NOT NULL DEFAULT 8 CHECK (max_in_flight BETWEEN 1 AND 256),
    next_sequence bigint NOT NULL DEFAULT 1,
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200);
SELECT guard_tenant_table('webhook_endpoints', 'SELECT, INSERT, UPDATE, DELETE');

-- What happened, once per event; `data` is the exact bytes of the webhook's data object.
CREATE TABLE outbox_events (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    envelope_id uuid,
    occurred_at timestamptz NOT NULL,
    data bytea NOT NULL,
    chain_id text,
    ledger_seq bigint,
    ledger_hash bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id)
);
-- "What was said of this envelope lately": asked once per provider event that may echo an act of our own.
CREATE INDEX idx_outbox_events_envelope ON outbox_events (tenant_id, envelope_id, created_at)
    WHERE envelope_id IS NOT NULL;
SELECT guard_tenant_table('outbox_events', 'SELECT');

-- Events that wait for the fan-out. Nearly always nearly empty, and written as often as it is read: vacuum early.
CREATE TABLE outbox_pending (
    event_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX idx_outbox_pending_order ON outbox_pending (created_at, event_id);
SELECT guard_tenant_table('outbox_pending', 'SELECT');

-- One row per event and endpoint. `attempt` counts against the schedule, `throttled` counts answers 429, `tries`
-- counts every request. A lease that ran out leaves possibly_delivered: the receiver may have seen it.
CREATE TABLE deliveries (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    sequence bigint NOT NULL,
    order_key uuid,
    state text NOT NULL CHECK (state IN ('pending', 'leased', 'succeeded', 'exhausted', 'held', 'cancelled')),
    attempt integer NOT NULL DEFAULT 0,
    throttled integer NOT NULL DEFAULT 0,
    tries integer NOT NULL DEFAULT 0,
    expiries integer NOT NULL DEFAULT 0,
    replays integer NOT NULL DEFAULT 0,
    possibly_delivered boolean NOT NULL DEFAULT false,
    due_at timestamptz NOT NULL,
    lease_until timestamptz,
    claim_id uuid,
    last_status integer,
    last_error text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, endpoint_id, sequence)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
        autovacuum_analyze_threshold = 2000);
-- First attempts (0) and retries (1) are queues of their own, so that neither hides behind the other.
CREATE INDEX idx_deliveries_due ON deliveries (endpoint_id, least(attempt, 1), due_at, sequence)
    WHERE state = 'pending';
CREATE INDEX idx_deliveries_leased ON deliveries (endpoint_id, lease_until) WHERE state = 'leased';
CREATE INDEX idx_deliveries_order ON deliveries (endpoint_id, order_key, sequence)
    WHERE order_key IS NOT NULL AND state IN ('pending', 'leased', 'held');
CREATE INDEX idx_deliveries_kept ON deliveries (tenant_id, endpoint_id, id) WHERE state IN ('exhausted', 'held');
SELECT guard_tenant_table('deliveries', 'SELECT');

-- What was asked and answered, one row per request: a claim allows one request per delivery, so the two name it.
-- started_at is in the key, so that the table can be partitioned by day without a change of query.
CREATE TABLE delivery_attempts (
    tenant_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    claim_id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    outcome text NOT NULL,
    status integer,
    error text NOT NULL DEFAULT '',
    response bytea,
    PRIMARY KEY (tenant_id, delivery_id, claim_id, started_at)
);
SELECT guard_tenant_table('delivery_attempts', 'SELECT');

-- A UUIDv7 for rows that SQL makes by itself (uuidv7() exists from PostgreSQL 18 on only).
CREATE FUNCTION outbound_id() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT encode(set_bit(set_bit(
        overlay(uuid_send(gen_random_uuid())
                PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                FROM 1 FOR 6),
        52, 1), 53, 1), 'hex')::uuid
$$;

-- Turns waiting events into deliveries: one call, one batch. One fan-out at a time, because two would give the
-- events of one envelope sequence numbers out of order. `mailboxes` are the endpoints that have new work.
CREATE FUNCTION fan_out(max_events integer)
RETURNS TABLE (events integer, deliveries integer, mailboxes uuid[])
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(724001) THEN
        RETURN QUERY SELECT -1, 0, '{}'::uuid[];
        RETURN;
    END IF;
    RETURN QUERY
    WITH next AS (
        SELECT p.event_id FROM outbox_pending p ORDER BY p.created_at, p.event_id LIMIT max_events
        FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM outbox_pending p USING next WHERE p.event_id = next.event_id
        RETURNING p.tenant_id, p.event_id, p.created_at
    ), matched AS (
        SELECT t.tenant_id, t.event_id, o.envelope_id, e.id AS endpoint_id,
               row_number() OVER (PARTITION BY e.id ORDER BY t.created_at, t.event_id) - 1 AS place
        FROM taken t
        JOIN outbox_events o ON o.tenant_id = t.tenant_id AND o.id = t.event_id
        JOIN webhook_endpoints e ON e.tenant_id = t.tenant_id
             AND (cardinality(e.events) = 0 OR o.type = ANY (e.events))
    ), numbered AS (
        UPDATE webhook_endpoints e SET next_sequence = e.next_sequence + m.total
        FROM (SELECT tenant_id, endpoint_id, count(*) AS total FROM matched GROUP BY 1, 2) m
        WHERE e.tenant_id = m.tenant_id AND e.id = m.endpoint_id
        RETURNING e.id, e.active, e.next_sequence - m.total AS first
    ), made AS (
        INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, sequence, order_key, state, due_at)
        SELECT m.tenant_id, outbound_id(), m.event_id, m.endpoint_id, n.first + m.place, m.envelope_id,
               CASE WHEN n.active THEN 'pending' ELSE 'held' END, now()
        FROM matched m JOIN numbered n ON n.id = m.endpoint_id
        RETURNING endpoint_id
    )
    SELECT (SELECT count(*) FROM taken)::integer,
           (SELECT count(*) FROM made)::integer,
           (SELECT coalesce(array_agg(n.id), '{}') FROM numbered n WHERE n.active);
END $$;

-- Leases up to `room` due deliveries of the wanted mailboxes, in turns: the first of each, then the second of each.
-- A mailbox is locked for the moment of the claim, so that its cap holds over all deliverers; one that somebody
-- else is claiming from comes back as a row without id. `shares` bounds what each mailbox may add. Of one envelope only the lowest open sequence may go.
-- `more`: the mailbox has due work that this claim could not take.
CREATE FUNCTION claim_deliveries(
    wanted uuid[], shares integer[], room integer, retry_room integer, lease interval, claim uuid
) RETURNS TABLE (
    endpoint_id uuid, revision integer, tenant_id uuid, id uuid, event_id uuid, sequence bigint, attempt integer,
    throttled integer, type text, occurred_at timestamptz, envelope_id uuid, data bytea, more boolean
)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE locked uuid[];
BEGIN
    -- A claim that a crash of the server forgets is a delivery that is still pending: nobody need wait for the disk.
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT array_agg(l.id) INTO locked FROM (
        SELECT e.id FROM webhook_endpoints e WHERE e.id = ANY (wanted) AND e.active FOR NO KEY UPDATE SKIP LOCKED
    ) l;
    RETURN QUERY
    WITH mailboxes AS MATERIALIZED (
        SELECT e.id, e.revision, greatest(0, least(w.share, e.max_in_flight - (
            SELECT count(*) FROM deliveries l WHERE l.endpoint_id = e.id AND l.state = 'leased')))::integer AS free
        FROM unnest(wanted, shares) AS w(id, share)
        JOIN webhook_endpoints e ON e.id = w.id
        WHERE e.id = ANY (locked)
    ), ready AS MATERIALIZED (
        SELECT m.id AS endpoint_id, m.revision, m.free, d.tenant_id, d.id, d.due_at, d.sequence,
               c.retry = 1 AS retry,
               row_number() OVER (PARTITION BY m.id, c.retry ORDER BY d.due_at, d.sequence) AS turn
        FROM mailboxes m
        CROSS JOIN (VALUES (0, room), (1, retry_room)) AS c(retry, most)
        CROSS JOIN LATERAL (
            SELECT p.tenant_id, p.id, p.due_at, p.sequence
            FROM deliveries p
            WHERE p.endpoint_id = m.id AND p.state = 'pending' AND least(p.attempt, 1) = c.retry
              AND p.due_at <= now()
              AND (p.order_key IS NULL OR NOT EXISTS (
                    SELECT FROM deliveries b
                    WHERE b.endpoint_id = p.endpoint_id AND b.order_key = p.order_key
                      AND b.sequence < p.sequence AND b.state IN ('pending', 'leased', 'held')))
            ORDER BY p.due_at, p.sequence
            LIMIT least(m.free, c.most)
        ) d
    ), allowed AS (
        SELECT r.*, row_number() OVER (PARTITION BY r.endpoint_id ORDER BY r.due_at, r.sequence) AS place
        FROM (
            SELECT k.*, count(*) FILTER (WHERE k.retry) OVER (
                ORDER BY k.turn, k.endpoint_id ROWS UNBOUNDED PRECEDING) AS retries
            FROM ready k
        ) r
        WHERE NOT r.retry OR r.retries <= retry_room
    ), chosen AS MATERIALIZED (
        SELECT a.endpoint_id, a.revision, a.tenant_id, a.id FROM allowed a
        WHERE a.place <= a.free ORDER BY a.place, a.endpoint_id LIMIT room
    ), share AS MATERIALIZED (
        SELECT c.endpoint_id, c.taken < (
            SELECT count(*) FROM (
                (SELECT FROM deliveries d WHERE d.endpoint_id = c.endpoint_id AND d.state = 'pending'
                 AND least(d.attempt, 1) = 0 AND d.due_at <= now() LIMIT c.taken + 1)
                UNION ALL
                (SELECT FROM deliveries d WHERE d.endpoint_id = c.endpoint_id AND d.state = 'pending'
                 AND least(d.attempt, 1) = 1 AND d.due_at <= now() LIMIT c.taken + 1)) q) AS more
        FROM (SELECT k.endpoint_id, count(*) AS taken FROM chosen k GROUP BY k.endpoint_id) c
    ), leased AS (
        UPDATE deliveries d
        SET state = 'leased', lease_until = now() + lease, claim_id = claim
        FROM chosen c
        WHERE d.tenant_id = c.tenant_id AND d.id = c.id AND d.state = 'pending'
        RETURNING d.endpoint_id, c.revision, d.tenant_id, d.id, d.event_id, d.sequence, d.attempt, d.throttled
    )
    SELECT l.endpoint_id, l.revision, l.tenant_id, l.id, l.event_id, l.sequence, l.attempt, l.throttled,
           o.type, o.occurred_at, o.envelope_id, o.data, s.more
    FROM leased l
    JOIN outbox_events o ON o.tenant_id = l.tenant_id AND o.id = l.event_id
    JOIN share s ON s.endpoint_id = l.endpoint_id
    UNION ALL
    SELECT e.id, e.revision, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true
    FROM webhook_endpoints e
    WHERE cardinality(wanted) > coalesce(cardinality(locked), 0)
      AND e.id = ANY (wanted) AND e.active AND NOT e.id = ANY (coalesce(locked, '{}'));
END $$;

-- Writes the results of a batch: deliveries whose claim still holds move on, every request made is logged. A retry
-- for a mailbox that was switched off meanwhile is held, for one that was deleted it is cancelled.
-- Returns the deliveries that did not move, because their lease had been lost.
CREATE FUNCTION complete_deliveries(
    tenants uuid[], ids uuid[], claims uuid[], endpoints uuid[], states text[], attempts integer[],
    throttles integer[], delays double precision[], starts timestamptz[], durations integer[],
    outcomes text[], statuses integer[], errors text[], responses bytea[]
) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE lost uuid[];
BEGIN
    WITH done AS MATERIALIZED (
        SELECT * FROM unnest(tenants, ids, claims, endpoints, states, attempts, throttles, delays,
                             starts, durations, outcomes, statuses, errors, responses)
            AS t(tenant_id, id, claim_id, endpoint_id, state, attempt, throttled, delay, started_at,
                 duration_ms, outcome, status, error, response)
    ), logged AS (
        INSERT INTO delivery_attempts
            (tenant_id, delivery_id, claim_id, started_at, duration_ms, outcome, status, error, response)
        SELECT t.tenant_id, t.id, t.claim_id, t.started_at, t.duration_ms, t.outcome, t.status, t.error,
               t.response
        FROM done t
        ON CONFLICT DO NOTHING  -- a batch is written again when the answer to the first time was lost
    ), settled AS (
        UPDATE deliveries d SET
            state = CASE WHEN t.state <> 'pending' OR e.active THEN t.state
                         WHEN e.id IS NULL THEN 'cancelled' ELSE 'held' END,
            attempt = t.attempt, throttled = t.throttled, tries = d.tries + 1, expiries = 0,
            due_at = now() + make_interval(secs => t.delay),
            lease_until = NULL, claim_id = NULL, last_status = t.status, last_error = t.error,
            finished_at = CASE WHEN t.state IN ('succeeded', 'exhausted') THEN now() END
        FROM done t LEFT JOIN webhook_endpoints e ON e.id = t.endpoint_id
        WHERE d.tenant_id = t.tenant_id AND d.id = t.id AND d.claim_id = t.claim_id AND d.state = 'leased'
        RETURNING d.id
    )
    SELECT coalesce(array_agg(t.id), '{}') INTO lost FROM done t WHERE t.id NOT IN (SELECT s.id FROM settled s);
    RETURN lost;
END $$;

-- Gives back what was claimed and not sent: at shutdown, without a mark.
CREATE FUNCTION release_claims(ids uuid[], claims uuid[]) RETURNS integer
LANGUAGE sql VOLATILE AS $$
    WITH back AS (
        UPDATE deliveries d SET state = 'pending', lease_until = NULL, claim_id = NULL
        FROM unnest(ids, claims) AS t(id, claim_id)
        WHERE d.id = t.id AND d.claim_id = t.claim_id AND d.state = 'leased'
        RETURNING 1
    ) SELECT count(*)::integer FROM back
$$;

CREATE FUNCTION renew_leases(held uuid[], lease interval) RETURNS integer
LANGUAGE sql VOLATILE AS $$
    WITH renewed AS (
        UPDATE deliveries d SET lease_until = now() + lease
        WHERE d.claim_id = ANY (held) AND d.state = 'leased'
        RETURNING 1
    ) SELECT count(*)::integer FROM renewed
$$;

-- Leases that ran out go back to pending, marked: the request may have reached the receiver. One that has run out
-- `patience` times in a row stays for whoever gives it up: it may be what kills the deliverers.
CREATE FUNCTION expire_leases(most integer, patience integer) RETURNS TABLE (endpoint_id uuid, id uuid)
LANGUAGE sql VOLATILE AS $$
    UPDATE deliveries d SET state = 'pending', lease_until = NULL, claim_id = NULL, due_at = now(),
           possibly_delivered = true, expiries = d.expiries + 1,
           last_error = 'the deliverer was lost while it sent; the receiver may have it'
    WHERE (d.tenant_id, d.id) IN (
        SELECT l.tenant_id, l.id FROM deliveries l WHERE l.state = 'leased' AND l.lease_until < now()
          AND l.expiries < patience
        ORDER BY l.id LIMIT most FOR UPDATE SKIP LOCKED)
    RETURNING d.endpoint_id, d.id
$$;

-- Every mailbox with due work and how long its oldest has waited, found by jumping through the index. `active` is
-- false or null where a mailbox was switched off or deleted in the moment in which a retry was written.
CREATE FUNCTION ready_mailboxes() RETURNS TABLE (endpoint_id uuid, active boolean, waited_s double precision)
LANGUAGE sql STABLE SET enable_seqscan = off AS $$
    WITH RECURSIVE jump AS (
        (SELECT d.endpoint_id FROM deliveries d WHERE d.state = 'pending' ORDER BY d.endpoint_id LIMIT 1)
        UNION ALL
        SELECT (SELECT d.endpoint_id FROM deliveries d WHERE d.state = 'pending'
                AND d.endpoint_id > jump.endpoint_id ORDER BY d.endpoint_id LIMIT 1)
        FROM jump WHERE jump.endpoint_id IS NOT NULL
    )
    SELECT j.endpoint_id, e.active, extract(epoch FROM now() - first.due_at)::double precision
    FROM jump j
    JOIN LATERAL (
        SELECT min(f.due_at) AS due_at FROM (VALUES (0), (1)) AS c(retry) CROSS JOIN LATERAL (
            SELECT d.due_at FROM deliveries d WHERE d.endpoint_id = j.endpoint_id AND d.state = 'pending'
            AND least(d.attempt, 1) = c.retry ORDER BY d.due_at LIMIT 1) f
    ) first ON first.due_at <= now()
    LEFT JOIN webhook_endpoints e ON e.id = j.endpoint_id
    WHERE j.endpoint_id IS NOT NULL
$$;

-- The three things that may happen to a whole mailbox. SECURITY DEFINER, because the app role may not write
-- deliveries; the tables' policies still hold, as their owner is under them too.
CREATE FUNCTION change_mailbox(tenant uuid, endpoint uuid, verb text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE changed integer;
BEGIN
    CASE verb
    WHEN 'hold' THEN
        UPDATE deliveries d SET state = 'held'
        WHERE d.tenant_id = tenant AND d.endpoint_id = endpoint AND d.state = 'pending';
    WHEN 'release' THEN
        UPDATE deliveries d SET state = 'pending', due_at = now()
        WHERE d.tenant_id = tenant AND d.endpoint_id = endpoint AND d.state = 'held';
    WHEN 'cancel' THEN
        UPDATE deliveries d SET state = 'cancelled', finished_at = now()
        WHERE d.tenant_id = tenant AND d.endpoint_id = endpoint AND d.state IN ('pending', 'held');
    END CASE;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;

-- Back to pending with a fresh schedule; same event, same bytes, same sequence. Returns what was taken back.
CREATE FUNCTION replay_deliveries(tenant uuid, endpoint uuid, delivery uuid, most integer)
RETURNS TABLE (id uuid, endpoint_id uuid, event_id uuid, previous text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE deliveries d SET state = 'pending', due_at = now(), attempt = 0, throttled = 0, expiries = 0,
           replays = d.replays + 1, finished_at = NULL
    FROM (
        SELECT k.tenant_id, k.id, k.state FROM deliveries k
        JOIN webhook_endpoints e ON e.tenant_id = k.tenant_id AND e.id = k.endpoint_id AND e.active
        WHERE k.tenant_id = tenant
          AND CASE WHEN delivery IS NULL THEN k.endpoint_id = endpoint AND k.state = 'exhausted'
                   ELSE k.id = delivery AND k.state IN ('exhausted', 'succeeded') END
        ORDER BY k.id LIMIT most FOR UPDATE OF k
    ) old
    WHERE d.tenant_id = old.tenant_id AND d.id = old.id
    RETURNING d.id, d.endpoint_id, d.event_id, old.state
$$;

-- A delivery of one event to one endpoint, past the fan-out: test events go to whom they were asked for only.
CREATE FUNCTION deliver_to(tenant uuid, event uuid, endpoint uuid, delivery uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE taken bigint;
BEGIN
    DELETE FROM outbox_pending p WHERE p.event_id = event;
    UPDATE webhook_endpoints e SET next_sequence = e.next_sequence + 1
    WHERE e.tenant_id = tenant AND e.id = endpoint RETURNING e.next_sequence - 1 INTO taken;
    INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, sequence, state, due_at)
    VALUES (tenant, delivery, event, endpoint, taken, 'pending', now());
    RETURN taken;
END $$;

REVOKE ALL ON FUNCTION fan_out, claim_deliveries, complete_deliveries, release_claims, renew_leases, expire_leases,
    ready_mailboxes, change_mailbox, replay_deliveries, deliver_to FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fan_out, claim_deliveries, complete_deliveries, release_claims, renew_leases,
    expire_leases, ready_mailboxes TO countersign_hub;
GRANT EXECUTE ON FUNCTION change_mailbox, replay_deliveries, deliver_to TO countersign_app, countersign_hub;
