-- Delivery with filters, orders, rates and breakers; the feed; how endpoints fare; what may be forgotten in the end.
-- Locks are taken in one order everywhere: endpoint, its health, deliveries, heads of the ledger's chains.

ALTER TABLE endpoint_health
    ALTER COLUMN tokens TYPE double precision,
    -- Since when it had been failing when that was told: what the word of its recovery speaks of.
    ADD COLUMN told_since timestamptz,
    -- The last mail about exhausted deliveries: one speaks for all of its hour.
    ADD COLUMN exhausted_mailed_at timestamptz,
    -- Events that passed the present filter because it could not be asked; what was said of the last, and when.
    ADD COLUMN filter_errors bigint NOT NULL DEFAULT 0,
    ADD COLUMN filter_error varchar(300) NOT NULL DEFAULT '',
    ADD COLUMN filter_error_at timestamptz;
-- The few that may have something to be told of, for the sweep.
CREATE INDEX idx_endpoint_health_news ON endpoint_health (endpoint_id)
    WHERE failures_in_row > 0 OR told_failing_at IS NOT NULL;

-- Every endpoint has its row of health from the beginning, so that no completion ever has to make one.
-- A new URL closes the breaker; switching on forgets the failures, or old ones would switch it off at once.
GRANT INSERT, UPDATE ON endpoint_health TO countersign_app;
CREATE FUNCTION follow_endpoint() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO endpoint_health (tenant_id, endpoint_id) VALUES (NEW.tenant_id, NEW.id);
    ELSIF NEW.active AND NOT OLD.active THEN
        UPDATE endpoint_health h SET breaker = 'closed', breaker_until = NULL, openings = 0, failures_in_row = 0,
               failing_since = NULL, told_failing_at = NULL, told_since = NULL, updated_at = now()
        WHERE h.tenant_id = NEW.tenant_id AND h.endpoint_id = NEW.id;
    ELSE
        UPDATE endpoint_health h SET breaker = 'closed', breaker_until = NULL, openings = 0, updated_at = now()
        WHERE h.tenant_id = NEW.tenant_id AND h.endpoint_id = NEW.id AND h.breaker <> 'closed';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER endpoint_made AFTER INSERT ON webhook_endpoints FOR EACH ROW EXECUTE FUNCTION follow_endpoint();
CREATE TRIGGER endpoint_switched AFTER UPDATE OF url, active ON webhook_endpoints FOR EACH ROW
    WHEN (NEW.url <> OLD.url OR (NEW.active AND NOT OLD.active)) EXECUTE FUNCTION follow_endpoint();

-- Another filter has its own errors.
CREATE FUNCTION forget_filter_errors() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE endpoint_health h SET filter_errors = 0, filter_error = '', filter_error_at = NULL
    WHERE h.tenant_id = NEW.tenant_id AND h.endpoint_id = NEW.id AND h.filter_errors > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER endpoint_filtered AFTER UPDATE OF filter ON webhook_endpoints FOR EACH ROW
    WHEN (NEW.filter IS DISTINCT FROM OLD.filter) EXECUTE FUNCTION forget_filter_errors();

-- Rows of before this revision; its owner is under the policies too, except for these two statements.
ALTER TABLE webhook_endpoints NO FORCE ROW LEVEL SECURITY;
ALTER TABLE endpoint_health NO FORCE ROW LEVEL SECURITY;
ALTER TABLE deliveries NO FORCE ROW LEVEL SECURITY;
ALTER TABLE delivery_attempts NO FORCE ROW LEVEL SECURITY;
INSERT INTO endpoint_health (tenant_id, endpoint_id)
SELECT e.tenant_id, e.id FROM webhook_endpoints e ON CONFLICT DO NOTHING;
ALTER TABLE delivery_attempts ADD COLUMN endpoint_id uuid;
UPDATE delivery_attempts a SET endpoint_id = d.endpoint_id
FROM deliveries d WHERE d.tenant_id = a.tenant_id AND d.id = a.delivery_id;
ALTER TABLE webhook_endpoints FORCE ROW LEVEL SECURITY;
ALTER TABLE endpoint_health FORCE ROW LEVEL SECURITY;
ALTER TABLE deliveries FORCE ROW LEVEL SECURITY;
ALTER TABLE delivery_attempts FORCE ROW LEVEL SECURITY;
-- "How did this endpoint answer lately": its success rate and how long it takes.
CREATE INDEX idx_delivery_attempts_endpoint ON delivery_attempts (tenant_id, endpoint_id, started_at);

-- Exhausted ones count too: where the order is held, the later ones of an envelope wait for them.
DROP INDEX idx_deliveries_order;
CREATE INDEX idx_deliveries_order ON deliveries (endpoint_id, order_key, sequence)
    WHERE order_key IS NOT NULL AND state IN ('pending', 'leased', 'held', 'exhausted');

