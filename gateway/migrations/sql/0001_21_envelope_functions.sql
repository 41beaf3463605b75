-- The hot writes of an envelope as functions: one round trip each, whatever the number of rows.
-- They run with the caller's rights, so row-level security holds inside them too.

-- Names the present routing of a tenant: policy and connections, each with its version.
CREATE FUNCTION routing_stamp(tenant uuid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat((SELECT p.version FROM routing_policies p WHERE p.tenant_id = tenant), ';',
        (SELECT string_agg(concat(c.id, ':', c.version, ':', c.active), ',' ORDER BY c.id)
         FROM connections c WHERE c.tenant_id = tenant))
$$;

-- A whole new envelope from one JSON document, in one round trip; uploads among `attached` are taken into it.
-- `claim` advances the idempotency key that the request holds, `dispatch` pins the first try at a provider.
-- missing: attached documents that were not free (unknown, foreign or in another envelope). claim_lost: somebody
-- else has taken the request over. In both cases the caller rolls back.
CREATE FUNCTION insert_envelope(envelope jsonb, recipients_in jsonb, documents_in jsonb, attached jsonb,
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
        external_reference, document_type, authentication_level, language, template_ref, metadata,
        reminder_first_hours, reminder_every_hours, expiration_date, expiry_warn_days, created_at, updated_at,
        provider, connection_id, connection_version, routing, degraded, dispatch_state, dispatch_epoch,
        dispatch_deadline)
    SELECT tenant, own, e.name, e.message, COALESCE(dispatch->>'status', e.status), e.sender_id, e.sender_name,
        e.sender_email, e.external_reference, e.document_type, e.authentication_level, e.language,
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

CREATE FUNCTION insert_recipients(tenant uuid, own uuid, recipients_in jsonb) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO recipients (tenant_id, id, envelope_id, position, name, email, role, routing_order,
        authentication_method, access_code, phone_country_code, phone_number, embedded, host_name, host_email,
        template_role, note, language, country)
    SELECT tenant, r.id, own, r.position, r.name, r.email, r.role, r.routing_order, r.authentication_method,
        r.access_code, r.phone_country_code, r.phone_number, r.embedded, r.host_name, r.host_email,
        r.template_role, r.note, r.language, r.country
    FROM jsonb_populate_recordset(NULL::recipients, recipients_in) r;
$$;

CREATE FUNCTION insert_fields(tenant uuid, own uuid, fields_in jsonb) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO document_fields (tenant_id, id, envelope_id, document_id, recipient_id, type, page_number, x, y,
        width, height, anchor, required, read_only, label, value, options, group_name)
    SELECT tenant, f.id, own, f.document_id, f.recipient_id, f.type, f.page_number, f.x, f.y, f.width, f.height,
        f.anchor, f.required, f.read_only, f.label, f.value, f.options, f.group_name
    FROM jsonb_populate_recordset(NULL::document_fields, fields_in) f;
$$;

-- The provider's id, written the moment it is known: by itself, outside any deadline.
CREATE FUNCTION learn_provider_ref(tenant uuid, own uuid, epoch integer, ref text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    UPDATE dispatch_attempts SET provider_ref = ref
    WHERE tenant_id = tenant AND envelope_id = own AND dispatch_attempts.epoch = learn_provider_ref.epoch;
    UPDATE envelopes SET provider_ref = ref, updated_at = clock_timestamp()
    WHERE tenant_id = tenant AND id = own AND dispatch_epoch = epoch AND provider_ref IS NULL;
END $$;

GRANT EXECUTE ON FUNCTION insert_envelope, insert_recipients, insert_fields, learn_provider_ref
    TO countersign_app, countersign_hub;

-- An envelope with all that belongs to it as one JSON document; NULL when there is none. With `lock` the row
-- is locked first and read by a later statement, so that what is read is what the lock holds still.
CREATE FUNCTION load_envelope(tenant uuid, own uuid, lock boolean) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE found jsonb;
BEGIN
    PERFORM enter_tenant(tenant);
    IF lock THEN
        PERFORM 1 FROM envelopes WHERE tenant_id = tenant AND id = own FOR UPDATE;
    END IF;
    SELECT to_jsonb(e) || jsonb_build_object(
        'recipients', COALESCE((
            SELECT jsonb_agg(to_jsonb(r) || jsonb_build_object('access_code',
                translate(encode(r.access_code, 'base64'), E'\n', '')) ORDER BY r.position)
            FROM recipients r WHERE r.tenant_id = tenant AND r.envelope_id = own), '[]'),
        'documents', COALESCE((
            SELECT jsonb_agg(to_jsonb(d) ORDER BY d.position)
            FROM documents d WHERE d.tenant_id = tenant AND d.envelope_id = own), '[]'),
        'fields', COALESCE((
            SELECT jsonb_agg(to_jsonb(f) ORDER BY f.document_id, f.page_number, f.y, f.x, f.id)
            FROM document_fields f WHERE f.tenant_id = tenant AND f.envelope_id = own), '[]'))
    INTO found FROM envelopes e WHERE e.tenant_id = tenant AND e.id = own;
    RETURN found;
END $$;

-- A tenant's routing policy and its connections, without their secrets.
-- `stamp` is another one after every change of it, so that a copy kept in memory can be checked when it is used.
CREATE FUNCTION load_routing(tenant uuid) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    RETURN jsonb_build_object(
        'stamp', routing_stamp(tenant),
        'policy', (SELECT to_jsonb(p) FROM routing_policies p WHERE p.tenant_id = tenant),
        'connections', COALESCE((
            SELECT jsonb_agg(jsonb_build_object('id', c.id, 'provider', c.provider, 'label', c.label,
                'version', c.version, 'max_document_bytes', c.max_document_bytes, 'active', c.active)
                ORDER BY c.created_at, c.id)
            FROM connections c WHERE c.tenant_id = tenant), '[]'));
END $$;

-- Marks an envelope as being handed to a provider, and opens the attempt's row.
CREATE FUNCTION begin_dispatch(tenant uuid, own uuid, new_epoch integer, to_provider text, to_connection uuid,
    to_version integer, dispatch_mode text, decision jsonb, losses jsonb, deadline_s double precision) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    UPDATE envelopes SET status = 'processing', dispatch_state = 'creating', dispatch_epoch = new_epoch,
        dispatch_deadline = clock_timestamp() + make_interval(secs => deadline_s),
        provider = to_provider, connection_id = to_connection, connection_version = to_version,
        provider_ref = NULL, routing = decision, degraded = losses, last_error = NULL,
        lookups = 0, next_lookup_at = NULL, updated_at = clock_timestamp(), version = version + 1
    WHERE tenant_id = tenant AND id = own;
    INSERT INTO dispatch_attempts (tenant_id, envelope_id, epoch, provider, connection_id, mode)
    VALUES (tenant, own, new_epoch, to_provider, to_connection, dispatch_mode);
END $$;

-- Ends the attempt: only the attempt that is still the current one may change the envelope (fencing), and only
-- while nothing has settled it meanwhile. What the attempt left at the provider and does not count is an orphan.
-- Answers with what only the database knows of the envelope now; version is NULL when nothing was changed.
CREATE FUNCTION end_dispatch(tenant uuid, own uuid, of_epoch integer, outcome_in text, detail_in text,
    new_status text, new_state text, ref text, word text, error_in jsonb, lookup_in_s double precision,
    OUT version integer, OUT provider_ref text, OUT dispatch_deadline timestamptz, OUT next_lookup_at timestamptz,
    OUT updated_at timestamptz, OUT sent_at timestamptz)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM enter_tenant(tenant);
    UPDATE envelopes e SET status = new_status, dispatch_state = new_state,
        provider_ref = CASE WHEN new_status IN ('draft', 'failed') THEN NULL
                            ELSE COALESCE(ref, e.provider_ref) END,
        provider_status = word, last_error = error_in,
        next_lookup_at = CASE WHEN lookup_in_s IS NULL THEN NULL
                              ELSE clock_timestamp() + make_interval(secs => lookup_in_s) END,
        sent_at = CASE WHEN new_status = 'sent' AND e.sent_at IS NULL THEN clock_timestamp() ELSE e.sent_at END,
        updated_at = clock_timestamp(), version = e.version + 1
    WHERE e.tenant_id = tenant AND e.id = own AND e.dispatch_epoch = of_epoch
      -- That is: creating or unknown. Said so, the planner may take the index of the unsettled for the key's,
      -- and then walks over the dead rows of every dispatch since the last vacuum.
      AND e.dispatch_state NOT IN ('idle', 'settled')
    RETURNING e.version, e.provider_ref, e.dispatch_deadline, e.next_lookup_at, e.updated_at, e.sent_at
    INTO version, provider_ref, dispatch_deadline, next_lookup_at, updated_at, sent_at;
    IF NOT FOUND THEN
        SELECT e.provider_ref INTO provider_ref FROM envelopes e WHERE e.tenant_id = tenant AND e.id = own;
    END IF;
    UPDATE dispatch_attempts a SET outcome = outcome_in, detail = left(detail_in, 1000),
        provider_ref = COALESCE(ref, a.provider_ref), ended_at = clock_timestamp(),
        orphan = CASE WHEN COALESCE(ref, a.provider_ref) IS DISTINCT FROM end_dispatch.provider_ref
            AND COALESCE(ref, a.provider_ref) IS NOT NULL THEN 'left' END
    WHERE a.tenant_id = tenant AND a.envelope_id = own AND a.epoch = of_epoch;
END $$;

-- A look-up or a webhook has found the envelope at the provider: this id counts, and what other tries of the
-- same envelope left behind there does not.
CREATE FUNCTION adopt_provider_ref(tenant uuid, own uuid, ref text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    UPDATE envelopes SET dispatch_state = 'settled', provider_ref = ref, next_lookup_at = NULL, last_error = NULL,
        updated_at = clock_timestamp(), version = version + 1
    WHERE tenant_id = tenant AND id = own;
    UPDATE dispatch_attempts SET orphan = 'left'
    WHERE tenant_id = tenant AND envelope_id = own AND provider_ref <> ref AND orphan IS NULL
      AND ended_at IS NOT NULL;
END $$;

-- Chooses the draft that will be sent, before it is sent: two workers cannot choose two. Returns the chosen one.
CREATE FUNCTION choose_draft(tenant uuid, own uuid, ref text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE chosen text;
BEGIN
    PERFORM enter_tenant(tenant);
    UPDATE envelopes SET provider_ref = COALESCE(provider_ref, ref), updated_at = clock_timestamp()
    WHERE tenant_id = tenant AND id = own AND dispatch_state = 'unknown' RETURNING provider_ref INTO chosen;
    RETURN chosen;
END $$;

-- A draft turned out to be unusable: another may be chosen.
CREATE FUNCTION forget_draft(tenant uuid, own uuid, of_epoch integer, ref text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    UPDATE envelopes SET provider_ref = NULL, updated_at = clock_timestamp()
    WHERE tenant_id = tenant AND id = own AND dispatch_state = 'unknown' AND provider_ref = ref;
    UPDATE dispatch_attempts SET orphan = 'left', provider_ref = ref,
        ended_at = COALESCE(ended_at, clock_timestamp())
    WHERE tenant_id = tenant AND envelope_id = own AND epoch = of_epoch;
END $$;

GRANT EXECUTE ON FUNCTION adopt_provider_ref, choose_draft, forget_draft TO countersign_app, countersign_hub;

-- What ended tries left at providers, over all tenants (hub role). Each is taken for `lease_s`.
CREATE FUNCTION claim_orphans(at_most integer, lease_s double precision)
RETURNS TABLE (tenant_id uuid, envelope_id uuid, epoch integer, connection_id uuid, provider_ref text)
LANGUAGE sql AS $$
    UPDATE dispatch_attempts a SET ended_at = clock_timestamp() + make_interval(secs => lease_s)
    FROM (
        SELECT o.tenant_id, o.envelope_id, o.epoch FROM dispatch_attempts o
        WHERE o.orphan = 'left' AND o.ended_at <= now()
        ORDER BY o.ended_at LIMIT at_most FOR UPDATE SKIP LOCKED
    ) due
    WHERE a.tenant_id = due.tenant_id AND a.envelope_id = due.envelope_id AND a.epoch = due.epoch
    RETURNING a.tenant_id, a.envelope_id, a.epoch, a.connection_id, a.provider_ref::text;
$$;
REVOKE ALL ON FUNCTION claim_orphans FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_orphans TO countersign_hub;

GRANT EXECUTE ON FUNCTION load_envelope, load_routing, begin_dispatch, end_dispatch
    TO countersign_app, countersign_hub;

-- The envelope that a provider's message is about: by the provider's id on that connection, else by our own
-- id when the message carried our reference and the envelope went to that connection.
CREATE FUNCTION match_envelope(tenant uuid, on_connection uuid, ref text, own uuid) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE found uuid;
BEGIN
    PERFORM enter_tenant(tenant);
    SELECT id INTO found FROM envelopes
    WHERE tenant_id = tenant AND connection_id = on_connection AND provider_ref = ref;
    IF found IS NULL AND own IS NOT NULL THEN
        SELECT id INTO found FROM envelopes
        WHERE tenant_id = tenant AND id = own AND connection_id = on_connection
          -- While the outcome is open, a message about any of its tries is welcome, also a late one's.
          AND (provider_ref IS NULL OR provider_ref = ref OR dispatch_state IN ('creating', 'unknown'));
    END IF;
    RETURN found;
END $$;

-- A dispatch whose process died is unknown, as one whose answer was lost. False: it is still under way, or over.
CREATE FUNCTION abandon_dispatch(tenant uuid, own uuid, of_epoch integer) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    UPDATE envelopes SET dispatch_state = 'unknown', lookups = 0, next_lookup_at = clock_timestamp(),
        updated_at = clock_timestamp(), version = version + 1
    WHERE tenant_id = tenant AND id = own AND dispatch_epoch = of_epoch AND dispatch_state = 'creating'
      AND dispatch_deadline <= clock_timestamp();
    RETURN FOUND;
END $$;
GRANT EXECUTE ON FUNCTION abandon_dispatch TO countersign_app, countersign_hub;

-- A message about a try of ours that does not count, because another one does: what it made is to be cleared
-- away. True when it is such a twin.
CREATE FUNCTION note_twin(tenant uuid, own uuid, on_connection uuid, of_epoch integer, ref text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    UPDATE dispatch_attempts a SET orphan = COALESCE(a.orphan, 'left'), provider_ref = ref,
        ended_at = COALESCE(a.ended_at, clock_timestamp())
    FROM envelopes e
    WHERE e.tenant_id = tenant AND e.id = own AND e.connection_id = on_connection AND e.provider_ref <> ref
      AND a.tenant_id = tenant AND a.envelope_id = own AND a.epoch = of_epoch
      AND (a.provider_ref IS NULL OR a.provider_ref = ref);
    RETURN FOUND;
END $$;
GRANT EXECUTE ON FUNCTION note_twin TO countersign_app, countersign_hub;

-- Envelopes whose dispatch must be looked into now, over all tenants (hub role). Each is taken for `lease_s`.
CREATE FUNCTION claim_unsettled(at_most integer, lease_s double precision)
RETURNS TABLE (tenant_id uuid, envelope_id uuid)
LANGUAGE sql AS $$
    UPDATE envelopes e SET next_lookup_at = clock_timestamp() + make_interval(secs => lease_s)
    FROM (
        SELECT u.tenant_id, u.id FROM envelopes u
        -- now() and not clock_timestamp(): an index is asked only for what stands still during the statement.
        WHERE (u.dispatch_state = 'unknown' AND u.next_lookup_at <= now())
           OR (u.dispatch_state = 'creating' AND u.dispatch_deadline <= now()
               AND (u.next_lookup_at IS NULL OR u.next_lookup_at <= now()))
        ORDER BY u.next_lookup_at NULLS FIRST
        LIMIT at_most FOR UPDATE SKIP LOCKED
    ) due
    WHERE e.tenant_id = due.tenant_id AND e.id = due.id
    RETURNING e.tenant_id, e.id;
$$;

GRANT EXECUTE ON FUNCTION match_envelope TO countersign_app, countersign_hub;
REVOKE ALL ON FUNCTION claim_unsettled FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_unsettled TO countersign_hub;

-- Open envelopes that were silent for `after_s`, over all tenants (hub role). Each is left alone again as long, or an
-- eighth of its age. Of a settled envelope next_lookup_at is when its silence began to count anew.
CREATE FUNCTION claim_silent(at_most integer, after_s double precision)
RETURNS TABLE (tenant_id uuid, envelope_id uuid)
LANGUAGE sql AS $$
    UPDATE envelopes e SET next_lookup_at = clock_timestamp()
        + GREATEST((clock_timestamp() - e.created_at) / 8 - make_interval(secs => after_s), interval '0')
    FROM (
        SELECT s.tenant_id, s.id FROM envelopes s
        WHERE s.dispatch_state = 'settled' AND s.provider_ref IS NOT NULL
          AND s.status IN ('processing', 'sent', 'delivered', 'signed')
          AND GREATEST(s.next_lookup_at, s.updated_at) <= clock_timestamp() - make_interval(secs => after_s)
        ORDER BY GREATEST(s.next_lookup_at, s.updated_at)
        LIMIT at_most FOR UPDATE SKIP LOCKED
    ) due
    WHERE e.tenant_id = due.tenant_id AND e.id = due.id
    RETURNING e.tenant_id, e.id;
$$;
REVOKE ALL ON FUNCTION claim_silent FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_silent TO countersign_hub;

CREATE FUNCTION postpone_lookup(tenant uuid, own uuid, of_epoch integer, done integer, delay_s double precision)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    UPDATE envelopes SET lookups = done, next_lookup_at = clock_timestamp() + make_interval(secs => delay_s)
    WHERE tenant_id = tenant AND id = own AND dispatch_epoch = of_epoch AND dispatch_state = 'unknown';
END $$;
GRANT EXECUTE ON FUNCTION postpone_lookup TO countersign_app, countersign_hub;
