-- Tenants, their users, keys, connections and routing. Every tenant-owned table has tenant_id first in its key
-- and a row-level policy: the second wall behind the queries, and the one that holds when a query is wrong.

-- Raises when no tenant is set: under row-level security an empty setting would silently show nothing.
CREATE FUNCTION current_tenant() RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE tenant text := current_setting('app.tenant', true);
BEGIN
    IF tenant IS NULL OR tenant = '' THEN
        RAISE EXCEPTION 'no tenant is set for this transaction' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN tenant::uuid;
END $$;

-- Sets the tenant of this transaction, for functions that are given one: a caller in AUTOCOMMIT saves a round trip.
-- A transaction that is one tenant's already stays his: an argument that names another is a mistake, and would
-- otherwise take the policies with it. The hub role works across tenants and is under no policy.
CREATE FUNCTION enter_tenant(tenant uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE before text := current_setting('app.tenant', true);
BEGIN
    IF before <> tenant::text AND before <> '' AND NOT pg_has_role(current_user, 'countersign_hub', 'MEMBER') THEN
        RAISE EXCEPTION 'the transaction belongs to another tenant' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM set_config('app.tenant', tenant::text, true);
END $$;

-- One call per table: policy, and the grants of the two roles that log in.
CREATE FUNCTION guard_tenant_table(target regclass, app_rights text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY tenant_only ON %s USING (tenant_id = (SELECT current_tenant()))'
                   ' WITH CHECK (tenant_id = (SELECT current_tenant()))', target);
    EXECUTE format('GRANT %s ON %s TO countersign_app', app_rights, target);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO countersign_hub', target);
END $$;

-- A database that was made before PostgreSQL 15 lets everybody create here, beside functions that others trust.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO countersign_app, countersign_hub, countersign_ledger;

-- The tenant registry itself is the hub role's: administrators act across tenants through it.
CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    name varchar(200) NOT NULL,
    require_idempotency boolean NOT NULL DEFAULT false,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE ON tenants TO countersign_hub;

-- A user's id is never used again: a deactivated row stays (21 CFR 11.100(a)).
CREATE TABLE tenant_users (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    external_id varchar(200) NOT NULL,
    first_name varchar(100) NOT NULL,
    last_name varchar(100) NOT NULL,
    email varchar(200) NOT NULL,
    manager_id uuid,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, external_id),
    FOREIGN KEY (tenant_id, manager_id) REFERENCES tenant_users(tenant_id, id)
);
SELECT guard_tenant_table('tenant_users', 'SELECT, INSERT, UPDATE');

-- tenant_id is the nil UUID for an administrator's key. The secret is kept as HMAC-SHA-256 only.
CREATE TABLE api_keys (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    public_id varchar(16) NOT NULL UNIQUE,
    secret_hash bytea NOT NULL,
    label varchar(100) NOT NULL DEFAULT '',
    scopes text[] NOT NULL,
    rate_per_minute integer,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
SELECT guard_tenant_table('api_keys', 'SELECT');

-- A tenant's account at a provider. path_key is the unguessable last segment of the inbound path.
-- credentials and webhook_keys are vault ciphertext.
CREATE TABLE connections (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    provider varchar(30) NOT NULL,
    label varchar(100) NOT NULL DEFAULT '',
    path_key varchar(64) NOT NULL UNIQUE,
    credentials bytea NOT NULL,
    webhook_keys bytea NOT NULL,
    version integer NOT NULL DEFAULT 1,
    max_document_bytes bigint NOT NULL DEFAULT 0,
    receive_webhooks boolean NOT NULL DEFAULT true,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
SELECT guard_tenant_table('connections', 'SELECT');

-- One policy per tenant: ordered rules, first match; else the default; fallback only before anything was sent.
CREATE TABLE routing_policies (
    tenant_id uuid PRIMARY KEY REFERENCES tenants(id),
    version integer NOT NULL DEFAULT 1,
    default_connection_id uuid,
    rules jsonb NOT NULL DEFAULT '[]',
    fallback uuid[] NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now()
);
SELECT guard_tenant_table('routing_policies', 'SELECT');

CREATE TABLE provider_switches (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    from_connection_id uuid,
    to_connection_id uuid NOT NULL,
    policy_before jsonb NOT NULL,
    reason varchar(500) NOT NULL,
    actor_id varchar(200) NOT NULL,
    reverts uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
SELECT guard_tenant_table('provider_switches', 'SELECT');

-- Data keys, wrapped by the master key. The nil UUID holds the system's own.
CREATE TABLE data_keys (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    wrapped bytea NOT NULL,
    kek_id varchar(100) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
SELECT guard_tenant_table('data_keys', 'SELECT, INSERT');