-- set_aside: pending behind an earlier one of its envelope, and out of the queues of what is due until that one has
-- ended (0003_22). Beside first attempts (0) and retries (1) these are a queue (2) that nobody claims from.
ALTER TABLE deliveries ADD COLUMN set_aside boolean NOT NULL DEFAULT false;
DROP INDEX idx_deliveries_due;
CREATE INDEX idx_deliveries_due
    ON deliveries (endpoint_id, (CASE WHEN set_aside THEN 2 ELSE least(attempt, 1) END), due_at, sequence)
    WHERE state = 'pending';
CREATE INDEX idx_deliveries_set_aside ON deliveries (endpoint_id, order_key, sequence)
    WHERE state = 'pending' AND set_aside;

-- An id as it is printed at the edge.
CREATE FUNCTION printed_id(prefix text, own uuid) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT prefix || '_' || string_agg(
        substr('0123456789abcdefghjkmnpqrstvwxyz', substring(b.bits FROM i * 5 + 1 FOR 5)::bit(5)::integer + 1, 1),
        '' ORDER BY i)
    FROM (SELECT B'00' || ('x' || replace(own::text, '-', ''))::bit(128) AS bits) b, generate_series(0, 25) i
$$;

-- Whether an endpoint gets an event by its type. What tells of deliveries goes to those only who name it, never to
-- the endpoint that it tells of; and that one of these could not be delivered is told to nobody: there is no end to it.
CREATE FUNCTION takes_type(endpoint uuid, events text[], type text, data bytea) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN type NOT IN ('endpoint.failing', 'endpoint.recovered', 'endpoint.disabled', 'delivery.exhausted')
            THEN cardinality(events) = 0 OR type = ANY (events)
        WHEN NOT type = ANY (events) THEN false
        ELSE (SELECT j->>'endpoint_id' IS DISTINCT FROM printed_id('ep', endpoint)
                     AND coalesce(j->>'event_type', '') NOT IN
                         ('endpoint.failing', 'endpoint.recovered', 'endpoint.disabled', 'delivery.exhausted')
              FROM (SELECT convert_from(data, 'UTF8')::jsonb AS j) o)
    END
$$;

-- A rotation within the overlap of another: each generation signs until its own overlap ends. older_keys is vault
-- ciphertext of those before the previous one, newest first; beside it what is public of each. *_cutover_at: when a
-- generation takes over in the header that has room for one signature.
ALTER TABLE webhook_endpoints
    ADD COLUMN previous_cutover_at timestamptz,
    ADD COLUMN older_keys bytea,
    ADD COLUMN older_verify_keys bytea[] NOT NULL DEFAULT '{}',
    ADD COLUMN older_until timestamptz[] NOT NULL DEFAULT '{}';

-- The version of the webhooks' form in which an event was recorded. It stays: an upgrade between two attempts must not
-- change a body. A revision that brings a new version moves the default, once no process is left that does not know it.
ALTER TABLE outbox_events ADD COLUMN api_version varchar(10) NOT NULL DEFAULT '2026-11-01';

-- What an event of a tenant costs the fan-out, beside others': its filters are asked one by one.
ALTER TABLE webhook_endpoints
    ADD COLUMN filter_bytes integer GENERATED ALWAYS AS (coalesce(octet_length(filter::text), 0)) STORED;
-- Each tenant's oldest, and whose turn it is.
CREATE INDEX idx_outbox_pending_tenant ON outbox_pending (tenant_id, created_at, event_id);

