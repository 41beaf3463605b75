-- The level of signature that an envelope asks for, and the signatures that signers' own keys make one after another.

ALTER TABLE envelopes ADD COLUMN signature_level varchar(10) NOT NULL DEFAULT 'ses'
    CHECK (signature_level IN ('ses', 'aes', 'qes'));

CREATE OR REPLACE FUNCTION insert_envelope(envelope jsonb, recipients_in jsonb, documents_in jsonb, attached jsonb,
    fields_in jsonb, claim jsonb, dispatch jsonb, OUT missing uuid[], OUT claim_lost boolean)
LANGUAGE plpgsql AS $$
DECLARE
    tenant uuid := (envelope->>'tenant_id')::uuid;
    own uuid := (envelope->>'id')::uuid;
BEGIN
    IF dispatch->>'routing_stamp' <> routing_stamp(tenant) THEN
        RAISE EXCEPTION 'the routing was changed' USING ERRCODE = 'CS003';
    END IF;
    claim_lost := claim IS NOT NULL AND NOT advance_idempotency_key(tenant, (claim->>'principal')::uuid,
        claim->>'route', claim->>'key', (claim->>'token')::uuid, own);
    IF claim_lost THEN
        RETURN;
    END IF;
    INSERT INTO envelopes (tenant_id, id, name, message, status, sender_id, sender_name, sender_email,
        external_reference, document_type, authentication_level, signature_level, language, template_ref, metadata,
        reminder_first_hours, reminder_every_hours, expiration_date, expiry_warn_days, created_at, updated_at,
        provider, connection_id, connection_version, routing, degraded, dispatch_state, dispatch_epoch,
        dispatch_deadline)
    SELECT tenant, own, e.name, e.message, COALESCE(dispatch->>'status', e.status), e.sender_id, e.sender_name,
        e.sender_email, e.external_reference, e.document_type, e.authentication_level,
        COALESCE(e.signature_level, 'ses'), e.language,
        e.template_ref, e.metadata, e.reminder_first_hours, e.reminder_every_hours, e.expiration_date,
        e.expiry_warn_days, e.created_at, e.created_at,
        dispatch->>'provider', (dispatch->>'connection_id')::uuid, (dispatch->>'connection_version')::int,
        dispatch->'routing', COALESCE(dispatch->'degraded', '[]'),
        CASE WHEN dispatch IS NULL THEN 'idle' ELSE 'creating' END, COALESCE((dispatch->>'epoch')::int, 0),
        clock_timestamp() + make_interval(secs => (dispatch->>'deadline_s')::double precision)
    FROM jsonb_populate_record(NULL::envelopes, envelope) e;

    INSERT INTO documents (tenant_id, id, envelope_id, position, name, media_type, size_bytes, sha256, page_count,
        pages, blob_key, source_media_type, source_sha256)
    SELECT tenant, d.id, own, d.position, d.name, d.media_type, d.size_bytes, d.sha256, d.page_count, d.pages,
        d.blob_key, d.source_media_type, d.source_sha256
    FROM jsonb_populate_recordset(NULL::documents, documents_in) d;

    IF attached <> '[]' THEN
        WITH taken AS (
            UPDATE documents SET envelope_id = own, position = (a.value->>'position')::int
            FROM jsonb_array_elements(attached) a
            WHERE documents.tenant_id = tenant AND documents.id = (a.value->>'id')::uuid
              AND documents.envelope_id IS NULL
            RETURNING documents.id
        )
        SELECT array_agg(wanted.id) INTO missing
        FROM (SELECT (value->>'id')::uuid AS id FROM jsonb_array_elements(attached)) wanted
        WHERE NOT EXISTS (SELECT 1 FROM taken WHERE taken.id = wanted.id);
        IF missing IS NOT NULL THEN
            RETURN;
        END IF;
    END IF;

    PERFORM insert_recipients(tenant, own, recipients_in);
    PERFORM insert_fields(tenant, own, fields_in);
    IF dispatch IS NOT NULL THEN
        INSERT INTO dispatch_attempts (tenant_id, envelope_id, epoch, provider, connection_id, mode)
        VALUES (tenant, own, (dispatch->>'epoch')::int, dispatch->>'provider', (dispatch->>'connection_id')::uuid,
            dispatch->>'mode');
    END IF;
END $$;

