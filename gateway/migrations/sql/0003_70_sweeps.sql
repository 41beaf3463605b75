-- What the gateway asks providers by itself: what has changed, whether their webhooks lead here, and whether
-- credentials still work. A provider's webhook is the usual way for news; this finds and mends what it did not bring.

-- Seconds between two looks at one envelope that the account's plan tolerates; 0: the provider's lowest plan.
ALTER TABLE connections ADD COLUMN poll_interval_s integer NOT NULL DEFAULT 0 CHECK (poll_interval_s BETWEEN 0 AND 3600);

-- One row per connection. since, page_cursor, walk_began_at: how far the walk over the provider's list has come; a
-- whole walk moves `since` to its own beginning, less an overlap. claim_id and lease_until: one worker walks at a time.
-- The counts only grow. webhooks: what is wrong with the provider's webhook configuration; webhooks_well_at: when
-- nothing was. switched_on: by the provider's id, when the gateway last switched one on, or saw that it is off again
-- since. used_at: when the credentials were last of use. refused_since: since when the provider refuses them.
CREATE TABLE connection_sweeps (
    tenant_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    since timestamptz NOT NULL DEFAULT now() - interval '1 day',
    page_cursor varchar(2000) NOT NULL DEFAULT '',
    walk_began_at timestamptz,
    due_at timestamptz NOT NULL DEFAULT now(),
    claim_id uuid,
    lease_until timestamptz,
    last_run_at timestamptz,
    last_whole_at timestamptz,
    last_error varchar(1000) NOT NULL DEFAULT '',
    refused_since timestamptz,
    walks bigint NOT NULL DEFAULT 0,
    calls bigint NOT NULL DEFAULT 0,
    seen bigint NOT NULL DEFAULT 0,
    behind bigint NOT NULL DEFAULT 0,
    ahead bigint NOT NULL DEFAULT 0,
    contradicting bigint NOT NULL DEFAULT 0,
    unknown bigint NOT NULL DEFAULT 0,
    gone bigint NOT NULL DEFAULT 0,
    missed bigint NOT NULL DEFAULT 0,
    late bigint NOT NULL DEFAULT 0,
    webhooks_due_at timestamptz NOT NULL DEFAULT now(),
    webhooks_checked_at timestamptz,
    webhooks_well_at timestamptz,
    webhooks jsonb NOT NULL DEFAULT '[]',
    webhook_repairs bigint NOT NULL DEFAULT 0,
    switched_on jsonb NOT NULL DEFAULT '{}',
    used_at timestamptz NOT NULL DEFAULT now(),
    alive_due_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, connection_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES connections (tenant_id, id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 100);
SELECT guard_tenant_table('connection_sweeps', 'SELECT');

-- Where the provider knew otherwise than we did. behind: we were, and were moved. ahead: our envelope has ended, theirs
-- is open. contradicting: both have ended, differently. unknown: theirs carries our reference, and we have none.
-- gone: they do not know it any more. Only `behind` is mended; the others need a person.
-- webhook: whether the provider's own message came (late), or not (missed) by decide_at; empty where none is awaited.
CREATE TABLE drift_findings (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    envelope_id uuid,
    provider_ref varchar(255) NOT NULL,
    kind varchar(20) NOT NULL CHECK (kind IN ('behind', 'ahead', 'contradicting', 'unknown', 'gone')),
    ours varchar(60) NOT NULL,
    theirs varchar(120) NOT NULL,
    found_by varchar(10) NOT NULL CHECK (found_by IN ('list', 'read')),
    done varchar(300) NOT NULL,
    changed_at timestamptz,
    webhook varchar(10) NOT NULL DEFAULT '' CHECK (webhook IN ('', 'awaited', 'missed', 'late')),
    decide_at timestamptz,
    found_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    times integer NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX idx_drift_connection ON drift_findings (tenant_id, connection_id, id DESC);
CREATE INDEX idx_drift_awaited ON drift_findings (decide_at) WHERE webhook = 'awaited';
CREATE UNIQUE INDEX uq_drift_standing ON drift_findings (tenant_id, connection_id, provider_ref, kind, ours, theirs)
    WHERE kind <> 'behind';
SELECT guard_tenant_table('drift_findings', 'SELECT');

-- Adds connections that nobody has asked about yet, and leases those that are due and nobody has. A connection that is
-- switched off is asked while envelopes of it are open.
CREATE FUNCTION claim_sweeps(claim uuid, most integer, lease_s double precision, look_back_s double precision,
    providers text[])
RETURNS TABLE (tenant_id uuid, connection_id uuid, since timestamptz, page_cursor text)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO connection_sweeps (tenant_id, connection_id, since)
    SELECT c.tenant_id, c.id, now() - make_interval(secs => look_back_s) FROM connections c
    WHERE c.provider = ANY (providers)
      AND NOT EXISTS (SELECT FROM connection_sweeps s WHERE s.tenant_id = c.tenant_id AND s.connection_id = c.id)
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    UPDATE connection_sweeps s SET claim_id = claim, lease_until = now() + make_interval(secs => lease_s),
        last_run_at = now(),
        walk_began_at = CASE WHEN s.page_cursor = '' THEN now() ELSE COALESCE(s.walk_began_at, now()) END
    FROM (
        SELECT d.tenant_id, d.connection_id FROM connection_sweeps d
        JOIN connections c ON c.tenant_id = d.tenant_id AND c.id = d.connection_id
        WHERE d.due_at <= now() AND (d.lease_until IS NULL OR d.lease_until <= now())
          AND c.provider = ANY (providers)
          AND (c.active OR EXISTS (SELECT FROM envelopes e WHERE e.tenant_id = c.tenant_id
               AND e.connection_id = c.id AND e.provider_ref IS NOT NULL
               AND e.status IN ('processing', 'sent', 'delivered', 'signed')))
        ORDER BY d.due_at LIMIT most FOR UPDATE OF d SKIP LOCKED
    ) due
    WHERE s.tenant_id = due.tenant_id AND s.connection_id = due.connection_id
    RETURNING s.tenant_id, s.connection_id, s.since, s.page_cursor::text;
END $$;

-- Writes down a page that was worked through, and holds the lease longer. False: somebody else has the connection.
CREATE FUNCTION keep_page(claim uuid, tenant uuid, connection uuid, next_cursor text, reports integer,
    lease_s double precision) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    WITH kept AS (
        UPDATE connection_sweeps s SET page_cursor = next_cursor, calls = s.calls + 1, seen = s.seen + reports,
            lease_until = now() + make_interval(secs => lease_s), used_at = now(), refused_since = NULL
        WHERE s.tenant_id = tenant AND s.connection_id = connection AND s.claim_id = claim RETURNING 1
    ) SELECT EXISTS (SELECT FROM kept)
$$;

-- Ends a run that this claim still holds. A walk that came to its end without an error begins the next one at its own
-- beginning; one that was stopped goes on at its page, unless `restart` says that the page cannot be trusted.
CREATE FUNCTION end_sweep(claim uuid, tenant uuid, connection uuid, due_in_s double precision,
    overlap_s double precision, why text, restart boolean) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    WITH ended AS (
        UPDATE connection_sweeps s SET claim_id = NULL, lease_until = NULL, last_error = left(why, 1000),
            due_at = now() + make_interval(secs => due_in_s),
            since = CASE WHEN why = '' AND s.page_cursor = ''
                         THEN s.walk_began_at - make_interval(secs => overlap_s) ELSE s.since END,
            last_whole_at = CASE WHEN why = '' AND s.page_cursor = '' THEN now() ELSE s.last_whole_at END,
            walks = s.walks + CASE WHEN why = '' AND s.page_cursor = '' THEN 1 ELSE 0 END,
            page_cursor = CASE WHEN restart THEN '' ELSE s.page_cursor END
        WHERE s.tenant_id = tenant AND s.connection_id = connection AND s.claim_id = claim RETURNING 1
    ) SELECT EXISTS (SELECT FROM ended)
$$;

-- Writes a finding in the transaction of what was done about it, and counts it. False: it is known already.
-- wait_s: until when the provider's own message may still come; null: none is awaited.
CREATE FUNCTION note_drift(tenant uuid, own uuid, connection uuid, envelope uuid, ref text, kind_in text, ours_in text,
    theirs_in text, found_by_in text, done_in text, changed timestamptz, wait_s double precision) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE is_new boolean;
BEGIN
    PERFORM enter_tenant(tenant);
    INSERT INTO drift_findings AS f (tenant_id, id, connection_id, envelope_id, provider_ref, kind, ours, theirs,
        found_by, done, changed_at, webhook, decide_at)
    VALUES (tenant, own, connection, envelope, left(ref, 255), kind_in, left(ours_in, 60), left(theirs_in, 120),
        found_by_in, left(done_in, 300), changed, CASE WHEN wait_s IS NULL THEN '' ELSE 'awaited' END,
        GREATEST(now(), COALESCE(changed, now()) + make_interval(secs => wait_s)))
    ON CONFLICT (tenant_id, connection_id, provider_ref, kind, ours, theirs) WHERE kind <> 'behind'
        DO UPDATE SET seen_at = now(), times = f.times + 1
    RETURNING f.id = own INTO is_new;
    IF is_new THEN
        INSERT INTO connection_sweeps AS s (tenant_id, connection_id, behind, ahead, contradicting, unknown, gone)
        VALUES (tenant, connection, (kind_in = 'behind')::integer, (kind_in = 'ahead')::integer,
            (kind_in = 'contradicting')::integer, (kind_in = 'unknown')::integer, (kind_in = 'gone')::integer)
        ON CONFLICT (tenant_id, connection_id) DO UPDATE SET behind = s.behind + excluded.behind,
            ahead = s.ahead + excluded.ahead, contradicting = s.contradicting + excluded.contradicting,
            unknown = s.unknown + excluded.unknown, gone = s.gone + excluded.gone;
    END IF;
    RETURN is_new;
END $$;

-- Says of findings whose time is over whether the provider's own message came. While messages of that connection wait
-- to be processed nothing is said, for an hour at most. A message's id begins with the moment at which it came.
CREATE FUNCTION judge_drift(most integer) RETURNS TABLE (missed bigint, late bigint)
LANGUAGE sql VOLATILE AS $$
    WITH due AS MATERIALIZED (
        SELECT f.tenant_id, f.id, f.connection_id, f.provider_ref,
            (lpad(to_hex((extract(epoch FROM COALESCE(f.changed_at, f.found_at)) * 1000)::bigint - 10000), 12, '0')
             || repeat('0', 20))::uuid AS first_id
        FROM drift_findings f
        WHERE f.webhook = 'awaited' AND f.decide_at <= now()
          AND (f.found_at <= now() - interval '1 hour' OR NOT EXISTS (
               SELECT FROM inbox_messages w WHERE w.next_at IS NOT NULL AND w.tenant_id = f.tenant_id
               AND w.connection_id = f.connection_id AND w.state IN ('received', 'processing')))
        ORDER BY f.decide_at LIMIT most FOR UPDATE SKIP LOCKED
    ), judged AS (
        UPDATE drift_findings f SET webhook = CASE WHEN EXISTS (
            SELECT FROM inbox_messages m WHERE m.tenant_id = d.tenant_id AND m.id >= d.first_id
            AND m.connection_id = d.connection_id AND m.provider_ref = d.provider_ref) THEN 'late' ELSE 'missed' END
        FROM due d WHERE f.tenant_id = d.tenant_id AND f.id = d.id
        RETURNING f.tenant_id, f.connection_id, f.webhook
    ), sums AS (
        SELECT j.tenant_id, j.connection_id, count(*) FILTER (WHERE j.webhook = 'missed') AS missed,
            count(*) FILTER (WHERE j.webhook = 'late') AS late
        FROM judged j GROUP BY 1, 2
    ), counted AS (
        UPDATE connection_sweeps s SET missed = s.missed + n.missed, late = s.late + n.late
        FROM sums n WHERE s.tenant_id = n.tenant_id AND s.connection_id = n.connection_id
    ) SELECT COALESCE(sum(n.missed), 0)::bigint, COALESCE(sum(n.late), 0)::bigint FROM sums n
$$;

-- Connections whose provider's webhook configuration is to be looked at; each is left alone for `every_s` then.
CREATE FUNCTION claim_webhook_checks(most integer, every_s double precision, providers text[])
RETURNS TABLE (tenant_id uuid, connection_id uuid)
LANGUAGE sql VOLATILE AS $$
    UPDATE connection_sweeps s SET webhooks_due_at = now() + make_interval(secs => every_s)
    FROM (
        SELECT d.tenant_id, d.connection_id FROM connection_sweeps d
        JOIN connections c ON c.tenant_id = d.tenant_id AND c.id = d.connection_id
        WHERE d.webhooks_due_at <= now() AND c.active AND c.receive_webhooks AND c.provider = ANY (providers)
        ORDER BY d.webhooks_due_at LIMIT most FOR UPDATE OF d SKIP LOCKED
    ) due
    WHERE s.tenant_id = due.tenant_id AND s.connection_id = due.connection_id
    RETURNING s.tenant_id, s.connection_id
$$;

-- Writes what a look at the webhook configuration found. After repairs the next walk begins where all was last well;
-- one that is under way has lost its claim then. switched_on: the provider's ids of what was switched on now, or is off
-- again although it was; what was well for `remembered_s` is forgotten.
CREATE FUNCTION keep_webhook_check(tenant uuid, connection uuid, found jsonb, repaired integer,
    overlap_s double precision, switched_on text[], remembered_s double precision) RETURNS void
LANGUAGE sql VOLATILE AS $$
    UPDATE connection_sweeps s SET webhooks = found, webhooks_checked_at = now(),
        webhook_repairs = s.webhook_repairs + repaired,
        switched_on = COALESCE((
            SELECT jsonb_object_agg(o.key, o.value) FROM jsonb_each_text(s.switched_on) o
            WHERE o.value::timestamptz > now() - make_interval(secs => remembered_s)
        ), '{}') || COALESCE((SELECT jsonb_object_agg(n.ref, now()) FROM unnest(keep_webhook_check.switched_on) n(ref)), '{}'),
        used_at = CASE WHEN found @> '[{"code": "refused"}]' THEN s.used_at ELSE now() END,
        refused_since = CASE WHEN found @> '[{"code": "refused"}]' THEN s.refused_since END,
        since = CASE WHEN repaired > 0
                     THEN LEAST(s.since, COALESCE(s.webhooks_well_at, s.created_at) - make_interval(secs => overlap_s))
                     ELSE s.since END,
        page_cursor = CASE WHEN repaired > 0 THEN '' ELSE s.page_cursor END,
        due_at = CASE WHEN repaired > 0 THEN now() ELSE s.due_at END,
        claim_id = CASE WHEN repaired = 0 THEN s.claim_id END,
        lease_until = CASE WHEN repaired = 0 THEN s.lease_until END,
        webhooks_well_at = CASE WHEN found = '[]' THEN now() ELSE s.webhooks_well_at END
    WHERE s.tenant_id = tenant AND s.connection_id = connection
$$;

-- Connections whose credentials nobody has used for `idle_s`; each is tried once a day.
CREATE FUNCTION claim_idle(most integer, idle_s double precision, of_provider text)
RETURNS TABLE (tenant_id uuid, connection_id uuid)
LANGUAGE sql VOLATILE AS $$
    UPDATE connection_sweeps s SET alive_due_at = now() + interval '1 day'
    FROM (
        SELECT d.tenant_id, d.connection_id FROM connection_sweeps d
        JOIN connections c ON c.tenant_id = d.tenant_id AND c.id = d.connection_id
        WHERE d.alive_due_at <= now() AND d.used_at <= now() - make_interval(secs => idle_s)
          AND c.provider = of_provider
        ORDER BY d.used_at LIMIT most FOR UPDATE OF d SKIP LOCKED
    ) due
    WHERE s.tenant_id = due.tenant_id AND s.connection_id = due.connection_id
    RETURNING s.tenant_id, s.connection_id
$$;

-- Whether the credentials were of use. True: they have just begun to be refused, which is to be told once.
CREATE FUNCTION keep_use(tenant uuid, connection uuid, was_refused boolean) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE before timestamptz;
BEGIN
    SELECT s.refused_since INTO before FROM connection_sweeps s
    WHERE s.tenant_id = tenant AND s.connection_id = connection FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE connection_sweeps s SET used_at = CASE WHEN was_refused THEN s.used_at ELSE now() END,
        refused_since = CASE WHEN was_refused THEN COALESCE(s.refused_since, now()) END
    WHERE s.tenant_id = tenant AND s.connection_id = connection;
    RETURN was_refused AND before IS NULL;
END $$;

REVOKE ALL ON FUNCTION claim_sweeps, keep_page, end_sweep, note_drift, judge_drift, claim_webhook_checks,
    keep_webhook_check, claim_idle, keep_use FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_sweeps, keep_page, end_sweep, judge_drift, claim_webhook_checks, keep_webhook_check,
    claim_idle, keep_use TO countersign_hub;
GRANT EXECUTE ON FUNCTION note_drift TO countersign_app, countersign_hub;