-- Turns waiting events into deliveries and into the tenants' feeds: one call, one batch. One fan-out at a time,
-- because two would give the events of one envelope numbers out of order.
-- The tenants' turn comes round, from the one behind `after` on, and a turn is a share of what a batch may cost and
-- not a number of events: so one whose many endpoints have costly filters delays itself alone. An event costs 1, and 1
-- more for every ten endpoints and for 2,000 bytes of filters (about 0.1 ms each); a batch takes events until
-- `max_events` of that is spent, one at least. `passed`: the tenant whose turn was last. `more`: events are left.
-- `mailboxes` are the endpoints that have new work, `unasked` those whose filter could not be asked.
DROP FUNCTION fan_out(integer);
CREATE FUNCTION fan_out(max_events integer, after uuid DEFAULT '00000000-0000-0000-0000-000000000000')
RETURNS TABLE (events integer, deliveries integer, mailboxes uuid[], passed uuid, more boolean, unasked uuid[])
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    IF NOT pg_try_advisory_xact_lock(724001) THEN
        RETURN QUERY SELECT -1, 0, '{}'::uuid[], after, true, '{}'::uuid[];
        RETURN;
    END IF;
    RETURN QUERY
    WITH RECURSIVE jump AS (
        SELECT 0 AS place, after AS tenant_id, false AS is_round
        UNION ALL
        SELECT j.place + 1, n.tenant_id, n.is_round
        FROM jump j CROSS JOIN LATERAL (
            (SELECT p.tenant_id, j.is_round FROM outbox_pending p
             WHERE p.tenant_id > j.tenant_id AND (NOT j.is_round OR p.tenant_id <= after)
             ORDER BY p.tenant_id LIMIT 1)
            UNION ALL
            (SELECT p.tenant_id, true FROM outbox_pending p WHERE NOT j.is_round AND p.tenant_id <= after
             ORDER BY p.tenant_id LIMIT 1)
            LIMIT 1) AS n(tenant_id, is_round)
        WHERE j.place < max_events
    ), tenants AS MATERIALIZED (
        SELECT j.place, j.tenant_id, c.cost, 1 + 4 * max_events / count(*) OVER () AS most
        FROM jump j CROSS JOIN LATERAL (
            SELECT 1 + count(*) / 10 + coalesce(sum(e.filter_bytes), 0) / 2000 AS cost
            FROM webhook_endpoints e WHERE e.tenant_id = j.tenant_id) c
        WHERE j.place > 0
    ), waiting AS (
        SELECT t.place, t.tenant_id, t.cost, w.event_id, w.turn, (w.turn - 1) * t.cost AS begins
        FROM tenants t CROSS JOIN LATERAL (
            SELECT o.event_id, row_number() OVER (ORDER BY o.created_at, o.event_id) AS turn
            FROM (SELECT q.event_id, q.created_at FROM outbox_pending q WHERE q.tenant_id = t.tenant_id
                  ORDER BY q.created_at, q.event_id LIMIT least(t.most, 1 + max_events / t.cost)) o
        ) w
    ), picked AS MATERIALIZED (
        SELECT s.event_id, s.tenant_id, s.order_in FROM (
            SELECT w.event_id, w.tenant_id, row_number() OVER in_turn AS order_in,
                   sum(w.cost) OVER (in_turn ROWS UNBOUNDED PRECEDING) - w.cost AS spent
            FROM waiting w WINDOW in_turn AS (ORDER BY w.begins, w.place, w.turn)
        ) s WHERE s.spent < max_events
    ), next AS (
        SELECT p.event_id FROM outbox_pending p WHERE p.event_id IN (SELECT k.event_id FROM picked k)
        FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM outbox_pending p USING next WHERE p.event_id = next.event_id
        RETURNING p.tenant_id, p.event_id, p.created_at
    ), heads AS (
        INSERT INTO event_feed_heads AS f (tenant_id, next_seq)
        SELECT t.tenant_id, 1 + count(*) FROM taken t GROUP BY t.tenant_id
        ON CONFLICT (tenant_id) DO UPDATE SET next_seq = f.next_seq + excluded.next_seq - 1
        RETURNING f.tenant_id, f.next_seq
    ), fed AS (
        INSERT INTO event_feed (tenant_id, seq, event_id)
        SELECT t.tenant_id, h.next_seq - count(*) OVER (PARTITION BY t.tenant_id)
               + row_number() OVER (PARTITION BY t.tenant_id ORDER BY t.created_at, t.event_id) - 1, t.event_id
        FROM taken t JOIN heads h ON h.tenant_id = t.tenant_id
    ), told AS MATERIALIZED (
        SELECT o.id, o.type, o.data, o.envelope_id,
               CASE WHEN EXISTS (SELECT FROM webhook_endpoints e
                                 WHERE e.tenant_id = t.tenant_id AND e.filter IS NOT NULL)
                    THEN filter_document(o.type, o.data) END AS document
        FROM taken t JOIN outbox_events o ON o.tenant_id = t.tenant_id AND o.id = t.event_id
    ), judged AS MATERIALIZED (  -- each is asked once
        SELECT t.tenant_id, t.event_id, t.created_at, o.envelope_id, e.id AS endpoint_id,
               CASE WHEN e.filter IS NULL THEN '' ELSE judge_filter(e.filter, o.document) END AS verdict
        FROM taken t
        JOIN told o ON o.id = t.event_id
        JOIN webhook_endpoints e ON e.tenant_id = t.tenant_id AND takes_type(e.id, e.events, o.type, o.data)
    ), matched AS (
        SELECT j.tenant_id, j.event_id, j.envelope_id, j.endpoint_id,
               row_number() OVER (PARTITION BY j.endpoint_id ORDER BY j.created_at, j.event_id) - 1 AS place
        FROM judged j WHERE j.verdict IS NOT NULL
    ), numbered AS (
        UPDATE webhook_endpoints e SET next_sequence = e.next_sequence + m.total
        FROM (SELECT tenant_id, endpoint_id, count(*) AS total FROM matched GROUP BY 1, 2) m
        WHERE e.tenant_id = m.tenant_id AND e.id = m.endpoint_id
        RETURNING e.id, e.active, e.payload, e.next_sequence - m.total AS first
    ), made AS (
        INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, sequence, order_key, state, due_at, payload)
        SELECT m.tenant_id, outbound_id(), m.event_id, m.endpoint_id, n.first + m.place, m.envelope_id,
               CASE WHEN n.active THEN 'pending' ELSE 'held' END, now(), n.payload
        FROM matched m JOIN numbered n ON n.id = m.endpoint_id
        RETURNING endpoint_id
    ), counted AS (
        UPDATE endpoint_health h SET filter_errors = h.filter_errors + x.times, filter_error = left(x.words, 300),
               filter_error_at = now()
        FROM (SELECT j.endpoint_id, count(*) AS times, max(j.verdict) AS words FROM judged j WHERE j.verdict <> ''
              GROUP BY j.endpoint_id) x
        WHERE h.endpoint_id = x.endpoint_id
          AND (SELECT count(*) FROM numbered) >= 0  -- endpoints are locked before their health
        RETURNING h.endpoint_id
    )
    SELECT (SELECT count(*) FROM taken)::integer,
           (SELECT count(*) FROM made)::integer,
           (SELECT coalesce(array_agg(n.id), '{}') FROM numbered n WHERE n.active),
           coalesce((SELECT k.tenant_id FROM picked k ORDER BY k.order_in DESC LIMIT 1), after),
           EXISTS (SELECT FROM outbox_pending p WHERE NOT EXISTS (SELECT FROM taken t WHERE t.event_id = p.event_id)),
           (SELECT coalesce(array_agg(c.endpoint_id), '{}') FROM counted c);
