-- Mails and text messages that are to be sent: written with the state that they tell of, sent by a background job.

-- content is vault ciphertext (Place engine_notices/content): address, name and values, among them links and codes.
-- It is taken away when the notice has ended, whichever way: nothing that was sent can be read here later.
CREATE TABLE engine_notices (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    kind varchar(40) NOT NULL,
    channel varchar(10) NOT NULL CHECK (channel IN ('email', 'sms')),
    -- Somebody waits before a page: these go first.
    urgent boolean NOT NULL DEFAULT false,
    connection_id uuid,
    engine_id uuid,
    envelope_id uuid,
    recipient_id uuid,
    content bytea,
    state varchar(10) NOT NULL DEFAULT 'waiting' CHECK (state IN
        ('waiting', 'sent', 'bounced', 'failed', 'cancelled')),
    attempts integer NOT NULL DEFAULT 0,
    -- While a worker has it: when another may take it.
    due_at timestamptz NOT NULL DEFAULT now(),
    -- After this it is of no use to its reader (a code that has run out).
    good_until timestamptz,
    claim_id uuid,
    error varchar(200) NOT NULL DEFAULT '',
    -- The carrier's own name for it.
    carrier_ref varchar(200) NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX idx_engine_notices_due ON engine_notices (channel, urgent, due_at) WHERE state = 'waiting';
CREATE INDEX idx_engine_notices_envelope ON engine_notices (tenant_id, engine_id) WHERE engine_id IS NOT NULL;
CREATE INDEX idx_engine_notices_ended ON engine_notices (ended_at) WHERE ended_at IS NOT NULL;
SELECT guard_tenant_table('engine_notices', 'SELECT, INSERT, UPDATE');

-- Leases what is due by one channel, the urgent first. A lease that ran out counts as an attempt.
CREATE FUNCTION claim_notices(claim uuid, by_channel text, most integer, lease_s double precision)
RETURNS SETOF engine_notices
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    first boolean;
    taken integer := 0;
    got integer;
BEGIN
    FOREACH first IN ARRAY ARRAY[true, false] LOOP
        RETURN QUERY
            UPDATE engine_notices n SET claim_id = claim, attempts = n.attempts + 1,
                due_at = now() + make_interval(secs => lease_s)
            FROM (SELECT d.tenant_id, d.id FROM engine_notices d
                  WHERE d.state = 'waiting' AND d.channel = by_channel AND d.urgent = first AND d.due_at <= now()
                  ORDER BY d.due_at LIMIT most - taken FOR UPDATE SKIP LOCKED) due
            WHERE n.tenant_id = due.tenant_id AND n.id = due.id
            RETURNING n.*;
        GET DIAGNOSTICS got = ROW_COUNT;
        taken := taken + got;
    END LOOP;
END $$;

-- Ends a notice that this claim still holds, and forgets what stood in it. False: somebody else has it.
CREATE FUNCTION end_notice(tenant uuid, own uuid, claim uuid, how text, why text, ref text) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    UPDATE engine_notices SET state = how, content = NULL, claim_id = NULL, error = left(why, 200),
        carrier_ref = left(ref, 200), ended_at = now()
    WHERE tenant_id = tenant AND id = own AND state = 'waiting' AND claim_id = claim;
    RETURN FOUND;
END $$;

-- Gives a notice back for a later try. `counted` false: nothing was tried, the carrier was not asked.
CREATE FUNCTION postpone_notice(
    tenant uuid, own uuid, claim uuid, delay_s double precision, counted boolean, why text) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    UPDATE engine_notices SET claim_id = NULL, error = left(why, 200),
        attempts = attempts - CASE WHEN counted THEN 0 ELSE 1 END, due_at = now() + make_interval(secs => delay_s)
    WHERE tenant_id = tenant AND id = own AND state = 'waiting' AND claim_id = claim;
    RETURN FOUND;
END $$;

REVOKE ALL ON FUNCTION claim_notices FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_notices TO countersign_hub;
GRANT EXECUTE ON FUNCTION end_notice, postpone_notice TO countersign_app, countersign_hub;
