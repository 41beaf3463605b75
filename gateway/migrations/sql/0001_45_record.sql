-- One write, three records: the entries, and the outbox events made of some of them, in one round trip.
-- announced_types[i] is null where an entry is not announced.
CREATE FUNCTION record_events(
    tenants uuid[], chains text[], events uuid[], event_types text[], resource_types text[], resource_ids text[],
    occurred timestamptz[], bodies bytea[],
    announced_types text[], announced_envelopes uuid[], announced_data bytea[],
    OUT seqs bigint[], OUT hashes bytea[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE one record;
BEGIN
    PERFORM ledger_lock_heads(tenants, chains);
    FOR i IN 1 .. cardinality(bodies) LOOP
        one := ledger_append_one(tenants[i], chains[i], events[i], event_types[i], resource_types[i],
            resource_ids[i], occurred[i], bodies[i]);
        seqs[i] := one.seq;
        hashes[i] := one.hash;
        CONTINUE WHEN announced_types[i] IS NULL;
        INSERT INTO outbox_events
            (tenant_id, id, type, envelope_id, occurred_at, data, chain_id, ledger_seq, ledger_hash)
        VALUES (tenants[i], events[i], announced_types[i], announced_envelopes[i], occurred[i],
            announced_data[i], chains[i], one.seq, one.hash);
        INSERT INTO outbox_pending (event_id, tenant_id, created_at)
        VALUES (events[i], tenants[i], clock_timestamp());
    END LOOP;
END $$;

-- The function runs as countersign_ledger, whose right to fill the outbox needs a policy of its own.
GRANT INSERT ON outbox_events, outbox_pending TO countersign_ledger;
CREATE POLICY record_function ON outbox_events FOR INSERT TO countersign_ledger WITH CHECK (true);
CREATE POLICY record_function ON outbox_pending FOR INSERT TO countersign_ledger WITH CHECK (true);

REVOKE ALL ON FUNCTION record_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_events TO countersign_app, countersign_hub;
GRANT CREATE ON SCHEMA public TO countersign_ledger;
ALTER FUNCTION record_events OWNER TO countersign_ledger;
REVOKE CREATE ON SCHEMA public FROM countersign_ledger;