END $$;
REVOKE ALL ON FUNCTION fan_out FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fan_out TO countersign_hub;

-- Leases up to `room` due deliveries of the wanted mailboxes, in turns: the first of each, then the second of each.
-- A mailbox is locked for the moment of the claim, so that its cap, its rate and its one probe hold over all
-- deliverers. `shares` bounds what each mailbox may add. Of one envelope only the lowest open sequence may go, unless
-- the endpoint asks for no order; where the order is held, an exhausted one stays in the way.
-- A broken circuit lets nothing through until its time, then one at a time. A rate is a bucket of tokens, one each.
-- `more`: the mailbox has due work that this claim could not take. A row without id tells of a mailbox that cannot be
-- asked now: in `retry_in_s` again, or soon when that is null, as somebody else is claiming from it. `crowded`: of the
-- first 256 that are due nearly all wait for others of their envelopes; no claim looks further, so they are to be set
-- aside.
DROP FUNCTION claim_deliveries(uuid[], integer[], integer, integer, interval, uuid);
CREATE FUNCTION claim_deliveries(
    wanted uuid[], shares integer[], room integer, retry_room integer, lease interval, claim uuid
) RETURNS TABLE (
    endpoint_id uuid, revision integer, tenant_id uuid, id uuid, event_id uuid, sequence bigint, attempt integer,
    throttled integer, type text, occurred_at timestamptz, envelope_id uuid, data bytea, more boolean,
    payload text, chain_id text, ledger_seq bigint, ledger_hash bytea, api_version text,
    retry_in_s double precision, crowded boolean
)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    locked uuid[];
    looked_at CONSTANT integer := 256;
