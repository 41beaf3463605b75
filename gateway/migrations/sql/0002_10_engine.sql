-- The signing engine's own state: to the gateway it is a provider, so it keeps what was handed to it, and reports
-- by messages into the inbox. Positions are fractions of the displayed page, top-left origin. The app role deletes none
-- of it: with an envelope would go the evidence of its ceremony.

CREATE TABLE engine_envelopes (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    -- The gateway's envelope: its ledger chain takes the ceremony's entries.
    envelope_id uuid NOT NULL,
    -- Our reference (envelope and attempt): a create that is repeated finds what the first one made.
    reference varchar(120) NOT NULL,
    status varchar(20) NOT NULL CHECK (status IN
        ('draft', 'sent', 'sealing', 'completed', 'declined', 'voided', 'expired')),
    -- Moves with every change that a signer must be shown anew (correction, delegation, void).
    version integer NOT NULL DEFAULT 1,
    subject varchar(500) NOT NULL,
    message text NOT NULL DEFAULT '',
    language varchar(10) NOT NULL DEFAULT '',
    sender_id varchar(200) NOT NULL DEFAULT '',
    sender_name varchar(200) NOT NULL DEFAULT '',
    sender_email varchar(200) NOT NULL DEFAULT '',
    authentication_level varchar(30) NOT NULL DEFAULT 'email',
    -- 'seal': one certification over everything; 'per_signer': a signature with each signer's own key.
    sealing_mode varchar(20) NOT NULL DEFAULT 'seal',
    reminder_first_hours integer,
    reminder_every_hours integer,
    next_reminder_at timestamptz,
    expires_at timestamptz,
    warn_at timestamptz,
    warned_at timestamptz,
    reason text NOT NULL DEFAULT '',
    seal_attempts integer NOT NULL DEFAULT 0,
    seal_due_at timestamptz,
    seal_error text NOT NULL DEFAULT '',
    certificate_blob_key varchar(500) NOT NULL DEFAULT '',
    certificate_sha256 varchar(64) NOT NULL DEFAULT '',
    certificate_size bigint NOT NULL DEFAULT 0,
    combined_blob_key varchar(500) NOT NULL DEFAULT '',
    combined_sha256 varchar(64) NOT NULL DEFAULT '',
    combined_size bigint NOT NULL DEFAULT 0,
    -- Public, unguessable: the certificate's QR code leads to the verification page of this code.
    verification_code varchar(40) NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    completed_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, connection_id, reference)
);
CREATE INDEX idx_engine_changes ON engine_envelopes (tenant_id, connection_id, updated_at);
CREATE INDEX idx_engine_sealing ON engine_envelopes (seal_due_at) WHERE status = 'sealing';
CREATE INDEX idx_engine_reminders ON engine_envelopes (next_reminder_at) WHERE status = 'sent';
CREATE INDEX idx_engine_expiry ON engine_envelopes (expires_at) WHERE status = 'sent';
CREATE INDEX idx_engine_warnings ON engine_envelopes (warn_at) WHERE status = 'sent' AND warned_at IS NULL;
SELECT guard_tenant_table('engine_envelopes', 'SELECT, INSERT, UPDATE');

