-- How a tenant's pages and mails look, and the sessions in which fields are placed on its drafts.

CREATE TABLE tenant_branding (
    tenant_id uuid PRIMARY KEY REFERENCES tenants(id),
    -- '': the tenant's own name.
    organisation varchar(200) NOT NULL DEFAULT '',
    -- Accent and the text on it, #rrggbb, checked for contrast before they come here. '': the house's own.
    colour varchar(7) NOT NULL DEFAULT '',
    ink varchar(7) NOT NULL DEFAULT '',
    support_email varchar(200) NOT NULL DEFAULT '',
    reply_to varchar(200) NOT NULL DEFAULT '',
    -- A PNG that we encoded ourselves. Its public id is new with every picture, so browsers may keep it for ever.
    logo_public_id varchar(40) UNIQUE,
    logo_blob_key varchar(500) NOT NULL DEFAULT '',
    logo_width integer NOT NULL DEFAULT 0,
    logo_height integer NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
);
SELECT guard_tenant_table('tenant_branding', 'SELECT');

-- A tenant's appearance as one JSON text, with its name where it has set none.
CREATE FUNCTION tenant_brand(tenant uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    RETURN (SELECT jsonb_build_object(
            'organisation', coalesce(nullif(b.organisation, ''), t.name), 'colour', coalesce(b.colour, ''),
            'ink', coalesce(b.ink, ''), 'support_email', coalesce(b.support_email, ''),
            'logo_public_id', coalesce(b.logo_public_id, ''))::text
        FROM tenants t LEFT JOIN tenant_branding b ON b.tenant_id = t.id WHERE t.id = tenant);
END $$;

-- What notices call the sender's house: as the pages do.
CREATE OR REPLACE FUNCTION engine_organisation(tenant uuid) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF tenant IS DISTINCT FROM current_tenant() THEN
        RAISE EXCEPTION 'the transaction belongs to another tenant' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN (SELECT coalesce(nullif(b.organisation, ''), t.name)
        FROM tenants t LEFT JOIN tenant_branding b ON b.tenant_id = t.id WHERE t.id = tenant);
END $$;

REVOKE ALL ON FUNCTION tenant_brand FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenant_brand TO countersign_app, countersign_hub;

-- A link to the page for placing fields is used once, within minutes; what follows is a session with a cookie. Every
-- secret lies here as HMAC-SHA-256 under a key that is not in the database. `caller`: on whose behalf the page acts
-- (vault ciphertext): what it changes is recorded as that caller's.
CREATE TABLE placing_sessions (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    envelope_id uuid NOT NULL,
    handle varchar(40) NOT NULL UNIQUE,
    token_hash bytea NOT NULL UNIQUE,
    secret_hash bytea,
    -- The API key that made the link: what it may not do any more, the session may not either.
    key_id uuid NOT NULL,
    caller bytea NOT NULL,
    language varchar(10) NOT NULL DEFAULT '',
    return_url varchar(1000) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, envelope_id) REFERENCES envelopes (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_placing_sessions_envelope ON placing_sessions (tenant_id, envelope_id);
SELECT guard_tenant_table('placing_sessions', 'SELECT, INSERT, UPDATE, DELETE');