BEGIN
    -- A claim that a crash of the server forgets is a delivery that is still pending: nobody need wait for the disk.
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT array_agg(l.id) INTO locked FROM (
        SELECT e.id FROM webhook_endpoints e WHERE e.id = ANY (wanted) AND e.active FOR NO KEY UPDATE SKIP LOCKED
    ) l;
    RETURN QUERY
    WITH mailboxes AS MATERIALIZED (
        SELECT e.id, e.revision, e.ordering, e.rate_per_second AS rate, g.breaker, g.wait_s, g.tokens,
               greatest(0, least(w.share, g.gate - (
                   SELECT count(*) FROM deliveries l WHERE l.endpoint_id = e.id AND l.state = 'leased'),
                   floor(g.tokens)))::integer AS free
        FROM unnest(wanted, shares) AS w(id, share)
        JOIN webhook_endpoints e ON e.id = w.id
        LEFT JOIN endpoint_health h ON h.endpoint_id = e.id
        CROSS JOIN LATERAL (
            SELECT h.breaker,
                   CASE WHEN h.breaker = 'open' AND h.breaker_until > now()
                        THEN extract(epoch FROM h.breaker_until - now())::double precision END AS wait_s,
                   CASE WHEN h.breaker = 'open' AND h.breaker_until > now() THEN 0
                        WHEN h.breaker <> 'closed' THEN 1 ELSE e.max_in_flight END AS gate,
                   CASE WHEN e.rate_per_second IS NULL THEN NULL
                        WHEN h.tokens_at IS NULL THEN greatest(1, ceil(e.rate_per_second))
                        ELSE least(greatest(1, ceil(e.rate_per_second)), h.tokens + e.rate_per_second
                            * greatest(0, extract(epoch FROM now() - h.tokens_at)::double precision)) END AS tokens
        ) g
        WHERE e.id = ANY (locked)
    ), ready AS MATERIALIZED (
        SELECT m.id AS endpoint_id, m.revision, m.free, d.tenant_id, d.id, d.due_at, d.sequence,
               c.retry = 1 AS retry,
               row_number() OVER (PARTITION BY m.id, c.retry ORDER BY d.due_at, d.sequence) AS turn
        FROM mailboxes m
        CROSS JOIN (VALUES (0, room), (1, retry_room)) AS c(retry, most)
        CROSS JOIN LATERAL (
            SELECT p.tenant_id, p.id, p.due_at, p.sequence
            FROM (
                SELECT q.tenant_id, q.id, q.due_at, q.sequence, q.order_key
                FROM deliveries q
                WHERE q.endpoint_id = m.id AND q.state = 'pending'
                  AND (CASE WHEN q.set_aside THEN 2 ELSE least(q.attempt, 1) END) = c.retry
                  AND q.due_at <= now()
                ORDER BY q.due_at, q.sequence LIMIT looked_at
            ) p
            WHERE p.order_key IS NULL OR m.ordering = 'none' OR NOT EXISTS (
                SELECT FROM deliveries b
                WHERE b.endpoint_id = m.id AND b.order_key = p.order_key
                  AND b.sequence < p.sequence AND b.state IN ('pending', 'leased', 'held', 'exhausted')
                  AND (b.state <> 'exhausted' OR m.ordering = 'hold'))
            ORDER BY p.due_at, p.sequence
            LIMIT least(m.free, c.most)
        ) d
        WHERE m.free > 0
    ), crowd AS (
        SELECT m.id FROM mailboxes m CROSS JOIN (VALUES (0, room), (1, retry_room)) AS c(retry, most)
        WHERE m.ordering <> 'none' AND m.free > 0 AND CASE
            WHEN (SELECT count(*) FROM ready r WHERE r.endpoint_id = m.id AND r.retry = (c.retry = 1))
                 < least(m.free, c.most)
            THEN (SELECT count(*) FROM (
                SELECT FROM deliveries q WHERE q.endpoint_id = m.id AND q.state = 'pending'
                AND (CASE WHEN q.set_aside THEN 2 ELSE least(q.attempt, 1) END) = c.retry AND q.due_at <= now()
                LIMIT looked_at) w) = looked_at
            ELSE false END
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
        SELECT c.endpoint_id, c.taken, c.taken < (
            SELECT count(*) FROM (
                (SELECT FROM deliveries d WHERE d.endpoint_id = c.endpoint_id AND d.state = 'pending'
                 AND (CASE WHEN d.set_aside THEN 2 ELSE least(d.attempt, 1) END) = 0 AND d.due_at <= now()
                 LIMIT c.taken + 1)
                UNION ALL
                (SELECT FROM deliveries d WHERE d.endpoint_id = c.endpoint_id AND d.state = 'pending'
                 AND (CASE WHEN d.set_aside THEN 2 ELSE least(d.attempt, 1) END) = 1 AND d.due_at <= now()
                 LIMIT c.taken + 1)) q) AS more
        FROM (SELECT k.endpoint_id, count(*) AS taken FROM chosen k GROUP BY k.endpoint_id) c
    ), spent AS (
        UPDATE endpoint_health h SET
            breaker = CASE WHEN m.breaker = 'open' AND h.breaker = 'open' THEN 'half_open' ELSE h.breaker END,
            tokens = coalesce(m.tokens - s.taken, h.tokens),
            tokens_at = CASE WHEN m.tokens IS NULL THEN h.tokens_at ELSE greatest(h.tokens_at, now()) END
        FROM share s JOIN mailboxes m ON m.id = s.endpoint_id
        WHERE h.endpoint_id = s.endpoint_id AND (m.tokens IS NOT NULL OR m.breaker = 'open')
        RETURNING 1
    ), leased AS (
        UPDATE deliveries d
        SET state = 'leased', lease_until = now() + lease, claim_id = claim
        FROM chosen c
        WHERE d.tenant_id = c.tenant_id AND d.id = c.id AND d.state = 'pending'
          AND (SELECT count(*) FROM spent) >= 0  -- health is locked before deliveries
        RETURNING d.endpoint_id, c.revision, d.tenant_id, d.id, d.event_id, d.sequence, d.attempt, d.throttled,
                  d.payload
    )
    SELECT l.endpoint_id, l.revision, l.tenant_id, l.id, l.event_id, l.sequence, l.attempt, l.throttled,
           o.type, o.occurred_at, o.envelope_id, o.data, s.more, l.payload::text, o.chain_id, o.ledger_seq,
           o.ledger_hash, o.api_version::text, NULL::double precision, false
    FROM leased l
    JOIN outbox_events o ON o.tenant_id = l.tenant_id AND o.id = l.event_id
    JOIN share s ON s.endpoint_id = l.endpoint_id
    UNION ALL
    SELECT m.id, m.revision, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, NULL, NULL, NULL, NULL,
           NULL,
           -- A fast rate gathers a tenth of a second's tokens, so that a claim is worth its statement.
           coalesce(m.wait_s, greatest(least(0.1, (ceil(m.rate) - m.tokens + coalesce(s.taken, 0)) / m.rate),
               (1 - m.tokens + coalesce(s.taken, 0)) / m.rate)),
           false
    FROM mailboxes m LEFT JOIN share s ON s.endpoint_id = m.id
    WHERE coalesce(s.more, true) AND (m.wait_s IS NOT NULL OR m.tokens - coalesce(s.taken, 0) < 1)
    UNION ALL
    SELECT DISTINCT m.id, m.revision, NULL::uuid, NULL::uuid, NULL::uuid, NULL::bigint, NULL::integer, NULL::integer,
           NULL::text, NULL::timestamptz, NULL::uuid, NULL::bytea, true, NULL::text, NULL::text, NULL::bigint,
           NULL::bytea, NULL::text, NULL::double precision, true
    FROM mailboxes m JOIN crowd c ON c.id = m.id
    UNION ALL
    SELECT e.id, e.revision, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, NULL, NULL, NULL, NULL,
           NULL, NULL, false
    FROM webhook_endpoints e
    WHERE cardinality(wanted) > coalesce(cardinality(locked), 0)
      AND e.id = ANY (wanted) AND e.active AND NOT e.id = ANY (coalesce(locked, '{}'));
