-- The two hottest changes of state, each with its ledger entries and announcements in one statement: no round
-- trips for BEGIN and COMMIT. What must not be half done raises, so that nothing of it is written.

CREATE FUNCTION insert_envelope_recorded(envelope jsonb, recipients_in jsonb, documents_in jsonb, attached jsonb,
    fields_in jsonb, claim jsonb, dispatch jsonb,
    tenants uuid[], chains text[], events uuid[], event_types text[], resource_types text[], resource_ids text[],
    occurred timestamptz[], bodies bytea[],
    announced_types text[], announced_envelopes uuid[], announced_data bytea[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE done record;
BEGIN
    PERFORM enter_tenant((envelope->>'tenant_id')::uuid);
    SELECT * INTO done FROM insert_envelope(envelope, recipients_in, documents_in, attached, fields_in, claim,
        dispatch);
    IF done.claim_lost THEN
        RAISE EXCEPTION 'the claim was lost' USING ERRCODE = 'CS001';
    END IF;
    IF done.missing IS NOT NULL THEN
        RAISE EXCEPTION 'documents are taken' USING ERRCODE = 'CS002', DETAIL = to_json(done.missing)::text;
    END IF;
    PERFORM record_events(tenants, chains, events, event_types, resource_types, resource_ids, occurred, bodies,
        announced_types, announced_envelopes, announced_data);
END $$;

CREATE FUNCTION end_dispatch_recorded(tenant uuid, own uuid, of_epoch integer, outcome_in text, detail_in text,
    new_status text, new_state text, ref text, word text, error_in jsonb, lookup_in_s double precision,
    tenants uuid[], chains text[], events uuid[], event_types text[], resource_types text[], resource_ids text[],
    occurred timestamptz[], bodies bytea[],
    announced_types text[], announced_envelopes uuid[], announced_data bytea[],
    OUT version integer, OUT provider_ref text, OUT dispatch_deadline timestamptz, OUT next_lookup_at timestamptz,
    OUT updated_at timestamptz, OUT sent_at timestamptz)
LANGUAGE plpgsql AS $$
BEGIN
    SELECT * INTO version, provider_ref, dispatch_deadline, next_lookup_at, updated_at, sent_at
    FROM end_dispatch(tenant, own, of_epoch, outcome_in, detail_in, new_status, new_state, ref, word, error_in,
        lookup_in_s);
    IF version IS NOT NULL AND cardinality(bodies) > 0 THEN
        PERFORM record_events(tenants, chains, events, event_types, resource_types, resource_ids, occurred,
            bodies, announced_types, announced_envelopes, announced_data);
    END IF;
END $$;

GRANT EXECUTE ON FUNCTION insert_envelope_recorded, end_dispatch_recorded TO countersign_app, countersign_hub;
