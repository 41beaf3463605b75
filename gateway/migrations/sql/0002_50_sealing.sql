-- Sealed files: every version that ever went out, by its hash, and when its proofs must be renewed. And the queue of
-- envelopes that wait for their seal.

CREATE TABLE engine_seals (
    tenant_id uuid NOT NULL,
    engine_id uuid NOT NULL,
    id uuid NOT NULL,
    -- 'document', 'certificate' or 'combined'; document_id for the first.
    part varchar(20) NOT NULL CHECK (part IN ('document', 'certificate', 'combined')),
    document_id uuid,
    -- 1 is the seal; each renewal of the archive timestamp makes the next.
    revision integer NOT NULL DEFAULT 1,
    level varchar(10) NOT NULL,
    blob_key varchar(500) NOT NULL,
    sha256 varchar(64) NOT NULL,
    size_bytes bigint NOT NULL,
    -- Of the certificate that sealed: serial (hexadecimal) and SHA-256.
    certificate_serial varchar(64) NOT NULL DEFAULT '',
    certificate_sha256 varchar(64) NOT NULL DEFAULT '',
    timestamp_authority varchar(300) NOT NULL DEFAULT '',
    timestamp_serial varchar(80) NOT NULL DEFAULT '',
    stamped_at timestamptz,
    -- When the last archive timestamp's certificate expires; renew_at is before it, NULL for what is not renewed.
    proof_until timestamptz,
    renew_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, engine_id, id),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_engine_seals_sha256 ON engine_seals (sha256);
CREATE INDEX idx_engine_seals_renew ON engine_seals (renew_at) WHERE renew_at IS NOT NULL;
SELECT guard_tenant_table('engine_seals', 'SELECT, INSERT, UPDATE');

-- Leases envelopes that wait for their seal. The attempt's number is the fence: only its holder may finish.
CREATE FUNCTION claim_sealing(most integer, lease_s double precision)
RETURNS TABLE (tenant_id uuid, id uuid, attempt integer)
LANGUAGE sql VOLATILE AS $$
    UPDATE engine_envelopes e SET seal_attempts = e.seal_attempts + 1,
        seal_due_at = now() + make_interval(secs => lease_s)
    FROM (SELECT d.tenant_id, d.id FROM engine_envelopes d
          WHERE d.status = 'sealing' AND d.seal_due_at <= now()
          ORDER BY d.seal_due_at LIMIT most FOR UPDATE SKIP LOCKED) due
    WHERE e.tenant_id = due.tenant_id AND e.id = due.id
    RETURNING e.tenant_id, e.id, e.seal_attempts
$$;

-- Leases seals whose archive timestamp must be renewed; a lease that runs out is taken again.
CREATE FUNCTION claim_renewals(most integer, lease_s double precision)
RETURNS TABLE (tenant_id uuid, engine_id uuid, id uuid)
LANGUAGE sql VOLATILE AS $$
    UPDATE engine_seals s SET renew_at = now() + make_interval(secs => lease_s)
    FROM (SELECT d.tenant_id, d.engine_id, d.id FROM engine_seals d
          WHERE d.renew_at <= now() ORDER BY d.renew_at LIMIT most FOR UPDATE SKIP LOCKED) due
    WHERE s.tenant_id = due.tenant_id AND s.engine_id = due.engine_id AND s.id = due.id
    RETURNING s.tenant_id, s.engine_id, s.id
$$;

REVOKE ALL ON FUNCTION claim_sealing, claim_renewals FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_sealing, claim_renewals TO countersign_hub;
