-- What the engine's envelopes need of the rest: the sender's name in letters, and the gateway's inbox.

-- The registry of tenants is the hub role's; a tenant's own name is no secret to the tenant.
CREATE FUNCTION engine_organisation(tenant uuid) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF tenant IS DISTINCT FROM current_tenant() THEN
        RAISE EXCEPTION 'the transaction belongs to another tenant' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN (SELECT t.name FROM tenants t WHERE t.id = tenant);
END $$;

-- Keeps a report of the engine's like an authentic webhook, in the transaction of the change it tells of. Only for a
-- connection of that provider: a tenant's other accounts speak for themselves. headers and body are vault ciphertext.
CREATE FUNCTION put_engine_message(tenant uuid, own uuid, connection uuid, provider_in text, headers_in bytea,
    body_in bytea, digest bytea, size integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM enter_tenant(tenant);
    INSERT INTO inbox_messages (tenant_id, id, connection_id, provider, headers, body, body_sha256, body_bytes, key_index)
    SELECT tenant, own, c.id, c.provider, headers_in, body_in, digest, size, 0
    FROM connections c WHERE c.tenant_id = tenant AND c.id = connection AND c.provider = provider_in;
    RETURN FOUND;
END $$;

REVOKE ALL ON FUNCTION engine_organisation, put_engine_message FROM PUBLIC;
GRANT EXECUTE ON FUNCTION engine_organisation, put_engine_message TO countersign_app, countersign_hub;
