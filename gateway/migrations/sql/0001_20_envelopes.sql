-- Envelopes and what belongs to them. Names and columns follow the design documents; docs/deviations.md lists
-- what differs.

CREATE TABLE envelopes (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    name varchar(200) NOT NULL,
    message varchar(10000) NOT NULL DEFAULT '',
    status varchar(30) NOT NULL DEFAULT 'draft',
    sender_id varchar(200) NOT NULL,
    sender_name varchar(200) NOT NULL DEFAULT '',
    sender_email varchar(200) NOT NULL DEFAULT '',
    external_reference varchar(200) NOT NULL DEFAULT '',
    document_type varchar(100) NOT NULL DEFAULT '',
    authentication_level varchar(30) NOT NULL DEFAULT 'email',
    language varchar(35) NOT NULL DEFAULT '',
    template_ref varchar(200) NOT NULL DEFAULT '',
    metadata jsonb NOT NULL DEFAULT '{}',
    reminder_first_hours integer,
    reminder_every_hours integer,
    expiration_date timestamptz,
    expiry_warn_days integer NOT NULL DEFAULT 0,
    -- Where it went, and why; pinned from the first dispatch on.
    provider varchar(30),
    connection_id uuid,
    connection_version integer,
    provider_ref varchar(255),
    provider_status varchar(60) NOT NULL DEFAULT '',
    routing jsonb,
    degraded jsonb NOT NULL DEFAULT '[]',
    -- The dispatch: idle, creating, unknown, settled. A row that stays creating past its deadline is unknown.
    dispatch_state varchar(20) NOT NULL DEFAULT 'idle',
    dispatch_epoch integer NOT NULL DEFAULT 0,
    dispatch_deadline timestamptz,
    lookups integer NOT NULL DEFAULT 0,
    next_lookup_at timestamptz,
    last_error jsonb,
    reason varchar(1000) NOT NULL DEFAULT '',
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    completed_at timestamptz,
    PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 80);
CREATE INDEX idx_envelopes_sender_status ON envelopes (tenant_id, sender_id, status);
CREATE INDEX idx_envelopes_created ON envelopes (tenant_id, created_at DESC, id DESC);
CREATE INDEX idx_envelopes_reference ON envelopes (tenant_id, external_reference) WHERE external_reference <> '';
CREATE UNIQUE INDEX idx_envelopes_provider_ref ON envelopes (tenant_id, connection_id, provider_ref)
    WHERE provider_ref IS NOT NULL;
CREATE INDEX idx_envelopes_unsettled ON envelopes (dispatch_state, next_lookup_at)
    WHERE dispatch_state IN ('creating', 'unknown');
-- Open envelopes by when something was last heard or asked.
CREATE INDEX idx_envelopes_silent ON envelopes ((GREATEST(next_lookup_at, updated_at)))
    WHERE dispatch_state = 'settled' AND provider_ref IS NOT NULL
      AND status IN ('processing', 'sent', 'delivered', 'signed');
SELECT guard_tenant_table('envelopes', 'SELECT, INSERT, UPDATE');

CREATE TABLE recipients (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    envelope_id uuid NOT NULL,
    position integer NOT NULL,
    name varchar(100) NOT NULL,
    email varchar(200) NOT NULL,
    role varchar(50) NOT NULL DEFAULT 'signer',
    routing_order integer NOT NULL DEFAULT 1,
    status varchar(30) NOT NULL DEFAULT 'pending',
    authentication_method varchar(50) NOT NULL DEFAULT 'email',
    access_code bytea,  -- vault ciphertext
    phone_country_code varchar(5) NOT NULL DEFAULT '',
    phone_number varchar(20) NOT NULL DEFAULT '',
    embedded boolean NOT NULL DEFAULT false,
    host_name varchar(100) NOT NULL DEFAULT '',
    host_email varchar(200) NOT NULL DEFAULT '',
    template_role varchar(100) NOT NULL DEFAULT '',
    note varchar(1000) NOT NULL DEFAULT '',
    language varchar(35) NOT NULL DEFAULT '',
    country varchar(2) NOT NULL DEFAULT '',
    provider_ref varchar(255) NOT NULL DEFAULT '',
    ip_address varchar(50),
    reason varchar(1000) NOT NULL DEFAULT '',
    delivered_at timestamptz,
    completed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, envelope_id) REFERENCES envelopes (tenant_id, id)
) WITH (fillfactor = 80);
CREATE INDEX idx_recipients_envelope ON recipients (tenant_id, envelope_id, routing_order);
SELECT guard_tenant_table('recipients', 'SELECT, INSERT, UPDATE, DELETE');

