-- One write, three records: the entries, and the outbox events made of some of them, in one round trip.
-- `announce_at` holds the positions (from 1) of the entries that are announced; the other announce_ arrays
-- have its length.
CREATE FUNCTION record_events(
    tenants uuid[], chains text[], event_ids uuid[], event_types text[], resource_types text[],
    resource_ids text[], occurred timestamptz[], bodies bytea[],
    announce_at int[], announce_types text[], announce_envelopes uuid[], announce_data bytea[],
    OUT seqs bigint[], OUT hashes bytea[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    place int;
    i int := 0;
BEGIN
    SELECT a.seqs, a.hashes INTO seqs, hashes FROM ledger_append(
        tenants, chains, event_ids, event_types, resource_types, resource_ids, occurred, bodies) a;
    FOREACH place IN ARRAY announce_at LOOP
        i := i + 1;
        INSERT INTO outbox_events
            (tenant_id, id, type, envelope_id, occurred_at, data, chain_id, ledger_seq, ledger_hash)
        VALUES (tenants[place], event_ids[place], announce_types[i], announce_envelopes[i], occurred[place],
            announce_data[i], chains[place], seqs[place], hashes[place]);
        INSERT INTO outbox_pending (event_id, tenant_id, created_at)
        VALUES (event_ids[place], tenants[place], clock_timestamp());
    END LOOP;
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
