-- What concurrent requests write of one tenant's envelopes at the same moment, in one statement: they share a round
-- trip, a transaction and its flush to the disk. All of it or nothing: when one of these raises, nothing was written,
-- and the caller writes each envelope by itself (insert_envelope_recorded, end_dispatch_recorded).

-- As in 0001, but the chains are taken in their order and each is locked once, when it is its turn: two calls with the
-- same chains still cannot deadlock, and a chain that is new is written once instead of begun and then moved on.
-- It is the ledger's own role that owns it, and needs CREATE for a moment.
GRANT CREATE ON SCHEMA public TO countersign_ledger;
SET ROLE countersign_ledger;
CREATE OR REPLACE FUNCTION ledger_append(
    tenants uuid[], chains text[], events uuid[], event_types text[], resource_types text[], resource_ids text[],
    occurred timestamptz[], bodies bytea[], OUT seqs bigint[], OUT hashes bytea[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    called timestamptz := clock_timestamp();
    total integer := cardinality(bodies);
    places integer[]; -- of the entries, chain after chain; within a chain as they were given
    first integer := 1;
    final integer;
    tenant_in uuid;
    chain text;
    is_new boolean;
    seq bigint;
    moment timestamptz;
    link bytea;
    moments timestamptz[];
    previous bytea[];
    contents bytea[];
BEGIN
    IF array_remove(tenants, nullif(current_setting('app.tenant', true), '')::uuid) <> '{}'
        AND NOT pg_has_role(session_user, 'countersign_hub', 'MEMBER') THEN
        RAISE EXCEPTION 'an entry of another tenant was to be recorded' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF array_remove(chains, chains[1]) = '{}' AND array_remove(tenants, tenants[1]) = '{}' THEN
        SELECT array_agg(n) INTO places FROM generate_series(1, total) n;
    ELSE
        SELECT array_agg(w.n::integer ORDER BY w.tenant, w.chain COLLATE "C", w.n) INTO places
        FROM unnest(tenants, chains) WITH ORDINALITY AS w (tenant, chain, n);
    END IF;
    -- Whole from the beginning: one that is filled out of order would be built anew with each place.
    seqs := array_fill(0::bigint, ARRAY[total]);
    hashes := array_fill(''::bytea, ARRAY[total]);
    previous := hashes;
    moments := array_fill(called, ARRAY[total]);
    FOR i IN 1 .. total LOOP
        contents[i] := ledger_body_v1(bodies[i]);
    END LOOP;
    WHILE first <= total LOOP
        tenant_in := tenants[places[first]];
        chain := chains[places[first]];
        final := first;
        WHILE final < total AND chains[places[final + 1]] = chain AND tenants[places[final + 1]] = tenant_in LOOP
            final := final + 1;
        END LOOP;
        LOOP
            SELECT h.seq, h.recorded_at, h.hash INTO seq, moment, link FROM ledger_heads h
            WHERE h.tenant_id = tenant_in AND h.chain_id = chain FOR UPDATE;
            is_new := NOT FOUND;
            IF is_new THEN
                PERFORM ledger_check_chain(chain);
                seq := 0;
                moment := '-infinity';
                link := ledger_genesis_v1(tenant_in, chain);
            END IF;
            FOR i IN first .. final LOOP
                seq := seq + 1;
                moment := greatest(called, moment + interval '1 microsecond');
                seqs[places[i]] := seq;
                moments[places[i]] := moment;
                previous[places[i]] := link;
                link := ledger_link_v1(chain, seq, moment, link, contents[places[i]]);
                hashes[places[i]] := link;
            END LOOP;
            IF is_new THEN
                INSERT INTO ledger_heads VALUES (tenant_in, chain, seq, moment, previous[places[final]], link)
                ON CONFLICT DO NOTHING;
            ELSE
                UPDATE ledger_heads h SET seq = seqs[places[final]], recorded_at = moment,
                    prev_hash = previous[places[final]], hash = link
                WHERE h.tenant_id = tenant_in AND h.chain_id = chain;
            END IF;
            EXIT WHEN FOUND; -- else somebody began the chain at the same moment: after his last entry, then
        END LOOP;
        first := final + 1;
    END LOOP;
    INSERT INTO ledger_entries
    SELECT e.tenant, e.chain, e.seq, 1, e.event, e.event_type, e.resource_type, e.resource_id, e.occurred_at,
        e.moment, e.previous, e.content, e.hash, e.body
    FROM unnest(tenants, chains, seqs, events, event_types, resource_types, resource_ids, occurred, moments,
        previous, contents, hashes, bodies) AS e (tenant, chain, seq, event, event_type, resource_type,
        resource_id, occurred_at, moment, previous, content, hash, body);
END $$;
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM countersign_ledger;

-- New envelopes with the documents, recipients and fields inside each, as gateway.envelopes.model has them. `stamp` is
-- of the routing that chose for those that go out now, and `deadline_s` their time. `claims` are the idempotency keys
-- that the requests hold, each with the envelope that it has become.
CREATE FUNCTION insert_envelopes_recorded(tenant uuid, envelopes_in jsonb, claims jsonb, stamp text,
    deadline_s double precision, mode_in text,
    tenants uuid[], chains text[], events uuid[], event_types text[], resource_types text[], resource_ids text[],
    occurred timestamptz[], bodies bytea[],
    announced_types text[], announced_envelopes uuid[], announced_data bytea[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE claim jsonb;
BEGIN
    PERFORM enter_tenant(tenant);
    IF stamp <> routing_stamp(tenant) THEN
        RAISE EXCEPTION 'the routing was changed' USING ERRCODE = 'CS003';
    END IF;
    IF claims <> '[]' THEN
        FOR claim IN SELECT c.value FROM jsonb_array_elements(claims) c LOOP
            IF NOT advance_idempotency_key(tenant, (claim->>'principal')::uuid, claim->>'route', claim->>'key',
                (claim->>'token')::uuid, (claim->>'envelope_id')::uuid) THEN
                RAISE EXCEPTION 'the claim was lost' USING ERRCODE = 'CS001';
            END IF;
        END LOOP;
    END IF;
    -- One statement, and the foreign keys are asked at its end.
    WITH given AS (
        SELECT g.value AS whole, (g.value->>'id')::uuid AS own FROM jsonb_array_elements(envelopes_in) g
    ), made AS (
        INSERT INTO envelopes (tenant_id, id, name, message, status, sender_id, sender_name, sender_email,
            external_reference, document_type, authentication_level, signature_level, language, template_ref,
            metadata, reminder_first_hours, reminder_every_hours, expiration_date, expiry_warn_days, created_at,
            updated_at, provider, connection_id, connection_version, routing, degraded, dispatch_state,
            dispatch_epoch, dispatch_deadline)
        SELECT tenant, e.id, e.name, e.message, e.status, e.sender_id, e.sender_name, e.sender_email,
            e.external_reference, e.document_type, e.authentication_level, e.signature_level, e.language,
            e.template_ref, e.metadata, e.reminder_first_hours, e.reminder_every_hours, e.expiration_date,
            e.expiry_warn_days, e.created_at, e.created_at, e.provider, e.connection_id, e.connection_version,
            e.routing, e.degraded, e.dispatch_state, e.dispatch_epoch,
            clock_timestamp() + make_interval(secs => deadline_s)
        FROM given g, LATERAL jsonb_populate_record(NULL::envelopes, g.whole) e
    ), papers AS (
        INSERT INTO documents (tenant_id, id, envelope_id, position, name, media_type, size_bytes, sha256,
            page_count, pages, blob_key, source_media_type, source_sha256)
        SELECT tenant, d.id, g.own, d.position, d.name, d.media_type, d.size_bytes, d.sha256, d.page_count,
            d.pages, d.blob_key, d.source_media_type, d.source_sha256
        FROM given g, LATERAL jsonb_populate_recordset(NULL::documents, g.whole->'documents') d
    ), people AS (
        INSERT INTO recipients (tenant_id, id, envelope_id, position, name, email, role, routing_order,
            authentication_method, further_authentication, phone_country_code, phone_number, embedded, host_name,
            host_email, template_role, note, language, country)
        SELECT tenant, r.id, g.own, r.position, r.name, r.email, r.role, r.routing_order,
            r.authentication_method, r.further_authentication, r.phone_country_code, r.phone_number, r.embedded,
            r.host_name, r.host_email, r.template_role, r.note, r.language, r.country
        FROM given g, LATERAL jsonb_populate_recordset(NULL::recipients, g.whole->'recipients') r
    ), places AS (
        INSERT INTO document_fields (tenant_id, id, envelope_id, document_id, recipient_id, type, page_number, x,
            y, width, height, anchor, required, read_only, label, value, options, group_name)
        SELECT tenant, f.id, g.own, f.document_id, f.recipient_id, f.type, f.page_number, f.x, f.y, f.width,
            f.height, f.anchor, f.required, f.read_only, f.label, f.value, f.options, f.group_name
        FROM given g, LATERAL jsonb_populate_recordset(NULL::document_fields, g.whole->'fields') f
    )
    INSERT INTO dispatch_attempts (tenant_id, envelope_id, epoch, provider, connection_id, mode)
    SELECT tenant, g.own, (g.whole->>'dispatch_epoch')::integer, g.whole->>'provider',
        (g.whole->>'connection_id')::uuid, mode_in
    FROM given g WHERE mode_in IS NOT NULL;
    PERFORM record_events(tenants, chains, events, event_types, resource_types, resource_ids, occurred, bodies,
        announced_types, announced_envelopes, announced_data);
END $$;

-- Several attempts that ended, as end_dispatch ends one. Raises for one that changes nothing: what is recorded about
-- it must then not be written.
CREATE FUNCTION end_dispatches_recorded(tenant uuid, ids uuid[], epochs integer[], outcomes text[], details text[],
    statuses text[], dispatch_states text[], refs text[], words text[], errors jsonb[], lookups_in_s double precision[],
    tenants uuid[], chains text[], events uuid[], event_types text[], resource_types text[], resource_ids text[],
    occurred timestamptz[], bodies bytea[],
    announced_types text[], announced_envelopes uuid[], announced_data bytea[])
RETURNS TABLE (version integer, provider_ref text, dispatch_deadline timestamptz, next_lookup_at timestamptz,
    updated_at timestamptz, sent_at timestamptz)
LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. cardinality(ids) LOOP
        SELECT e.version, e.provider_ref, e.dispatch_deadline, e.next_lookup_at, e.updated_at, e.sent_at
        INTO version, provider_ref, dispatch_deadline, next_lookup_at, updated_at, sent_at
        FROM end_dispatch(tenant, ids[i], epochs[i], outcomes[i], details[i], statuses[i], dispatch_states[i],
            refs[i], words[i], errors[i], lookups_in_s[i]) e;
        IF version IS NULL THEN
            RAISE EXCEPTION 'a dispatch was settled before' USING ERRCODE = 'CS004';
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM record_events(tenants, chains, events, event_types, resource_types, resource_ids, occurred, bodies,
        announced_types, announced_envelopes, announced_data);
END $$;

GRANT EXECUTE ON FUNCTION insert_envelopes_recorded, end_dispatches_recorded TO countersign_app, countersign_hub;