END $$;

-- What there is to be told of an endpoint, by its row of health alone: so it can be told once, whenever that is.
-- Times count between failures, not up to now: an endpoint that nothing was sent to has not failed meanwhile.
CREATE FUNCTION endpoint_news(h endpoint_health, failures integer, failing_s double precision,
    disable_s double precision) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN h.failures_in_row = 0 THEN CASE WHEN h.told_failing_at IS NOT NULL THEN 'recovered' END
        WHEN h.failures_in_row < failures THEN NULL
        WHEN h.last_failure_at - h.failing_since >= make_interval(secs => disable_s) THEN 'disabled'
        WHEN h.told_failing_at IS NULL AND h.last_failure_at - h.failing_since >= make_interval(secs => failing_s)
            THEN 'failing' END
$$;

-- Writes the results of a batch: deliveries whose claim still holds move on, every request made is logged, and how the
-- endpoints fare is counted. A retry for a mailbox that was switched off meanwhile is held, for one that was deleted it
-- is cancelled. `lost`: deliveries that did not move, because their lease had been lost; they count for nothing.
-- `news`: endpoints that there is something to be told of. `freed`: those where the end of a delivery let the next of
-- its envelope go, whoever asked for that one in vain.
-- An answer 429 is no failure and no success. What is replayed on request does not count, except as a probe.
-- rules: failures and seconds that open the breaker; its first and longest pause; failures and seconds until an
-- endpoint counts as failing, and seconds until it is switched off.
DROP FUNCTION complete_deliveries(uuid[], uuid[], uuid[], uuid[], text[], integer[], integer[], double precision[],
    timestamptz[], integer[], text[], integer[], text[], bytea[]);
CREATE FUNCTION complete_deliveries(
    tenants uuid[], ids uuid[], claims uuid[], endpoints uuid[], states text[], attempts integer[],
    throttles integer[], delays double precision[], starts timestamptz[], durations integer[],
    outcomes text[], statuses integer[], errors text[], responses bytea[], rules double precision[],
    OUT lost uuid[], OUT news uuid[], OUT freed uuid[]
)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
    troubled uuid[];
    touched uuid[];
    ended_at uuid[];
    ended_keys uuid[];
