-- Whatever is stored and must stay what it was, over all tables that name bytes: after them, because it reads them.

-- Everything that is kept in the blob store and has a digest, with the envelope whose chain hears of damage.
CREATE VIEW stored_blobs WITH (security_invoker = true) AS
    SELECT tenant_id, blob_key, sha256, envelope_id, created_at FROM documents
    UNION ALL
    SELECT tenant_id, blob_key, sha256, envelope_id, fetched_at FROM envelope_artifacts
    UNION ALL
    SELECT tenant_id, blob_key, sha256, NULL, examined_at FROM document_examinations WHERE blob_key <> ''
    UNION ALL
    SELECT d.tenant_id, d.blob_key, d.sha256, NULL, t.created_at FROM template_documents d
        JOIN templates t ON t.tenant_id = d.tenant_id AND t.id = d.template_id
    UNION ALL
    SELECT d.tenant_id, one.blob_key, one.sha256, e.envelope_id, e.created_at FROM engine_documents d
        JOIN engine_envelopes e ON e.tenant_id = d.tenant_id AND e.id = d.engine_id
        CROSS JOIN LATERAL (VALUES (d.source_blob_key, d.source_sha256), (d.blob_key, d.sha256),
                                   (d.sealed_blob_key, d.sealed_sha256)) AS one(blob_key, sha256)
        WHERE one.blob_key <> ''
    UNION ALL
    SELECT e.tenant_id, one.blob_key, one.sha256, e.envelope_id, e.created_at FROM engine_envelopes e
        CROSS JOIN LATERAL (VALUES (e.certificate_blob_key, e.certificate_sha256),
                                   (e.combined_blob_key, e.combined_sha256)) AS one(blob_key, sha256)
        WHERE one.blob_key <> ''
    UNION ALL
    SELECT s.tenant_id, s.blob_key, s.sha256, e.envelope_id, s.created_at FROM signatures s
        JOIN engine_envelopes e ON e.tenant_id = s.tenant_id AND e.id = s.engine_id
    UNION ALL
    -- What a field still names: a file that was replaced before the finish proves nothing.
    SELECT a.tenant_id, a.blob_key, a.sha256, e.envelope_id, a.created_at FROM attachments a
        JOIN engine_envelopes e ON e.tenant_id = a.tenant_id AND e.id = a.engine_id
        JOIN engine_fields f ON f.tenant_id = a.tenant_id AND f.engine_id = a.engine_id AND f.id = a.field_id
            AND f.attachment_blob_key = a.blob_key
    UNION ALL
    -- Every version that was ever sealed: a renewed archive timestamp does not end the proof of the one before.
    SELECT s.tenant_id, s.blob_key, s.sha256, e.envelope_id, s.created_at FROM engine_seals s
        JOIN engine_envelopes e ON e.tenant_id = s.tenant_id AND e.id = s.engine_id;
GRANT SELECT ON stored_blobs TO countersign_hub;

-- Puts what is new on the list; how many. It was verified when it was stored. The hub role's, across tenants.
CREATE FUNCTION enrol_blobs() RETURNS integer
LANGUAGE sql VOLATILE AS $$
    WITH enrolled AS (
        INSERT INTO blob_checks (tenant_id, blob_key, sha256, envelope_id, stored_at, last_verified_at)
        SELECT DISTINCT ON (b.tenant_id, b.blob_key) b.tenant_id, b.blob_key, b.sha256, b.envelope_id,
               b.created_at, b.created_at
        FROM stored_blobs b
        WHERE NOT EXISTS (SELECT FROM blob_checks c WHERE c.tenant_id = b.tenant_id AND c.blob_key = b.blob_key)
        ORDER BY b.tenant_id, b.blob_key, b.envelope_id NULLS LAST
        ON CONFLICT DO NOTHING
        RETURNING 1
    ) SELECT count(*)::integer FROM enrolled
$$;
REVOKE ALL ON FUNCTION enrol_blobs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION enrol_blobs TO countersign_hub;
