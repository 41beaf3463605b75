-- What a signer was shown, agreed to and meant: the evidence beside the engine's state. Rows are added, and a consent
-- is withdrawn; nothing here is ever rewritten.

-- A disclosure's words as they were shown, once per tenant: the hash in a consent leads here.
CREATE TABLE disclosures (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    sha256 varchar(64) NOT NULL,
    disclosure_id varchar(60) NOT NULL,
    version varchar(20) NOT NULL,
    language varchar(10) NOT NULL,
    -- [[heading, text], ...]
    paragraphs jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, sha256)
);
SELECT guard_tenant_table('disclosures', 'SELECT, INSERT');

CREATE TABLE consents (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    engine_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    disclosure_id varchar(60) NOT NULL,
    version varchar(20) NOT NULL,
    sha256 varchar(64) NOT NULL,
    language varchar(10) NOT NULL,
    shown_at timestamptz NOT NULL,
    -- 'accepted' or 'refused', and when.
    outcome varchar(20) NOT NULL CHECK (outcome IN ('accepted', 'refused')),
    decided_at timestamptz NOT NULL,
    method varchar(30) NOT NULL,
    -- 'passed': the word out of the sample PDF was typed; 'not_asked': the installation does not ask for it.
    demonstration varchar(20) NOT NULL,
    -- SHA-256 of the word, so that the result can be shown to belong to what was typed.
    demonstration_sha256 varchar(64) NOT NULL DEFAULT '',
    withdrawn_at timestamptz,
    ip_address varchar(50) NOT NULL DEFAULT '',
    user_agent varchar(512) NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, engine_id, id),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
SELECT guard_tenant_table('consents', 'SELECT, INSERT, UPDATE (withdrawn_at)');

-- Which bytes were put before a recipient, and when first: written by reading. Once more where a corrected address has
-- put another person into the place.
CREATE TABLE ceremony_views (
    tenant_id uuid NOT NULL,
    engine_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    -- 'disclosure' or 'document'; then its id.
    kind varchar(20) NOT NULL,
    item varchar(100) NOT NULL,
    sha256 varchar(64) NOT NULL,
    first_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, engine_id, recipient_id, kind, item, sha256, first_at),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
SELECT guard_tenant_table('ceremony_views', 'SELECT, INSERT');

-- What a recipient put their name to: the exact documents and values, as canonical JSON with a salt, and its hash,
-- which the ledger has too.
CREATE TABLE intents (
    tenant_id uuid NOT NULL,
    engine_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    idempotency_key varchar(100) NOT NULL,
    content text NOT NULL,
    content_sha256 varchar(64) NOT NULL,
    confirmed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, engine_id, recipient_id),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
SELECT guard_tenant_table('intents', 'SELECT, INSERT');

-- Files that recipients added; the field holds the name and the object's key.
CREATE TABLE attachments (
    tenant_id uuid NOT NULL,
    engine_id uuid NOT NULL,
    field_id uuid NOT NULL,
    blob_key varchar(500) NOT NULL,
    name varchar(200) NOT NULL,
    media_type varchar(100) NOT NULL,
    sha256 varchar(64) NOT NULL,
    size_bytes bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, engine_id, field_id, blob_key),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
SELECT guard_tenant_table('attachments', 'SELECT, INSERT');

-- What one recipient's page needs beyond the envelope, as one JSON text: consents, what was shown, the intent. Only
-- from when this person was asked: before a correction of the address, it was another who agreed and read.
CREATE FUNCTION load_ceremony(tenant uuid, wanted uuid, reader uuid) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE asked_at timestamptz;
BEGIN
    PERFORM enter_tenant(tenant);
    SELECT coalesce(r.sent_at, '-infinity') INTO asked_at FROM engine_recipients r
        WHERE r.tenant_id = tenant AND r.engine_id = wanted AND r.id = reader;
    RETURN jsonb_build_object(
        'consents', (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.decided_at, c.id), '[]') FROM consents c
            WHERE c.tenant_id = tenant AND c.engine_id = wanted AND c.recipient_id = reader
                AND c.decided_at >= asked_at),
        'views', (SELECT coalesce(jsonb_agg(to_jsonb(v) ORDER BY v.first_at DESC), '[]') FROM ceremony_views v
            WHERE v.tenant_id = tenant AND v.engine_id = wanted AND v.recipient_id = reader
                AND v.first_at >= asked_at),
        'idempotency_key', (SELECT i.idempotency_key FROM intents i
            WHERE i.tenant_id = tenant AND i.engine_id = wanted AND i.recipient_id = reader))::text;
END $$;