BEGIN
    SELECT array_agg(DISTINCT t.endpoint_id) INTO troubled
    FROM unnest(endpoints, outcomes) AS t(endpoint_id, outcome) WHERE t.outcome <> 'succeeded';
    -- Whoever switches an endpoint on writes its health, too: so no retry is held in the moment in which what is held
    -- is released. A success at an endpoint that does well changes nothing but when that was, to the second.
    SELECT array_agg(l.endpoint_id) INTO touched FROM (
        SELECT h.endpoint_id FROM endpoint_health h
        WHERE h.endpoint_id = ANY (endpoints) AND (h.endpoint_id = ANY (troubled) OR h.failures_in_row > 0
            OR h.breaker <> 'closed' OR h.last_success_at IS NULL OR h.last_success_at < now() - interval '1 second')
        ORDER BY h.endpoint_id FOR NO KEY UPDATE) l;
    WITH done AS MATERIALIZED (
        SELECT * FROM unnest(tenants, ids, claims, endpoints, states, attempts, throttles, delays,
                             starts, durations, outcomes, statuses, errors, responses) WITH ORDINALITY
            AS t(tenant_id, id, claim_id, endpoint_id, state, attempt, throttled, delay, started_at,
                 duration_ms, outcome, status, error, response, place)
    ), logged AS (
        INSERT INTO delivery_attempts (tenant_id, delivery_id, claim_id, endpoint_id, started_at, duration_ms, outcome,
            status, error, response)
        SELECT t.tenant_id, t.id, t.claim_id, t.endpoint_id, t.started_at, t.duration_ms, t.outcome, t.status,
               t.error, t.response
        FROM done t
        ON CONFLICT DO NOTHING  -- a batch is written again when the answer to the first time was lost
    ), settled AS (
        UPDATE deliveries d SET
            state = CASE WHEN t.state NOT IN ('pending', 'held') THEN t.state
                         WHEN e.id IS NULL THEN 'cancelled'
                         WHEN e.active THEN t.state ELSE 'held' END,
            attempt = t.attempt, throttled = t.throttled, tries = d.tries + 1, expiries = 0,
            due_at = now() + make_interval(secs => t.delay),
            lease_until = NULL, claim_id = NULL, last_status = t.status, last_error = t.error,
            finished_at = CASE WHEN t.state IN ('succeeded', 'exhausted') OR e.id IS NULL THEN now() END
        FROM done t LEFT JOIN webhook_endpoints e ON e.id = t.endpoint_id
        WHERE d.tenant_id = t.tenant_id AND d.id = t.id AND d.claim_id = t.claim_id AND d.state = 'leased'
        RETURNING d.id, t.endpoint_id, t.place, t.outcome = 'succeeded' AS good,
                  t.outcome <> 'succeeded' AND t.status IS DISTINCT FROM 429 AS bad, d.replays = 0 AS counts,
                  CASE WHEN d.state IN ('succeeded', 'exhausted') THEN d.order_key END AS ended_key
    ), results AS (
        SELECT s.*, max(s.place) FILTER (WHERE s.good AND s.counts) OVER (PARTITION BY s.endpoint_id) AS last_good
        FROM settled s WHERE s.endpoint_id = ANY (touched)
    ), sums AS (
        SELECT r.endpoint_id, bool_or(r.good) AS any_good, bool_or(r.bad) AS any_bad,
               bool_or(r.good AND r.counts) AS good,
               count(*) FILTER (WHERE r.bad AND r.counts AND r.place > coalesce(r.last_good, 0))::integer AS failures
        FROM results r GROUP BY r.endpoint_id
    ), counted AS (
        SELECT h.endpoint_id, h.breaker, h.openings, x.any_good, x.any_bad, x.good, y.healed, x.failures AS fresh,
               CASE WHEN y.healed THEN 0 ELSE h.failures_in_row END + x.failures AS failures,
               CASE WHEN NOT y.healed THEN h.failing_since END AS since
        FROM sums x JOIN endpoint_health h ON h.endpoint_id = x.endpoint_id
        CROSS JOIN LATERAL (SELECT x.good OR (x.any_good AND h.breaker <> 'closed') AS healed) y
    ), moved AS (
        SELECT c.*, CASE
                WHEN c.breaker = 'half_open' AND NOT c.healed THEN c.openings + c.any_bad::integer
                WHEN c.breaker = 'closed' AND c.fresh > 0 AND c.failures >= rules[1]
                     AND now() - coalesce(c.since, now()) >= make_interval(secs => rules[2]) THEN 1
            END AS opens  -- null: it stays as it is
        FROM counted c
    ), updated AS (
        UPDATE endpoint_health h SET
            breaker = CASE WHEN m.opens IS NOT NULL THEN 'open' WHEN m.healed THEN 'closed' ELSE h.breaker END,
            breaker_until = CASE
                WHEN m.opens IS NOT NULL THEN now() + make_interval(
                    secs => least(rules[4], rules[3] * power(2, least(greatest(m.opens, 1), 30) - 1)))
                WHEN NOT m.healed THEN h.breaker_until END,
            openings = CASE WHEN m.opens IS NOT NULL THEN m.opens WHEN m.healed THEN 0 ELSE h.openings END,
            failures_in_row = m.failures,
            failing_since = CASE WHEN m.failures > 0 THEN coalesce(m.since, now()) END,
            last_success_at = CASE WHEN m.any_good THEN now() ELSE h.last_success_at END,
            last_failure_at = CASE WHEN m.any_bad THEN now() ELSE h.last_failure_at END,
            updated_at = now()
        FROM moved m WHERE h.endpoint_id = m.endpoint_id
        RETURNING h.endpoint_id, endpoint_news(h, rules[5]::integer, rules[6], rules[7]) AS news
    )
    SELECT (SELECT coalesce(array_agg(t.id), '{}') FROM done t WHERE t.id NOT IN (SELECT s.id FROM settled s)),
           (SELECT coalesce(array_agg(u.endpoint_id), '{}') FROM updated u WHERE u.news IS NOT NULL),
           (SELECT array_agg(s.endpoint_id ORDER BY s.place) FROM settled s WHERE s.ended_key IS NOT NULL),
           (SELECT array_agg(s.ended_key ORDER BY s.place) FROM settled s WHERE s.ended_key IS NOT NULL)
    INTO lost, news, ended_at, ended_keys;
    freed := CASE WHEN ended_at IS NULL THEN '{}' ELSE call_next(ended_at, ended_keys) END;
END $$;

