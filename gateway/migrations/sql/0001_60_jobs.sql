-- Background jobs. RQ carries the call; what is to be done, how often it was tried and who holds it stands here.
-- The hub role's alone: a job names tenants by id and holds nothing of theirs.

-- What recurs. The scheduler only ticks; whoever works claims what is due in SQL, so that two ticks fire once.
CREATE TABLE schedules (
    name varchar(60) PRIMARY KEY,
    every_s double precision NOT NULL CHECK (every_s > 0),
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    fired_at timestamptz,
    fired bigint NOT NULL DEFAULT 0
);
GRANT SELECT, INSERT, UPDATE, DELETE ON schedules TO countersign_hub;

-- args: ids only. `schedule` is set on a run of a schedule: at most one is open, and one that succeeded leaves no row.
CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    kind varchar(60) NOT NULL,
    args jsonb NOT NULL DEFAULT '{}',
    schedule varchar(60),
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'dead')),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz DEFAULT clock_timestamp(),
    lease_until timestamptz,
    claim_id uuid,
    error text NOT NULL DEFAULT '',
    redrives integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX idx_jobs_due ON jobs (due_at, id) WHERE state = 'queued';
CREATE INDEX idx_jobs_leases ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX idx_jobs_dead ON jobs (id) WHERE state = 'dead';
CREATE UNIQUE INDEX uq_jobs_open_schedule ON jobs (schedule) WHERE schedule IS NOT NULL
    AND state IN ('queued', 'running');
GRANT SELECT, INSERT, UPDATE, DELETE ON jobs TO countersign_hub;

-- Fires what is due: one job per schedule, none while the one before is still open. ids: one per name.
CREATE FUNCTION fire_schedules(names text[], ids uuid[]) RETURNS integer
LANGUAGE sql VOLATILE AS $$
    WITH due AS (
        UPDATE schedules s SET due_at = clock_timestamp() + make_interval(secs => s.every_s),
               fired_at = clock_timestamp(), fired = s.fired + 1
        WHERE s.name IN (SELECT d.name FROM schedules d WHERE d.due_at <= clock_timestamp() AND d.name = ANY (names)
                         ORDER BY d.name FOR UPDATE SKIP LOCKED)
        RETURNING s.name
    ), made AS (
        INSERT INTO jobs (id, kind, schedule)
        SELECT t.id, t.name, t.name FROM unnest(names, ids) AS t(name, id) JOIN due ON due.name = t.name
        ON CONFLICT DO NOTHING
        RETURNING 1
    ) SELECT count(*)::integer FROM made
$$;

-- Leases the job that has been due longest; one whose worker was lost counts that as an attempt.
CREATE FUNCTION claim_job(claim uuid, kinds text[], lease_s double precision)
RETURNS TABLE (id uuid, kind text, args jsonb, schedule text, attempts integer, every_s double precision)
LANGUAGE sql VOLATILE AS $$
    UPDATE jobs j SET state = 'running', claim_id = claim, attempts = j.attempts + 1,
           lease_until = clock_timestamp() + make_interval(secs => lease_s),
           error = CASE WHEN j.state = 'running' THEN 'The worker was lost while it ran.' ELSE j.error END
    WHERE j.id = (
        SELECT d.id FROM jobs d
        WHERE d.kind = ANY (kinds) AND ((d.state = 'queued' AND d.due_at <= now())
           OR (d.state = 'running' AND d.lease_until <= now()))
        ORDER BY d.due_at, d.id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING j.id, j.kind::text, j.args, j.schedule::text, j.attempts,
        (SELECT s.every_s FROM schedules s WHERE s.name = j.schedule)
$$;

CREATE FUNCTION renew_job(job uuid, claim uuid, lease_s double precision) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    WITH renewed AS (
        UPDATE jobs SET lease_until = clock_timestamp() + make_interval(secs => lease_s)
        WHERE id = job AND claim_id = claim AND state = 'running' RETURNING 1
    ) SELECT EXISTS (SELECT FROM renewed)
$$;

-- Ends a run that this claim still holds. delay_s null and failed: a dead letter; of a schedule the newest is kept.
CREATE FUNCTION end_job(job uuid, claim uuid, failed boolean, delay_s double precision, why text) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE own jobs;
BEGIN
    SELECT * INTO own FROM jobs WHERE id = job AND claim_id = claim AND state = 'running' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF NOT failed AND own.schedule IS NOT NULL THEN
        DELETE FROM jobs WHERE id = job;
        RETURN true;
    END IF;
    IF failed AND delay_s IS NULL AND own.schedule IS NOT NULL THEN
        DELETE FROM jobs WHERE schedule = own.schedule AND state = 'dead';
    END IF;
    UPDATE jobs SET
        state = CASE WHEN NOT failed THEN 'done' WHEN delay_s IS NULL THEN 'dead' ELSE 'queued' END,
        due_at = clock_timestamp() + make_interval(secs => delay_s), lease_until = NULL, claim_id = NULL,
        error = CASE WHEN failed THEN left(why, 1000) ELSE '' END,
        finished_at = CASE WHEN NOT failed OR delay_s IS NULL THEN clock_timestamp() END
    WHERE id = job;
    RETURN true;
END $$;

REVOKE ALL ON FUNCTION fire_schedules, claim_job, renew_job, end_job FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fire_schedules, claim_job, renew_job, end_job TO countersign_hub;
