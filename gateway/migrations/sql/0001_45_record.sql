-- One write, three records: the entries, and the outbox events made of some of them, in one round trip.
-- `announce_at` holds the positions (from 1) of the entries that are announced; the other announce_ arrays
-- have its length.
CREATE FUNCTION record_events(
    tenants uuid[], chains text[], event_ids uuid[], event_types text[], resource_types text[],
    resource_ids text[], occurred timestamptz[], bodies bytea[],
    announce_at int[], announce_types text[], announce_envelopes uuid[], announce_data bytea[])
RETURNS TABLE (seq bigint, recorded_at timestamptz, hash bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    seqs bigint[];
    moments timestamptz[];
    links bytea[];
    i int;
    at int;
BEGIN
    SELECT array_agg(a.seq ORDER BY a.o), array_agg(a.recorded_at ORDER BY a.o), array_agg(a.hash ORDER BY a.o)
    INTO seqs, moments, links
    FROM ledger_append(tenants, chains, event_ids, event_types, resource_types, resource_ids, occurred, bodies)
        WITH ORDINALITY AS a (seq, recorded_at, hash, o);
    FOR i IN 1 .. cardinality(announce_at) LOOP
        at := announce_at[i];
        INSERT INTO outbox_events
            (tenant_id, id, type, envelope_id, occurred_at, data, chain_id, ledger_seq, ledger_hash)
        VALUES (tenants[at], event_ids[at], announce_types[i], announce_envelopes[i], occurred[at],
            announce_data[i], chains[at], seqs[at], links[at]);
        INSERT INTO outbox_pending (event_id, tenant_id, created_at)
        VALUES (event_ids[at], tenants[at], clock_timestamp());
    END LOOP;
    RETURN QUERY SELECT * FROM unnest(seqs, moments, links);
END $$;

-- Inserting into the outbox is the function's right alone.
DO $$
DECLARE target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['outbox_events', 'outbox_pending'] LOOP
        CONTINUE WHEN to_regclass(target) IS NULL;
        EXECUTE format('GRANT INSERT ON %I TO countersign_ledger', target);
        IF (SELECT relrowsecurity FROM pg_class WHERE oid = target::regclass) THEN
            EXECUTE format('CREATE POLICY record_function ON %I FOR INSERT TO countersign_ledger'
                           ' WITH CHECK (true)', target);
        END IF;
    END LOOP;
END $$;

REVOKE ALL ON FUNCTION record_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_events TO countersign_app, countersign_hub;
GRANT CREATE ON SCHEMA public TO countersign_ledger;
ALTER FUNCTION record_events OWNER TO countersign_ledger;
REVOKE CREATE ON SCHEMA public FROM countersign_ledger;
