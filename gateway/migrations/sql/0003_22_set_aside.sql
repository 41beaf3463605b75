-- Deliveries that wait behind an earlier one of their envelope are set aside: so a claim never reads past thousands
-- that may not go, and none of them counts as overdue. Whatever ends the earlier one calls the next; what was missed
-- is found by looking through those that are set aside (find_forgotten).
-- Order of locks: endpoint, deliveries that are waited for, deliveries that wait.

-- Sets aside, of each mailbox's first `most` of each queue, what waits for another of its envelope; returns how many.
-- The one that is waited for is locked, so that it cannot end unseen meanwhile; where it is just ending, the next ask
-- finds its followers free. A mailbox that somebody else is claiming from is left out.
CREATE FUNCTION set_blocked_aside(wanted uuid[], most integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
    locked uuid[];
    changed integer;
BEGIN
    SELECT array_agg(l.id) INTO locked FROM (
        SELECT e.id FROM webhook_endpoints e
        WHERE e.id = ANY (wanted) AND e.active AND e.ordering <> 'none' FOR NO KEY UPDATE SKIP LOCKED
    ) l;
    WITH blocked AS MATERIALIZED (
        SELECT d.tenant_id, d.id, b.id AS head, e.ordering = 'hold' AS holds
        FROM webhook_endpoints e
        CROSS JOIN (VALUES (0), (1)) AS c(retry)
        CROSS JOIN LATERAL (
            SELECT q.tenant_id, q.id, q.order_key, q.sequence FROM deliveries q
            WHERE q.endpoint_id = e.id AND q.state = 'pending'
              AND (CASE WHEN q.set_aside THEN 2 ELSE least(q.attempt, 1) END) = c.retry AND q.due_at <= now()
            ORDER BY q.due_at, q.sequence LIMIT most
        ) d
        CROSS JOIN LATERAL (
            SELECT o.id FROM deliveries o
            WHERE o.endpoint_id = e.id AND o.order_key = d.order_key AND o.sequence < d.sequence
              AND o.state IN ('pending', 'leased', 'held', 'exhausted')
              AND (o.state <> 'exhausted' OR e.ordering = 'hold')
            ORDER BY o.sequence LIMIT 1
        ) b
        WHERE e.id = ANY (locked)
    ), heads AS MATERIALIZED (
        SELECT o.tenant_id, o.id FROM (SELECT DISTINCT k.tenant_id, k.head, k.holds FROM blocked k) w
        JOIN deliveries o ON o.tenant_id = w.tenant_id AND o.id = w.head
        WHERE o.state IN ('pending', 'leased', 'held') OR (o.state = 'exhausted' AND w.holds)
        FOR SHARE OF o SKIP LOCKED
    )
    UPDATE deliveries d SET set_aside = true
    FROM blocked k JOIN heads h ON h.tenant_id = k.tenant_id AND h.id = k.head
    WHERE d.tenant_id = k.tenant_id AND d.id = k.id AND d.state = 'pending' AND NOT d.set_aside;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;

-- Of each of these envelopes at these endpoints, the first that is left is due now if it was set aside. Returns the
-- endpoints where one is due. One that somebody else is moving at this moment is left to them.
CREATE FUNCTION call_next(endpoints uuid[], keys uuid[]) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE freed uuid[];
BEGIN
    WITH next AS MATERIALIZED (
        SELECT e.id AS endpoint_id, n.tenant_id, n.id, n.set_aside, n.due_at
        FROM (SELECT DISTINCT u.endpoint_id, u.order_key FROM unnest(endpoints, keys) AS u(endpoint_id, order_key)) k
        JOIN webhook_endpoints e ON e.id = k.endpoint_id AND e.ordering <> 'none'
        CROSS JOIN LATERAL (
            SELECT o.tenant_id, o.id, o.set_aside, o.state, o.due_at FROM deliveries o
            WHERE o.endpoint_id = k.endpoint_id AND o.order_key = k.order_key
              AND o.state IN ('pending', 'leased', 'held', 'exhausted')
              AND (o.state <> 'exhausted' OR e.ordering = 'hold')
            ORDER BY o.sequence LIMIT 1
        ) n
        WHERE n.state = 'pending'
    ), called AS (
        UPDATE deliveries d SET set_aside = false, due_at = now()
        FROM (
            SELECT l.tenant_id, l.id FROM next x JOIN deliveries l ON l.tenant_id = x.tenant_id AND l.id = x.id
            WHERE x.set_aside AND l.state = 'pending' AND l.set_aside
            FOR UPDATE OF l SKIP LOCKED
        ) f
        WHERE d.tenant_id = f.tenant_id AND d.id = f.id
        RETURNING d.endpoint_id
    )
    SELECT array_agg(DISTINCT r.endpoint_id) INTO freed FROM (
        SELECT x.endpoint_id FROM next x WHERE NOT x.set_aside AND x.due_at <= now()
        UNION ALL SELECT c.endpoint_id FROM called c) r;
    RETURN coalesce(freed, '{}');
END $$;

-- Looks through the envelopes that have something set aside, `most` of them behind the one that was passed last, and
-- calls whom nobody waits for any more: two that ended at once may each have taken the other for what is in the way.
-- `passed_*` null: that was the last of them.
CREATE FUNCTION find_forgotten(after_endpoint uuid, after_key uuid, most integer,
    OUT passed_endpoint uuid, OUT passed_key uuid, OUT freed uuid[])
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
    endpoints uuid[];
    keys uuid[];
BEGIN
    WITH RECURSIVE jump AS (
        (SELECT 1 AS place, d.endpoint_id, d.order_key FROM deliveries d
         WHERE d.state = 'pending' AND d.set_aside AND (d.endpoint_id, d.order_key) > (after_endpoint, after_key)
         ORDER BY d.endpoint_id, d.order_key LIMIT 1)
        UNION ALL
        SELECT j.place + 1, n.endpoint_id, n.order_key FROM jump j CROSS JOIN LATERAL (
            SELECT d.endpoint_id, d.order_key FROM deliveries d
            WHERE d.state = 'pending' AND d.set_aside AND (d.endpoint_id, d.order_key) > (j.endpoint_id, j.order_key)
            ORDER BY d.endpoint_id, d.order_key LIMIT 1) n
        WHERE j.place < most
    )
    SELECT array_agg(j.endpoint_id ORDER BY j.place), array_agg(j.order_key ORDER BY j.place) INTO endpoints, keys
    FROM jump j;
    freed := CASE WHEN endpoints IS NULL THEN '{}' ELSE call_next(endpoints, keys) END;
    IF cardinality(endpoints) = most THEN
        passed_endpoint := endpoints[most];
        passed_key := keys[most];
    END IF;
END $$;

-- Another policy of order: whoever waits for nobody now is due; without an order everybody is.
GRANT UPDATE (set_aside, due_at) ON deliveries TO countersign_app;
CREATE FUNCTION follow_ordering() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF NEW.ordering = 'none' THEN
        UPDATE deliveries d SET set_aside = false, due_at = now()
        WHERE d.endpoint_id = NEW.id AND d.state = 'pending' AND d.set_aside;
    ELSE
        PERFORM call_next(array_agg(NEW.id), array_agg(k.order_key)) FROM (
            SELECT DISTINCT d.order_key FROM deliveries d
            WHERE d.endpoint_id = NEW.id AND d.state = 'pending' AND d.set_aside) k
        HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER endpoint_reordered AFTER UPDATE OF ordering ON webhook_endpoints FOR EACH ROW
    WHEN (NEW.ordering <> OLD.ordering) EXECUTE FUNCTION follow_ordering();

-- The three things that may happen to a whole mailbox, as before: what is held or cancelled is not set aside.
CREATE OR REPLACE FUNCTION change_mailbox(tenant uuid, endpoint uuid, verb text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE changed integer;
BEGIN
    CASE verb
    WHEN 'hold' THEN
        UPDATE deliveries d SET state = 'held', set_aside = false
        WHERE d.tenant_id = tenant AND d.endpoint_id = endpoint AND d.state = 'pending';
    WHEN 'release' THEN
        UPDATE deliveries d SET state = 'pending', due_at = now()
        WHERE d.tenant_id = tenant AND d.endpoint_id = endpoint AND d.state = 'held';
    WHEN 'cancel' THEN
        UPDATE deliveries d SET state = 'cancelled', set_aside = false, finished_at = now()
        WHERE d.tenant_id = tenant AND d.endpoint_id = endpoint AND d.state IN ('pending', 'held');
    END CASE;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;

REVOKE ALL ON FUNCTION set_blocked_aside, call_next, find_forgotten FROM PUBLIC;
GRANT EXECUTE ON FUNCTION set_blocked_aside, call_next, find_forgotten TO countersign_hub;
GRANT EXECUTE ON FUNCTION call_next TO countersign_app;