-- Every mailbox with due work and how long its oldest has waited, found by jumping through the index. `active` is
-- false or null where a mailbox was switched off or deleted in the moment in which a retry was written; `blocked`
-- where its breaker is open, so that waiting is as it should be.
DROP FUNCTION ready_mailboxes();
CREATE FUNCTION ready_mailboxes()
RETURNS TABLE (endpoint_id uuid, active boolean, waited_s double precision, blocked boolean)
LANGUAGE sql STABLE SET enable_seqscan = off AS $$
    WITH RECURSIVE jump AS (
        (SELECT d.endpoint_id FROM deliveries d WHERE d.state = 'pending' ORDER BY d.endpoint_id LIMIT 1)
        UNION ALL
        SELECT (SELECT d.endpoint_id FROM deliveries d WHERE d.state = 'pending'
                AND d.endpoint_id > jump.endpoint_id ORDER BY d.endpoint_id LIMIT 1)
        FROM jump WHERE jump.endpoint_id IS NOT NULL
    )
    SELECT j.endpoint_id, e.active, extract(epoch FROM now() - first.due_at)::double precision,
           coalesce(h.breaker = 'open' AND h.breaker_until > now(), false)
    FROM jump j
    JOIN LATERAL (
        SELECT min(f.due_at) AS due_at FROM (VALUES (0), (1)) AS c(retry) CROSS JOIN LATERAL (
            SELECT d.due_at FROM deliveries d WHERE d.endpoint_id = j.endpoint_id AND d.state = 'pending'
            AND (CASE WHEN d.set_aside THEN 2 ELSE least(d.attempt, 1) END) = c.retry ORDER BY d.due_at LIMIT 1) f
    ) first ON first.due_at <= now()
    LEFT JOIN webhook_endpoints e ON e.id = j.endpoint_id
    LEFT JOIN endpoint_health h ON h.endpoint_id = j.endpoint_id
    WHERE j.endpoint_id IS NOT NULL
$$;

-- What was written for a mailbox in the moment in which it was switched off or deleted. Its row is locked, as it may
-- be switched on just now.
CREATE FUNCTION put_away(endpoint uuid) RETURNS integer
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
    is_active boolean;
    changed integer;
BEGIN
    SELECT e.active INTO is_active FROM webhook_endpoints e WHERE e.id = endpoint FOR NO KEY UPDATE;
    IF is_active THEN
        RETURN 0;
    END IF;
    UPDATE deliveries d SET state = CASE WHEN is_active IS NULL THEN 'cancelled' ELSE 'held' END,
           set_aside = false, finished_at = CASE WHEN is_active IS NULL THEN now() END
    WHERE d.endpoint_id = endpoint AND d.state = 'pending';
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;

-- The endpoints that there is something to be told of; what a completion reported and nobody came to tell is here.
CREATE FUNCTION find_endpoint_news(failures integer, failing_s double precision, disable_s double precision)
RETURNS TABLE (tenant_id uuid, endpoint_id uuid)
LANGUAGE sql STABLE SET enable_seqscan = off AS $$
    SELECT h.tenant_id, h.endpoint_id FROM endpoint_health h
    JOIN webhook_endpoints e ON e.id = h.endpoint_id AND e.active
    WHERE (h.failures_in_row > 0 OR h.told_failing_at IS NOT NULL)
      AND endpoint_news(h, failures, failing_s, disable_s) IS NOT NULL
    ORDER BY h.endpoint_id LIMIT 200
$$;

-- A delivery of one event to one endpoint, past the fan-out: test events go to whom they were asked for only, and
-- stand in no feed.
CREATE OR REPLACE FUNCTION deliver_to(tenant uuid, event uuid, endpoint uuid, delivery uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    taken bigint;
    kind text;
BEGIN
    DELETE FROM outbox_pending p WHERE p.event_id = event;
    UPDATE webhook_endpoints e SET next_sequence = e.next_sequence + 1
    WHERE e.tenant_id = tenant AND e.id = endpoint RETURNING e.next_sequence - 1, e.payload INTO taken, kind;
    INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, sequence, state, due_at, payload)
    VALUES (tenant, delivery, event, endpoint, taken, 'pending', now(), kind);
    RETURN taken;
END $$;

-- The oldest number of a tenant's feed that can still be read; the next one when there is none.
CREATE FUNCTION feed_floor(tenant uuid) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT min(f.seq) FROM event_feed f WHERE f.tenant_id = tenant),
                    (SELECT h.next_seq FROM event_feed_heads h WHERE h.tenant_id = tenant), 1)
$$;

REVOKE ALL ON FUNCTION claim_deliveries, complete_deliveries, ready_mailboxes, put_away, find_endpoint_news
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_deliveries, complete_deliveries, ready_mailboxes, put_away, find_endpoint_news
    TO countersign_hub;

-- How an endpoint answered within the last while: attempts, successes, the 95th percentile in ms, and whether there
-- were more than the `most` newest that were looked at.
CREATE FUNCTION window_figures(tenant uuid, endpoint uuid, within interval, most integer) RETURNS integer[]
LANGUAGE sql STABLE AS $$
    SELECT ARRAY[least(count(*), most)::integer,
                 (count(*) FILTER (WHERE a.place <= most AND a.outcome = 'succeeded'))::integer,
                 (percentile_disc(0.95) WITHIN GROUP (ORDER BY a.duration_ms) FILTER (WHERE a.place <= most))::integer,
                 (count(*) > most)::integer]
    FROM (
        SELECT t.outcome, t.duration_ms, row_number() OVER () AS place FROM (
            SELECT n.outcome, n.duration_ms FROM delivery_attempts n
            WHERE n.tenant_id = tenant AND n.endpoint_id = endpoint AND n.started_at > now() - within
            ORDER BY n.started_at DESC LIMIT most + 1) t
    ) a
$$;