-- envelope_id is empty until the document is put into an envelope. source_* is what was uploaded when that was
-- converted to PDF.
CREATE TABLE documents (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    envelope_id uuid,
    position integer NOT NULL DEFAULT 0,
    name varchar(200) NOT NULL,
    media_type varchar(150) NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 varchar(64) NOT NULL,
    page_count integer,
    pages jsonb NOT NULL DEFAULT '[]',
    blob_key varchar(500) NOT NULL,
    source_media_type varchar(150) NOT NULL DEFAULT '',
    source_sha256 varchar(64) NOT NULL DEFAULT '',
    status varchar(30) NOT NULL DEFAULT 'ready',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, envelope_id) REFERENCES envelopes (tenant_id, id)
);
CREATE INDEX idx_documents_envelope ON documents (tenant_id, envelope_id);
SELECT guard_tenant_table('documents', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE document_fields (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    envelope_id uuid NOT NULL,
    document_id uuid NOT NULL,
    recipient_id uuid,
    type varchar(30) NOT NULL,
    page_number integer NOT NULL DEFAULT 0,
    x double precision NOT NULL DEFAULT 0,
    y double precision NOT NULL DEFAULT 0,
    width double precision NOT NULL,
    height double precision NOT NULL,
    anchor jsonb,
    required boolean NOT NULL DEFAULT true,
    read_only boolean NOT NULL DEFAULT false,
    completed boolean NOT NULL DEFAULT false,
    label varchar(500) NOT NULL DEFAULT '',
    value text NOT NULL DEFAULT '',
    options text[] NOT NULL DEFAULT '{}',
    group_name varchar(100) NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, envelope_id) REFERENCES envelopes (tenant_id, id)
);
CREATE INDEX idx_fields_recipient ON document_fields (tenant_id, recipient_id, completed);
CREATE INDEX idx_fields_envelope ON document_fields (tenant_id, envelope_id);
SELECT guard_tenant_table('document_fields', 'SELECT, INSERT, UPDATE, DELETE');

-- What was fetched from the provider after completion and is kept here.
CREATE TABLE envelope_artifacts (
    tenant_id uuid NOT NULL,
    envelope_id uuid NOT NULL,
    part varchar(20) NOT NULL,
    number integer NOT NULL DEFAULT 0,
    blob_key varchar(500) NOT NULL,
    media_type varchar(150) NOT NULL,
    sha256 varchar(64) NOT NULL,
    size_bytes bigint NOT NULL,
    fetched_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, envelope_id, part, number),
    FOREIGN KEY (tenant_id, envelope_id) REFERENCES envelopes (tenant_id, id)
);
SELECT guard_tenant_table('envelope_artifacts', 'SELECT, INSERT');

-- One row per try at a provider: what was asked, where, and how it ended.
CREATE TABLE dispatch_attempts (
    tenant_id uuid NOT NULL,
    envelope_id uuid NOT NULL,
    epoch integer NOT NULL,
    provider varchar(30) NOT NULL,
    connection_id uuid NOT NULL,
    mode varchar(10) NOT NULL,
    outcome varchar(20),
    provider_ref varchar(255),
    detail varchar(1000) NOT NULL DEFAULT '',
    -- Set when what this try left at the provider does not count: 'left' is to be cleared away, then 'cleared'.
    orphan varchar(10),
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, envelope_id, epoch),
    FOREIGN KEY (tenant_id, envelope_id) REFERENCES envelopes (tenant_id, id)
);
CREATE INDEX idx_dispatch_orphans ON dispatch_attempts (ended_at) WHERE orphan = 'left';
SELECT guard_tenant_table('dispatch_attempts', 'SELECT, INSERT, UPDATE');
