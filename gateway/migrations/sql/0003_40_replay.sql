-- Replays as jobs, and what proves that an endpoint's numbers are complete.

-- A replay walks its endpoints' deliveries in the order of their sequences: passed_endpoint and passed_sequence stand
-- where it is, and move in the transaction that takes deliveries back, so that a lost worker leaves nothing half done.
-- endpoint_id null: every endpoint that is switched on. Deliveries made after created_at are not taken. next_at: when
-- the rate allows the next ones, by this database's clock. `selected` was counted when it was asked for. actor: type,
-- id and key of whoever asked; no personal data.
CREATE TABLE replay_jobs (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    endpoint_id uuid,
    states text[] NOT NULL,
    event_types text[] NOT NULL DEFAULT '{}',
    envelope_id uuid,
    created_from timestamptz,
    created_before timestamptz,
    sequences int8multirange,
    rate_per_second real CHECK (rate_per_second > 0),
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'done', 'cancelled')),
    reason varchar(200) NOT NULL DEFAULT '',
    selected bigint NOT NULL,
    requeued bigint NOT NULL DEFAULT 0,
    passed_endpoint uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    passed_sequence bigint NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    actor jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200);
CREATE INDEX idx_replay_jobs_running ON replay_jobs (next_at) WHERE state = 'running';
CREATE INDEX idx_replay_jobs_finished ON replay_jobs (finished_at) WHERE finished_at IS NOT NULL;
SELECT guard_tenant_table('replay_jobs', 'SELECT, INSERT, UPDATE');

-- What a replay has taken back: how its deliveries fare since is asked of the deliveries themselves.
CREATE TABLE replay_items (
    tenant_id uuid NOT NULL,
    replay_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    previous text NOT NULL,
    PRIMARY KEY (tenant_id, replay_id, delivery_id),
    FOREIGN KEY (tenant_id, replay_id) REFERENCES replay_jobs (tenant_id, id) ON DELETE CASCADE
);
SELECT guard_tenant_table('replay_items', 'SELECT');

-- What was given up, in the order in which a replay walks.
CREATE INDEX idx_deliveries_exhausted ON deliveries (tenant_id, endpoint_id, sequence) WHERE state = 'exhausted';

-- Numbers whose deliveries were removed when their time of keeping was over: without these a removed delivery and one
-- that never was would look the same.
CREATE TABLE removed_sequences (
    tenant_id uuid NOT NULL,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    sequences int8multirange NOT NULL,
    PRIMARY KEY (tenant_id, endpoint_id)
);
SELECT guard_tenant_table('removed_sequences', 'SELECT');

CREATE FUNCTION keep_removed_sequences() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO removed_sequences AS r (tenant_id, endpoint_id, sequences)
    SELECT g.tenant_id, g.endpoint_id, range_agg(int8range(g.sequence, g.sequence, '[]'))
    FROM gone g JOIN webhook_endpoints e ON e.tenant_id = g.tenant_id AND e.id = g.endpoint_id
    GROUP BY g.tenant_id, g.endpoint_id ORDER BY g.tenant_id, g.endpoint_id
    ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET sequences = r.sequences + excluded.sequences;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_removed_sequences AFTER DELETE ON deliveries
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION keep_removed_sequences();
