-- Idempotency keys: one row per (tenant, key's owner, route, key). The response is vault ciphertext: it may
-- hold a signing link. Rules: docs/idempotency.md.
CREATE TABLE idempotency_keys (
    tenant_id uuid NOT NULL,
    principal uuid NOT NULL,
    route varchar(200) NOT NULL,
    key varchar(255) NOT NULL,
    id uuid NOT NULL,
    fingerprint bytea NOT NULL,
    lock_token uuid,
    locked_until timestamptz,
    recovery_point varchar(20) NOT NULL DEFAULT 'started',
    resource_id uuid,
    status integer,
    headers jsonb,
    body bytea,
    request_id varchar(100) NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    completed_at timestamptz,
    expires_at timestamptz,
    PRIMARY KEY (tenant_id, principal, route, key)
);
CREATE INDEX idx_idempotency_expires ON idempotency_keys (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX idx_idempotency_open ON idempotency_keys (created_at) WHERE completed_at IS NULL;
SELECT guard_tenant_table('idempotency_keys', 'SELECT, INSERT, UPDATE, DELETE');

-- Claims a key before the work. outcome: 'first' or 'resumed' (the claim is ours), 'replay' (answer with what
-- is stored), 'reused' (another request), 'busy' (the first one still runs).
CREATE FUNCTION claim_idempotency_key(tenant uuid, owner uuid, of_route text, with_key text, new_id uuid,
    print bytea, token uuid, claim_s double precision, of_request text)
RETURNS TABLE (outcome text, id uuid, recovery_point text, resource_id uuid, status integer, headers jsonb,
    body bytea, request_id text)
LANGUAGE plpgsql AS $$
DECLARE row idempotency_keys;
BEGIN
    PERFORM enter_tenant(tenant);
    INSERT INTO idempotency_keys AS k (tenant_id, principal, route, key, id, fingerprint, lock_token,
        locked_until, request_id)
    VALUES (tenant, owner, of_route, with_key, new_id, print, token,
        clock_timestamp() + make_interval(secs => claim_s), of_request)
    ON CONFLICT DO NOTHING RETURNING k.* INTO row;
    IF FOUND THEN
        RETURN QUERY SELECT 'first', row.id, row.recovery_point::text, row.resource_id, NULL::integer,
            NULL::jsonb, NULL::bytea, ''::text;
        RETURN;
    END IF;
    SELECT k.* INTO row FROM idempotency_keys k
    WHERE k.tenant_id = tenant AND k.principal = owner AND k.route = of_route AND k.key = with_key FOR UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'busy', new_id, ''::text, NULL::uuid, NULL::integer, NULL::jsonb, NULL::bytea, ''::text;
    ELSIF row.expires_at <= clock_timestamp() THEN
        UPDATE idempotency_keys k SET id = new_id, fingerprint = print, lock_token = token,
            locked_until = clock_timestamp() + make_interval(secs => claim_s), recovery_point = 'started',
            resource_id = NULL, status = NULL, headers = NULL, body = NULL, request_id = of_request,
            created_at = clock_timestamp(), completed_at = NULL, expires_at = NULL
        WHERE k.tenant_id = tenant AND k.principal = owner AND k.route = of_route AND k.key = with_key;
        RETURN QUERY SELECT 'first', new_id, 'started'::text, NULL::uuid, NULL::integer, NULL::jsonb,
            NULL::bytea, ''::text;
    ELSIF row.fingerprint <> print THEN
        RETURN QUERY SELECT 'reused', row.id, ''::text, NULL::uuid, NULL::integer, NULL::jsonb, NULL::bytea, ''::text;
    ELSIF row.completed_at IS NOT NULL THEN
        RETURN QUERY SELECT 'replay', row.id, row.recovery_point::text, row.resource_id, row.status, row.headers,
            row.body, row.request_id::text;
    ELSIF row.locked_until > clock_timestamp() THEN
        RETURN QUERY SELECT 'busy', row.id, ''::text, NULL::uuid, NULL::integer, NULL::jsonb, NULL::bytea, ''::text;
    ELSE
        UPDATE idempotency_keys k SET lock_token = token,
            locked_until = clock_timestamp() + make_interval(secs => claim_s)
        WHERE k.tenant_id = tenant AND k.principal = owner AND k.route = of_route AND k.key = with_key;
        RETURN QUERY SELECT 'resumed', row.id, row.recovery_point::text, row.resource_id, NULL::integer,
            NULL::jsonb, NULL::bytea, ''::text;
    END IF;
END $$;

-- The work behind the key now exists as a row of ours: what resumes must go on from it. False: the key was taken
-- over meanwhile, and this owner must write nothing more.
CREATE FUNCTION advance_idempotency_key(tenant uuid, owner uuid, of_route text, with_key text, token uuid,
    resource uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE idempotency_keys k SET recovery_point = 'created', resource_id = resource
    WHERE k.tenant_id = tenant AND k.principal = owner AND k.route = of_route AND k.key = with_key
      AND k.lock_token = token;
    RETURN FOUND;
END $$;

-- how: 'store' keeps the answer, 'release' lets a retry go on from the recovery point, 'drop' forgets the key.
CREATE FUNCTION end_idempotency_key(tenant uuid, owner uuid, of_route text, with_key text, token uuid, how text,
    with_status integer, with_headers jsonb, with_body bytea, keep_s double precision) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    IF how = 'drop' THEN
        -- Whoever asks may not know that the work was written: no answer to a COMMIT leaves that open.
        DELETE FROM idempotency_keys k WHERE k.tenant_id = tenant AND k.principal = owner
            AND k.route = of_route AND k.key = with_key AND k.lock_token = token AND k.recovery_point = 'started';
    END IF;
    IF how IN ('drop', 'release') THEN
        UPDATE idempotency_keys k SET locked_until = clock_timestamp() WHERE k.tenant_id = tenant
            AND k.principal = owner AND k.route = of_route AND k.key = with_key AND k.lock_token = token;
    ELSE
        UPDATE idempotency_keys k SET status = with_status, headers = with_headers, body = with_body,
            completed_at = clock_timestamp(), lock_token = NULL, locked_until = NULL,
            expires_at = clock_timestamp() + make_interval(secs => keep_s)
        WHERE k.tenant_id = tenant AND k.principal = owner AND k.route = of_route AND k.key = with_key
          AND k.lock_token = token;
    END IF;
END $$;

-- Forgets expired keys, and abandoned ones long after; returns how many (hub role, in batches).
CREATE FUNCTION reap_idempotency_keys(at_most integer, abandoned_s double precision) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    expired integer;
    abandoned integer;
    moment timestamptz := clock_timestamp();  -- a variable: no index is asked for what clock_timestamp() says
BEGIN
    DELETE FROM idempotency_keys WHERE ctid IN (
        SELECT ctid FROM idempotency_keys WHERE expires_at <= moment
        ORDER BY expires_at LIMIT at_most FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS expired = ROW_COUNT;
    DELETE FROM idempotency_keys WHERE ctid IN (
        SELECT ctid FROM idempotency_keys
        WHERE completed_at IS NULL AND created_at < moment - make_interval(secs => abandoned_s)
        ORDER BY created_at LIMIT at_most - expired FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS abandoned = ROW_COUNT;
    RETURN expired + abandoned;
END $$;

GRANT EXECUTE ON FUNCTION claim_idempotency_key, advance_idempotency_key, end_idempotency_key
    TO countersign_app, countersign_hub;
REVOKE ALL ON FUNCTION reap_idempotency_keys FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reap_idempotency_keys TO countersign_hub;

-- Secrets of the installation itself, as vault ciphertext of the system's data key.
CREATE TABLE system_secrets (
    name varchar(50) PRIMARY KEY,
    id uuid NOT NULL,
    value bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT ON system_secrets TO countersign_hub;
