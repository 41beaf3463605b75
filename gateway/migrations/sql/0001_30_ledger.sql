-- The audit ledger: hash chains that can only be appended to, by one function.
-- Format: docs/ledger-format.md. Later migrations may add a new version of a function beside an old one;
-- what a version hashes must never change, or old chains no longer verify.

-- A head is the last link of its chain, kept so that an append locks one row and reads nothing else.
-- Room is left on each page: a head's update then stays on its page and touches no index.
CREATE TABLE ledger_heads (
    tenant_id uuid NOT NULL,
    chain_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    prev_hash bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (tenant_id, chain_id)
) WITH (fillfactor = 70);

-- Every column is in `body`, in the link, or computed from them; verification compares each one.
-- The nil UUID is the system's tenant. `v` names the set of hash rules.
CREATE TABLE ledger_entries (
    tenant_id uuid NOT NULL,
    chain_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    v smallint NOT NULL,
    event_id uuid NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    resource_type text COLLATE "C" NOT NULL,
    resource_id text COLLATE "C" NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    prev_hash bytea NOT NULL,
    body_hash bytea NOT NULL,
    hash bytea NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (tenant_id, chain_id, seq)
);
-- Bodies are about 650 bytes and partly ciphertext: compressing them costs time and saves nothing.
ALTER TABLE ledger_entries ALTER COLUMN body SET STORAGE EXTERNAL;

-- One key per data subject and tenant, wrapped by the tenant's data key. Deleting the row erases what it
-- sealed. The tag is a keyed hash: the table shows nobody's e-mail address.
CREATE TABLE subject_keys (
    tenant_id uuid NOT NULL,
    tag bytea NOT NULL,
    kid uuid NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, kid),
    UNIQUE (tenant_id, tag)
);
SELECT guard_tenant_table('subject_keys', 'SELECT, INSERT');
REVOKE UPDATE ON subject_keys FROM countersign_hub;