-- Whoever has finished an envelope whose signers sign with keys of their own, in the order of finishing: the next one
-- signs on top of what the one before signed.
CREATE TABLE own_signatures (
    tenant_id uuid NOT NULL,
    engine_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    turn integer NOT NULL,
    -- The SHA-256 of the confirmed intent: what released the key, and for what.
    intent_sha256 varchar(64) NOT NULL,
    -- 'dropped': the envelope ended before the key was used.
    state varchar(10) NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'dropped')),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    error varchar(40) NOT NULL DEFAULT '',
    -- Of the certificate that signed; key_location as in certificates.
    certificate_id uuid,
    certificate_serial varchar(64) NOT NULL DEFAULT '',
    certificate_sha256 varchar(64) NOT NULL DEFAULT '',
    subject_name varchar(1000) NOT NULL DEFAULT '',
    issuer_name varchar(1000) NOT NULL DEFAULT '',
    key_location varchar(10) NOT NULL DEFAULT '',
    signed_at timestamptz,
    PRIMARY KEY (tenant_id, engine_id, recipient_id),
    UNIQUE (tenant_id, engine_id, turn),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_own_signatures_due ON own_signatures (due_at) WHERE state = 'waiting';
SELECT guard_tenant_table('own_signatures', 'SELECT, INSERT, UPDATE');

-- A document with the signatures made so far; the seal's job ends it.
CREATE TABLE signing_papers (
    tenant_id uuid NOT NULL,
    engine_id uuid NOT NULL,
    document_id uuid NOT NULL,
    blob_key varchar(500) NOT NULL,
    sha256 varchar(64) NOT NULL,
    -- Values that are shown shortened, and letters that no font had.
    cut_fields uuid[] NOT NULL DEFAULT '{}',
    escaped integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, engine_id, document_id),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
SELECT guard_tenant_table('signing_papers', 'SELECT, INSERT, UPDATE');

-- Leases the next signature of each envelope: nobody's before the one that finished earlier is made. The attempt's
-- number is the fence.
CREATE FUNCTION claim_own_signatures(most integer, lease_s double precision)
RETURNS TABLE (tenant_id uuid, engine_id uuid, recipient_id uuid, attempt integer)
LANGUAGE sql VOLATILE AS $$
    WITH ended AS (
        UPDATE own_signatures s SET state = 'dropped' FROM engine_envelopes e
        WHERE s.state = 'waiting' AND s.due_at <= now() AND e.tenant_id = s.tenant_id AND e.id = s.engine_id
          AND e.status NOT IN ('sent', 'sealing')
    )
    UPDATE own_signatures s SET attempts = s.attempts + 1, due_at = now() + make_interval(secs => lease_s)
    FROM (SELECT d.tenant_id, d.engine_id, d.recipient_id FROM own_signatures d
          JOIN engine_envelopes e ON e.tenant_id = d.tenant_id AND e.id = d.engine_id
              AND e.status IN ('sent', 'sealing')
          WHERE d.state = 'waiting' AND d.due_at <= now() AND NOT EXISTS (
              SELECT 1 FROM own_signatures b WHERE b.tenant_id = d.tenant_id AND b.engine_id = d.engine_id
                  AND b.state = 'waiting' AND b.turn < d.turn)
          ORDER BY d.due_at LIMIT most FOR UPDATE OF d SKIP LOCKED) due
    WHERE s.tenant_id = due.tenant_id AND s.engine_id = due.engine_id AND s.recipient_id = due.recipient_id
    RETURNING s.tenant_id, s.engine_id, s.recipient_id, s.attempts
$$;

-- As before, but for envelopes in which somebody's own signature is still to be made.
CREATE OR REPLACE FUNCTION claim_sealing(most integer, lease_s double precision)
RETURNS TABLE (tenant_id uuid, id uuid, attempt integer)
LANGUAGE sql VOLATILE AS $$
    UPDATE engine_envelopes e SET seal_attempts = e.seal_attempts + 1,
        seal_due_at = now() + make_interval(secs => lease_s)
    FROM (SELECT d.tenant_id, d.id FROM engine_envelopes d
          WHERE d.status = 'sealing' AND d.seal_due_at <= now() AND NOT EXISTS (
              SELECT 1 FROM own_signatures s WHERE s.tenant_id = d.tenant_id AND s.engine_id = d.id
                  AND s.state = 'waiting')
          ORDER BY d.seal_due_at LIMIT most FOR UPDATE SKIP LOCKED) due
    WHERE e.tenant_id = due.tenant_id AND e.id = due.id
    RETURNING e.tenant_id, e.id, e.seal_attempts
$$;

REVOKE ALL ON FUNCTION claim_own_signatures FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_own_signatures TO countersign_hub;
