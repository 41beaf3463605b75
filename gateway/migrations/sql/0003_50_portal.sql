-- The way into a tenant's webhook portal. A link is used once, within minutes; what follows is a session with a cookie.
-- Every secret lies here as HMAC-SHA-256 under a key that is not in the database: a dump opens no link and no session.
-- `caller`: on whose behalf the portal acts (vault ciphertext): what is done there is recorded as that caller's.
CREATE TABLE portal_sessions (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    handle varchar(40) NOT NULL UNIQUE,
    token_hash bytea NOT NULL UNIQUE,
    secret_hash bytea,
    -- The API key that made the link: when it is revoked or has run out, so has the session.
    key_id uuid NOT NULL,
    caller bytea NOT NULL,
    scope varchar(10) NOT NULL CHECK (scope IN ('manage', 'read')),
    -- Set: the portal shows this endpoint and no other. One that is deleted leaves nothing to show.
    endpoint_id uuid REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    -- Who may frame it: exact origins of the tenant's embedding list. Empty: nobody.
    origins text[] NOT NULL DEFAULT '{}',
    return_url varchar(1000) NOT NULL DEFAULT '',
    language varchar(10) NOT NULL DEFAULT '',
    agent_hash bytea,
    -- Forms whose effect must not come twice (a secret is shown once): the ones that were sent already.
    spent text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    link_until timestamptz NOT NULL,
    started_at timestamptz,
    seen_at timestamptz,
    last_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX idx_portal_sessions_endpoint ON portal_sessions (endpoint_id) WHERE endpoint_id IS NOT NULL;
SELECT guard_tenant_table('portal_sessions', 'SELECT, INSERT, UPDATE, DELETE');
