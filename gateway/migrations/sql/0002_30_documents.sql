-- What is known about documents: what their examination found, which templates are made of them, and whether the
-- stored bytes are still what was stored.

-- One examination per content and tenant: the same bytes are never examined twice under the same rules.
CREATE TABLE document_examinations (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    source_sha256 varchar(64) NOT NULL,
    -- Of the examiner's rules: a row made by older rules is made anew.
    rules integer NOT NULL,
    state varchar(20) NOT NULL CHECK (state IN ('ready', 'refused')),
    findings jsonb NOT NULL DEFAULT '[]',
    removed text[] NOT NULL DEFAULT '{}',
    -- The cleaned document; empty when nothing had to be changed.
    blob_key varchar(500) NOT NULL DEFAULT '',
    sha256 varchar(64) NOT NULL,
    size_bytes bigint NOT NULL,
    page_count integer NOT NULL,
    pages jsonb NOT NULL DEFAULT '[]',
    is_signed boolean NOT NULL DEFAULT false,
    examined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, source_sha256)
);
SELECT guard_tenant_table('document_examinations', 'SELECT, INSERT, UPDATE');

ALTER TABLE documents
    ADD COLUMN findings jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN removed text[] NOT NULL DEFAULT '{}',
    ADD COLUMN is_signed boolean NOT NULL DEFAULT false;
CREATE INDEX idx_documents_processing ON documents (created_at) WHERE status = 'processing';

-- Roles and fields as the API takes them; the documents are below. A deleted template keeps its row: envelopes
-- name it.
CREATE TABLE templates (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    name varchar(200) NOT NULL,
    description varchar(2000) NOT NULL DEFAULT '',
    version integer NOT NULL DEFAULT 1,
    content jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX idx_templates_newest ON templates (tenant_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
SELECT guard_tenant_table('templates', 'SELECT, INSERT, UPDATE');

-- Envelopes made from a template share its bytes: rows of their own, the same blob.
CREATE TABLE template_documents (
    tenant_id uuid NOT NULL,
    template_id uuid NOT NULL,
    id uuid NOT NULL,
    position integer NOT NULL,
    name varchar(200) NOT NULL,
    media_type varchar(150) NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 varchar(64) NOT NULL,
    page_count integer,
    pages jsonb NOT NULL DEFAULT '[]',
    blob_key varchar(500) NOT NULL,
    source_media_type varchar(150) NOT NULL DEFAULT '',
    source_sha256 varchar(64) NOT NULL DEFAULT '',
    -- A change of the template's documents retires the old ones; their bytes stay, envelopes have them.
    retired_at timestamptz,
    PRIMARY KEY (tenant_id, template_id, id),
    FOREIGN KEY (tenant_id, template_id) REFERENCES templates (tenant_id, id)
);
SELECT guard_tenant_table('template_documents', 'SELECT, INSERT, UPDATE');

-- One row per stored object: what it must be, and when it was last read again and hashed. The digest stands here
-- too, so that what is due is found by one index, however much is stored.
CREATE TABLE blob_checks (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    blob_key varchar(500) NOT NULL,
    sha256 varchar(64) NOT NULL,
    -- Whose chain hears of damage; empty: the tenant's.
    envelope_id uuid,
    stored_at timestamptz NOT NULL,
    last_verified_at timestamptz NOT NULL,
    -- Empty: it was what it should be.
    damage varchar(200) NOT NULL DEFAULT '',
    damaged_at timestamptz,
    PRIMARY KEY (tenant_id, blob_key)
);
CREATE INDEX idx_blob_checks_due ON blob_checks (last_verified_at);
CREATE INDEX idx_blob_checks_damaged ON blob_checks (damaged_at) WHERE damage <> '';
CREATE INDEX idx_blob_checks_stored ON blob_checks (stored_at);
SELECT guard_tenant_table('blob_checks', 'SELECT');