-- Finds or makes keys in one round trip. VOLATILE: the SELECT sees what a concurrent INSERT has committed.
CREATE FUNCTION subject_keys_get_or_create(tenants uuid[], tags bytea[], kids uuid[], wrappeds bytea[])
RETURNS TABLE (tenant_id uuid, tag bytea, kid uuid, wrapped bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    -- Ordered, so that two transactions with the same new subjects wait for each other instead of deadlocking.
    INSERT INTO public.subject_keys (tenant_id, tag, kid, wrapped)
    SELECT w.tenant, w.tag, w.kid, w.wrapped
    FROM unnest(tenants, tags, kids, wrappeds) AS w (tenant, tag, kid, wrapped)
    WHERE NOT EXISTS (SELECT FROM public.subject_keys s WHERE s.tenant_id = w.tenant AND s.tag = w.tag)
    ORDER BY w.tenant, w.tag
    ON CONFLICT (tenant_id, tag) DO NOTHING;
    RETURN QUERY SELECT s.tenant_id, s.tag, s.kid, s.wrapped FROM unnest(tenants, tags) AS w (tenant, tag)
        JOIN public.subject_keys s ON s.tenant_id = w.tenant AND s.tag = w.tag;
END $$;
REVOKE ALL ON FUNCTION subject_keys_get_or_create FROM PUBLIC;
GRANT EXECUTE ON FUNCTION subject_keys_get_or_create TO countersign_app, countersign_hub;

-- The link: SHA-256 over a domain string, the chain, the place in it, the database's time and both hashes.
-- STABLE, because the planner puts the body in the caller's statement only if no part of it is less stable.
CREATE FUNCTION ledger_link_v1(chain_id text, seq bigint, recorded_at timestamptz, prev_hash bytea, body_hash bytea)
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(
        '\x636f756e7465727369676e2f6c65646765722d6c696e6b2f763100'::bytea -- countersign/ledger-link/v1 NUL
        || int2send(octet_length(chain_id)::int2) || convert_to(chain_id, 'UTF8') || int8send(seq)
        || int8send((extract(epoch FROM recorded_at) * 1000000)::bigint) || prev_hash || body_hash)
$$;

CREATE FUNCTION ledger_body_v1(body bytea) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256('\x636f756e7465727369676e2f6c65646765722d626f64792f763100'::bytea || body)
$$;

-- What the first entry of a chain has for a previous hash: bound to tenant and chain.
CREATE FUNCTION ledger_genesis_v1(tenant_id uuid, chain_id text)
RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256('\x636f756e7465727369676e2f6c65646765722d67656e657369732f763100'::bytea
        || uuid_send(tenant_id) || convert_to(chain_id, 'UTF8'))
$$;

CREATE FUNCTION ledger_check_chain(chain text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF chain !~ '^(system|[a-z]{1,20}:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$' THEN
        RAISE EXCEPTION 'not a chain: %', left(chain, 80) USING ERRCODE = 'invalid_parameter_value';
    END IF;
END $$;

-- The head of a chain that is new: no entry yet, and the genesis hash. Two at once: the second finds the first's.
CREATE FUNCTION ledger_begin_chain(tenant uuid, chain text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ledger_check_chain(chain);
    INSERT INTO ledger_heads (tenant_id, chain_id, seq, recorded_at, prev_hash, hash)
    VALUES (tenant, chain, 0, '-infinity', '', ledger_genesis_v1(tenant, chain))
    ON CONFLICT DO NOTHING;
END $$;

-- Appends one entry: the UPDATE locks the head and links to it as the previous writer left it (READ COMMITTED
-- reads the row again after the wait; under REPEATABLE READ the loser gets an error). Inside a SECURITY DEFINER
-- function row-level security asks about the function's owner: for whose tenant the caller may write is
-- therefore compared here.
CREATE FUNCTION ledger_append_one(
    tenant uuid, chain text, event uuid, event_type text, resource_type text, resource_id text,
    occurred timestamptz, body bytea, OUT seq bigint, OUT hash bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    called timestamptz := clock_timestamp();
    content_hash bytea := ledger_body_v1(body);
    moment timestamptz;
    previous bytea;
BEGIN
    IF current_setting('app.tenant', true) IS DISTINCT FROM tenant::text
        AND NOT pg_has_role(session_user, 'countersign_hub', 'MEMBER') THEN
        RAISE EXCEPTION 'an entry of another tenant was to be recorded' USING ERRCODE = 'insufficient_privilege';
    END IF;
    LOOP
        UPDATE ledger_heads AS h
        SET prev_hash = h.hash, seq = h.seq + 1,
            recorded_at = greatest(called, h.recorded_at + interval '1 microsecond'),
            hash = ledger_link_v1(chain, h.seq + 1,
                greatest(called, h.recorded_at + interval '1 microsecond'), h.hash, content_hash)
        WHERE h.tenant_id = tenant AND h.chain_id = chain
        RETURNING h.seq, h.recorded_at, h.prev_hash, h.hash INTO seq, moment, previous, hash;
        EXIT WHEN FOUND;
        PERFORM ledger_begin_chain(tenant, chain);
    END LOOP;
    INSERT INTO ledger_entries VALUES (tenant, chain, seq, 1, event, event_type, resource_type, resource_id,
        occurred, moment, previous, content_hash, hash, body);
END $$;

-- Locks the heads of several chains in a stable order, so that calls with the same chains cannot deadlock.
CREATE FUNCTION ledger_lock_heads(tenants uuid[], chains text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE wanted record;
BEGIN
    IF array_remove(chains, chains[1]) = '{}' AND array_remove(tenants, tenants[1]) = '{}' THEN
        RETURN; -- one chain: its own append locks it
    END IF;
    IF NOT pg_has_role(session_user, 'countersign_hub', 'MEMBER') AND EXISTS (
        SELECT FROM unnest(tenants) AS w (tenant)
        WHERE w.tenant::text IS DISTINCT FROM current_setting('app.tenant', true)) THEN
        RAISE EXCEPTION 'a chain of another tenant was to be locked' USING ERRCODE = 'insufficient_privilege';
    END IF;
    FOR wanted IN SELECT DISTINCT w.tenant, w.chain COLLATE "C" AS chain
        FROM unnest(tenants, chains) AS w (tenant, chain) ORDER BY 1, 2
    LOOP
        PERFORM FROM ledger_heads h WHERE h.tenant_id = wanted.tenant AND h.chain_id = wanted.chain FOR UPDATE;
        IF NOT FOUND THEN
            PERFORM ledger_begin_chain(wanted.tenant, wanted.chain);
            PERFORM FROM ledger_heads h WHERE h.tenant_id = wanted.tenant AND h.chain_id = wanted.chain FOR UPDATE;
        END IF;
    END LOOP;
END $$;

-- Appends many entries, of several chains if need be, in the order given. A run of entries of one chain reads and
-- writes its head once, and a chain that is new is written with its last entry's link at once.
CREATE FUNCTION ledger_append(
    tenants uuid[], chains text[], events uuid[], event_types text[], resource_types text[], resource_ids text[],
    occurred timestamptz[], bodies bytea[], OUT seqs bigint[], OUT hashes bytea[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    called timestamptz := clock_timestamp();
    total integer := cardinality(bodies);
    first integer := 1;
    final integer;
    is_new boolean;
    seq bigint;
    moment timestamptz;
    link bytea;
    moments timestamptz[];
    previous bytea[];
    contents bytea[];
BEGIN
    PERFORM ledger_lock_heads(tenants, chains);
    FOR i IN 1 .. total LOOP
        contents[i] := ledger_body_v1(bodies[i]);
    END LOOP;
    WHILE first <= total LOOP
        IF current_setting('app.tenant', true) IS DISTINCT FROM tenants[first]::text
            AND NOT pg_has_role(session_user, 'countersign_hub', 'MEMBER') THEN
            RAISE EXCEPTION 'an entry of another tenant was to be recorded'
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        final := first;
        WHILE final < total AND chains[final + 1] = chains[first] AND tenants[final + 1] = tenants[first] LOOP
            final := final + 1;
        END LOOP;
        LOOP
            SELECT h.seq, h.recorded_at, h.hash INTO seq, moment, link FROM ledger_heads h
            WHERE h.tenant_id = tenants[first] AND h.chain_id = chains[first] FOR UPDATE;
            is_new := NOT FOUND;
            IF is_new THEN
                PERFORM ledger_check_chain(chains[first]);
                seq := 0;
                moment := '-infinity';
                link := ledger_genesis_v1(tenants[first], chains[first]);
            END IF;
            FOR i IN first .. final LOOP
                seq := seq + 1;
                moment := greatest(called, moment + interval '1 microsecond');
                seqs[i] := seq;
                moments[i] := moment;
                previous[i] := link;
                link := ledger_link_v1(chains[i], seq, moment, link, contents[i]);
                hashes[i] := link;
            END LOOP;
            IF is_new THEN
                INSERT INTO ledger_heads VALUES (tenants[first], chains[first], seq, moment, previous[final], link)
                ON CONFLICT DO NOTHING;
            ELSE
                UPDATE ledger_heads h SET seq = seqs[final], recorded_at = moment, prev_hash = previous[final],
                    hash = link
                WHERE h.tenant_id = tenants[first] AND h.chain_id = chains[first];
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

-- Who may do what: logins read under row-level security and append through the function; nobody updates,
-- deletes or truncates entries, the tables' owner included.
ALTER TABLE ledger_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger_heads FORCE ROW LEVEL SECURITY;
ALTER TABLE ledger_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON ledger_heads FOR SELECT TO countersign_app
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY tenant_only ON ledger_entries FOR SELECT TO countersign_app
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY append_function ON ledger_heads TO countersign_ledger USING (true) WITH CHECK (true);
CREATE POLICY append_function ON ledger_entries TO countersign_ledger USING (true) WITH CHECK (true);
REVOKE ALL ON ledger_heads, ledger_entries FROM PUBLIC;
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON ledger_heads, ledger_entries FROM countersign_owner;
GRANT SELECT ON ledger_heads, ledger_entries TO countersign_app, countersign_hub;
GRANT SELECT, INSERT, UPDATE ON ledger_heads TO countersign_ledger;
GRANT SELECT, INSERT ON ledger_entries TO countersign_ledger;

CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% refuses %: the ledger is append-only', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;
-- ENABLE ALWAYS: an ordinary trigger is skipped under session_replication_role = replica.
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER refuse_delete BEFORE DELETE ON ledger_heads
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON ledger_heads
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER refuse_change;
ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE ledger_heads ENABLE ALWAYS TRIGGER refuse_delete;
ALTER TABLE ledger_heads ENABLE ALWAYS TRIGGER refuse_truncate;

-- The function runs as countersign_ledger, which cannot log in. Handing it over needs CREATE for a moment.
REVOKE ALL ON FUNCTION ledger_append, ledger_append_one, ledger_lock_heads, ledger_begin_chain,
    ledger_check_chain FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_append, ledger_append_one TO countersign_app, countersign_hub;
GRANT EXECUTE ON FUNCTION ledger_begin_chain, ledger_check_chain, ledger_lock_heads TO countersign_ledger;
GRANT CREATE ON SCHEMA public TO countersign_ledger;
ALTER FUNCTION ledger_append OWNER TO countersign_ledger;
ALTER FUNCTION ledger_append_one OWNER TO countersign_ledger;
REVOKE CREATE ON SCHEMA public FROM countersign_ledger;
