-- Certificates that sign and seal, with their keys or the way to them; and documents signed outside an envelope.

CREATE TABLE certificates (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    -- Whose it is: empty is the tenant's own, else the e-mail address or the id of one person.
    user_id varchar(200) NOT NULL DEFAULT '',
    -- 'seal' closes completed envelopes, 'sign' signs for a person or for the tenant.
    purpose varchar(10) NOT NULL CHECK (purpose IN ('seal', 'sign')),
    label varchar(100) NOT NULL DEFAULT '',
    -- Who is told before it ends; empty: nobody but the ledger and the metrics.
    contact_email varchar(200) NOT NULL DEFAULT '',
    -- Of several that are valid, the preferred one signs.
    is_preferred boolean NOT NULL DEFAULT false,
    certificate_pem bytea NOT NULL,
    -- Its issuers, nearest first.
    chain_pem bytea NOT NULL DEFAULT '',
    key_location varchar(10) NOT NULL CHECK (key_location IN ('vault', 'pkcs11', 'csc')),
    -- Vault ciphertext (Place certificates/encrypted_private_key): the key, or for a key elsewhere how to reach it.
    encrypted_private_key bytea NOT NULL,
    -- Hexadecimal.
    serial_number varchar(255) NOT NULL,
    -- RFC 4514.
    subject_name varchar(1000) NOT NULL,
    issuer_name varchar(1000) NOT NULL,
    not_valid_before timestamptz NOT NULL,
    not_valid_after timestamptz NOT NULL,
    thumbprint_sha256 varchar(64) NOT NULL,
    revoked boolean NOT NULL DEFAULT false,
    revoked_at timestamptz,
    revocation_reason text,
    -- The alarms of its end that were given, in days before it.
    alarms_given integer[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT unique_serial UNIQUE (tenant_id, serial_number, issuer_name)
);
CREATE INDEX idx_certs_user ON certificates (tenant_id, user_id);
CREATE INDEX idx_certs_thumbprint ON certificates (thumbprint_sha256);
CREATE INDEX idx_certs_ending ON certificates (not_valid_after) WHERE NOT revoked;
SELECT guard_tenant_table('certificates', 'SELECT, INSERT, UPDATE');

-- A signed document is a document of its own: what it was made from, and by which certificate.
CREATE TABLE document_signatures (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    document_id uuid NOT NULL,
    source_document_id uuid NOT NULL,
    source_sha256 varchar(64) NOT NULL,
    sha256 varchar(64) NOT NULL,
    certificate_id uuid NOT NULL,
    level varchar(10) NOT NULL,
    timestamp_authority varchar(300) NOT NULL DEFAULT '',
    signed_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, document_id),
    FOREIGN KEY (tenant_id, certificate_id) REFERENCES certificates (tenant_id, id)
);
CREATE INDEX idx_document_signatures_sha256 ON document_signatures (sha256);
SELECT guard_tenant_table('document_signatures', 'SELECT, INSERT');
