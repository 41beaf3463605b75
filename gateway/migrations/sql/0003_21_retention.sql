-- What may be forgotten, a page at a time: each call looks at the oldest of one tenant by the time in their ids
-- (UUIDv7), removes what is old enough and needed by nothing, and returns how many it removed and where it stopped.
-- `last` null: nothing is left to look at.

-- The smallest id that can have been made at a moment.
CREATE FUNCTION first_id_of(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT encode(substring(int8send(floor(extract(epoch FROM moment) * 1000)::bigint) FROM 3)
                  || '\x70008000000000000000'::bytea, 'hex')::uuid
$$;

CREATE FUNCTION reap_attempts(tenant uuid, kept interval, passed uuid, most integer,
    OUT removed integer, OUT last uuid)
LANGUAGE sql VOLATILE SET enable_seqscan = off AS $$
    WITH page AS MATERIALIZED (
        SELECT a.delivery_id, a.claim_id, a.started_at FROM delivery_attempts a
        WHERE a.tenant_id = tenant AND a.delivery_id > passed AND a.delivery_id < first_id_of(now() - kept)
        ORDER BY a.delivery_id, a.claim_id, a.started_at LIMIT most
    ), gone AS (
        DELETE FROM delivery_attempts a USING page p
        WHERE a.tenant_id = tenant AND a.delivery_id = p.delivery_id AND a.claim_id = p.claim_id
          AND a.started_at = p.started_at AND p.started_at < now() - kept
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM gone)::integer,
           (SELECT p.delivery_id FROM page p ORDER BY p.delivery_id DESC LIMIT 1)
$$;

-- Only what has ended well or was cancelled: what never arrived is kept until it does.
CREATE FUNCTION reap_deliveries(tenant uuid, kept interval, passed uuid, most integer,
    OUT removed integer, OUT last uuid)
LANGUAGE sql VOLATILE SET enable_seqscan = off AS $$
    WITH page AS MATERIALIZED (
        SELECT d.id FROM deliveries d
        WHERE d.tenant_id = tenant AND d.id > passed AND d.id < first_id_of(now() - kept)
        ORDER BY d.id LIMIT most
    ), gone AS (
        DELETE FROM deliveries d USING page p
        WHERE d.tenant_id = tenant AND d.id = p.id AND d.state IN ('succeeded', 'cancelled')
          AND d.finished_at < now() - kept
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM gone)::integer, (SELECT p.id FROM page p ORDER BY p.id DESC LIMIT 1)
$$;

-- The beginning of the feed, up to the first event that is still to be kept: numbers stay without a gap.
-- An event that is younger than one behind it in the feed keeps that one too.
CREATE FUNCTION reap_feed(tenant uuid, kept interval, most integer) RETURNS integer
LANGUAGE sql VOLATILE SET enable_seqscan = off AS $$
    WITH page AS MATERIALIZED (
        SELECT f.seq, coalesce(o.created_at < now() - kept, true) AS is_old
        FROM (SELECT f.seq, f.event_id FROM event_feed f WHERE f.tenant_id = tenant ORDER BY f.seq LIMIT most) f
        LEFT JOIN outbox_events o ON o.tenant_id = tenant AND o.id = f.event_id
    ), gone AS (
        DELETE FROM event_feed f USING page p
        WHERE f.tenant_id = tenant AND f.seq = p.seq AND p.is_old
          AND NOT EXISTS (SELECT FROM page young WHERE young.seq < p.seq AND NOT young.is_old)
        RETURNING 1
    ) SELECT count(*)::integer FROM gone
$$;

-- Events that no delivery and no feed speaks of any more.
CREATE FUNCTION reap_events(tenant uuid, kept interval, passed uuid, most integer,
    OUT removed integer, OUT last uuid)
LANGUAGE sql VOLATILE SET enable_seqscan = off AS $$
    WITH page AS MATERIALIZED (
        SELECT o.id, o.created_at FROM outbox_events o
        WHERE o.tenant_id = tenant AND o.id > passed AND o.id < first_id_of(now() - kept)
        ORDER BY o.id LIMIT most
    ), gone AS (
        DELETE FROM outbox_events o USING page p
        WHERE o.tenant_id = tenant AND o.id = p.id AND p.created_at < now() - kept
          AND NOT EXISTS (SELECT FROM deliveries d WHERE d.tenant_id = tenant AND d.event_id = p.id)
          AND NOT EXISTS (SELECT FROM event_feed f WHERE f.tenant_id = tenant AND f.event_id = p.id)
          AND NOT EXISTS (SELECT FROM outbox_pending w WHERE w.event_id = p.id)
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM gone)::integer, (SELECT p.id FROM page p ORDER BY p.id DESC LIMIT 1)
$$;

-- Both are asked by event: "who gets this event", and whether an event may go.
CREATE INDEX idx_deliveries_event ON deliveries (tenant_id, event_id);
CREATE INDEX idx_event_feed_event ON event_feed (tenant_id, event_id);

REVOKE ALL ON FUNCTION reap_attempts, reap_deliveries, reap_feed, reap_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reap_attempts, reap_deliveries, reap_feed, reap_events TO countersign_hub;
