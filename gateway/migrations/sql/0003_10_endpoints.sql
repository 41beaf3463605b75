-- What an endpoint may ask for beside its URL: where and how it is sent to, what it wants, how fast, in which order.

-- filter: null takes everything. payload: what the data object holds. headers are plain, sensitive_headers is vault
-- ciphertext of a JSON object whose names stand beside it. client_certificate is PEM and public, client_key is vault
-- ciphertext of its key; server_ca: further authorities that the receiver's certificate may come from. oauth:
-- {token_url, client_id, scope, audience}, its secret is vault ciphertext. sink: how it is sent; sink_target names the
-- stream, or exchange and routing key; sink_secret is vault ciphertext of "user:password". signing_key is vault
-- ciphertext of an Ed25519 seed, verify_key its public key; a rotation moves both with the secret.
ALTER TABLE webhook_endpoints
    ADD COLUMN filter jsonb,
    ADD COLUMN payload varchar(10) NOT NULL DEFAULT 'full' CHECK (payload IN ('full', 'thin')),
    ADD COLUMN headers jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN sensitive_header_names text[] NOT NULL DEFAULT '{}',
    ADD COLUMN sensitive_headers bytea,
    ADD COLUMN rate_per_second real CHECK (rate_per_second > 0),
    ADD COLUMN ordering varchar(10) NOT NULL DEFAULT 'skip' CHECK (ordering IN ('skip', 'hold', 'none')),
    ADD COLUMN alert_email varchar(254) NOT NULL DEFAULT '',
    ADD COLUMN client_certificate text NOT NULL DEFAULT '',
    ADD COLUMN client_key bytea,
    ADD COLUMN server_ca text NOT NULL DEFAULT '',
    ADD COLUMN oauth jsonb,
    ADD COLUMN oauth_secret bytea,
    ADD COLUMN sink varchar(20) NOT NULL DEFAULT 'http' CHECK (sink IN ('http', 'redis_stream', 'amqp')),
    ADD COLUMN sink_target varchar(255) NOT NULL DEFAULT '',
    ADD COLUMN sink_secret bytea,
    ADD COLUMN verify_key bytea,
    ADD COLUMN signing_key bytea,
    ADD COLUMN previous_verify_key bytea,
    ADD COLUMN previous_signing_key bytea;

-- What a delivery's body is made of is fixed when it is made: a later change of the endpoint must not change bytes.
ALTER TABLE deliveries ADD COLUMN payload varchar(10) NOT NULL DEFAULT 'full' CHECK (payload IN ('full', 'thin'));

-- How an endpoint fares, beside its configuration: written with every batch of completions. breaker_until: when an
-- open breaker lets one delivery through again. tokens: what the rate limit has left, as of tokens_at.
CREATE TABLE endpoint_health (
    tenant_id uuid NOT NULL,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    breaker text NOT NULL DEFAULT 'closed' CHECK (breaker IN ('closed', 'open', 'half_open')),
    breaker_until timestamptz,
    openings integer NOT NULL DEFAULT 0,
    failures_in_row integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    told_failing_at timestamptz,
    last_success_at timestamptz,
    last_failure_at timestamptz,
    tokens real NOT NULL DEFAULT 0,
    tokens_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, endpoint_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200);
CREATE UNIQUE INDEX uq_endpoint_health_endpoint ON endpoint_health (endpoint_id);
SELECT guard_tenant_table('endpoint_health', 'SELECT');

-- A tenant's events in the order of the fan-out, without a gap: what the pull feed reads.
CREATE TABLE event_feed (
    tenant_id uuid NOT NULL,
    seq bigint NOT NULL,
    event_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);
SELECT guard_tenant_table('event_feed', 'SELECT');
CREATE TABLE event_feed_heads (
    tenant_id uuid PRIMARY KEY,
    next_seq bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200);
SELECT guard_tenant_table('event_feed_heads', 'SELECT');