CREATE TABLE engine_recipients (
    tenant_id uuid NOT NULL,
    engine_id uuid NOT NULL,
    id uuid NOT NULL,
    position integer NOT NULL,
    name varchar(200) NOT NULL,
    email varchar(200) NOT NULL,
    role varchar(30) NOT NULL,
    routing_order integer NOT NULL,
    status varchar(20) NOT NULL DEFAULT 'pending',
    -- In the order in which they are asked for; 'email' is the link itself.
    authentication text[] NOT NULL,
    -- Vault ciphertext (Place engine_recipients/access_code, .../knowledge): argon2id hashes, never the answers.
    access_code bytea,
    knowledge bytea,
    phone_country_code varchar(5) NOT NULL DEFAULT '',
    phone_number varchar(30) NOT NULL DEFAULT '',
    embedded boolean NOT NULL DEFAULT false,
    host_name varchar(200) NOT NULL DEFAULT '',
    host_email varchar(200) NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    language varchar(10) NOT NULL DEFAULT '',
    country varchar(2) NOT NULL DEFAULT '',
    -- Who handed over to this recipient, and why.
    delegated_from uuid,
    delegation_reason text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    -- As typed at the finish, with what was meant by it.
    signed_name varchar(200) NOT NULL DEFAULT '',
    meaning varchar(200) NOT NULL DEFAULT '',
    ip_address varchar(50) NOT NULL DEFAULT '',
    user_agent varchar(512) NOT NULL DEFAULT '',
    geolocation varchar(60) NOT NULL DEFAULT '',
    time_zone varchar(60) NOT NULL DEFAULT '',
    sent_at timestamptz,
    delivered_at timestamptz,
    completed_at timestamptz,
    PRIMARY KEY (tenant_id, engine_id, id),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
SELECT guard_tenant_table('engine_recipients', 'SELECT, INSERT, UPDATE');

CREATE TABLE engine_documents (
    tenant_id uuid NOT NULL,
    engine_id uuid NOT NULL,
    id uuid NOT NULL,
    position integer NOT NULL,
    name varchar(200) NOT NULL,
    -- As it was sent to us, and as it is shown and sealed (cleaned and flattened; the same when nothing was to do).
    source_blob_key varchar(500) NOT NULL,
    source_sha256 varchar(64) NOT NULL,
    blob_key varchar(500) NOT NULL,
    sha256 varchar(64) NOT NULL,
    size_bytes bigint NOT NULL,
    page_count integer NOT NULL,
    pages jsonb NOT NULL,
    -- Signatures that others made before: nothing but an incremental signature may be added then.
    is_signed boolean NOT NULL DEFAULT false,
    sealed_blob_key varchar(500) NOT NULL DEFAULT '',
    sealed_sha256 varchar(64) NOT NULL DEFAULT '',
    sealed_size bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, engine_id, id),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_engine_sealed ON engine_documents (sealed_sha256) WHERE sealed_sha256 <> '';
SELECT guard_tenant_table('engine_documents', 'SELECT, INSERT, UPDATE');

CREATE TABLE engine_fields (
    tenant_id uuid NOT NULL,
    engine_id uuid NOT NULL,
    id uuid NOT NULL,
    document_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    type varchar(30) NOT NULL,
    page integer NOT NULL,
    x double precision NOT NULL,
    y double precision NOT NULL,
    width double precision NOT NULL,
    height double precision NOT NULL,
    required boolean NOT NULL DEFAULT true,
    read_only boolean NOT NULL DEFAULT false,
    label varchar(500) NOT NULL DEFAULT '',
    value text NOT NULL DEFAULT '',
    options text[] NOT NULL DEFAULT '{}',
    group_name varchar(100) NOT NULL DEFAULT '',
    -- The signature that fills it, for signature and initials; the attachment's file for attachment.
    signature_id uuid,
    attachment_blob_key varchar(500) NOT NULL DEFAULT '',
    completed_at timestamptz,
    -- Moves with every saved value: the second of two tabs finds out.
    version integer NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, engine_id, id),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_engine_fields_recipient ON engine_fields (tenant_id, engine_id, recipient_id);
SELECT guard_tenant_table('engine_fields', 'SELECT, INSERT, UPDATE');

-- What a recipient drew, typed or uploaded: the picture is a blob of the tenant's (PNG), and who made it when.
CREATE TABLE signatures (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    engine_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    -- 'signature' or 'initials'
    purpose varchar(20) NOT NULL DEFAULT 'signature',
    -- 'draw', 'typed' or 'upload'
    type varchar(30) NOT NULL,
    blob_key varchar(500) NOT NULL,
    sha256 varchar(64) NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    text varchar(200) NOT NULL DEFAULT '',
    font varchar(60) NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_signatures_recipient ON signatures (tenant_id, engine_id, recipient_id);
SELECT guard_tenant_table('signatures', 'SELECT, INSERT');

-- The whole envelope as one JSON text, for one tenant; locked: nobody else changes it until the transaction ends.
CREATE FUNCTION load_engine_envelope(tenant uuid, wanted uuid, locked boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE envelope jsonb;
BEGIN
    PERFORM enter_tenant(tenant);
    IF locked THEN
        PERFORM 1 FROM engine_envelopes e WHERE e.tenant_id = tenant AND e.id = wanted FOR UPDATE;
    END IF;
    SELECT to_jsonb(e) INTO envelope FROM engine_envelopes e WHERE e.tenant_id = tenant AND e.id = wanted;
    IF envelope IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN (envelope || jsonb_build_object(
        'recipients', (SELECT coalesce(jsonb_agg(to_jsonb(r) || jsonb_build_object(
                'access_code', translate(encode(r.access_code, 'base64'), E'\n', ''),
                'knowledge', translate(encode(r.knowledge, 'base64'), E'\n', ''))
                ORDER BY r.position), '[]')
            FROM engine_recipients r WHERE r.tenant_id = tenant AND r.engine_id = wanted),
        'documents', (SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY d.position), '[]')
            FROM engine_documents d WHERE d.tenant_id = tenant AND d.engine_id = wanted),
        'fields', (SELECT coalesce(jsonb_agg(to_jsonb(f) ORDER BY f.document_id, f.page, f.y, f.x, f.id), '[]')
            FROM engine_fields f WHERE f.tenant_id = tenant AND f.engine_id = wanted),
        'signatures', (SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.created_at, s.id), '[]')
            FROM signatures s WHERE s.tenant_id = tenant AND s.engine_id = wanted)))::text;
END $$;
