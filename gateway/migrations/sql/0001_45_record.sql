-- One write, three records: the entries, and the outbox events made of some of them, in one round trip.
-- announced_types[i] is null where an entry is not announced.
CREATE FUNCTION record_events(
    tenants uuid[], chains text[], events uuid[], event_types text[], resource_types text[], resource_ids text[],
    occurred timestamptz[], bodies bytea[],
    announced_types text[], announced_envelopes uuid[], announced_data bytea[],
    OUT seqs bigint[], OUT hashes bytea[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF cardinality(bodies) = 1 THEN
        SELECT ARRAY[a.seq], ARRAY[a.hash] INTO seqs, hashes
        FROM ledger_append_one(tenants[1], chains[1], events[1], event_types[1], resource_types[1],
            resource_ids[1], occurred[1], bodies[1]) a;
    ELSE
        SELECT a.seqs, a.hashes INTO seqs, hashes FROM ledger_append(tenants, chains, events, event_types,
            resource_types, resource_ids, occurred, bodies) a;
    END IF;
    INSERT INTO outbox_events (tenant_id, id, type, envelope_id, occurred_at, data, chain_id, ledger_seq, ledger_hash)
    SELECT e.* FROM unnest(tenants, events, announced_types, announced_envelopes, occurred, announced_data, chains,
        seqs, hashes) AS e (tenant, id, announced) WHERE e.announced IS NOT NULL;
    INSERT INTO outbox_pending (event_id, tenant_id, created_at)
    SELECT e.id, e.tenant, clock_timestamp()
    FROM unnest(tenants, events, announced_types) AS e (tenant, id, announced) WHERE e.announced IS NOT NULL;
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
