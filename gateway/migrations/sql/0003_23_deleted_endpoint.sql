-- What was given up at an endpoint that is deleted can never arrive: it is cancelled with the rest, or it would be listed
-- as undelivered for ever, and kept for ever. SECURITY DEFINER, because the app role may not write deliveries; whoever
-- may delete the row may be the hub role, which names no tenant.
CREATE FUNCTION cancel_given_up() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE before text := current_setting('app.tenant', true);
BEGIN
    PERFORM set_config('app.tenant', OLD.tenant_id::text, true);
    UPDATE deliveries d SET state = 'cancelled', finished_at = now()
    WHERE d.tenant_id = OLD.tenant_id AND d.endpoint_id = OLD.id AND d.state = 'exhausted';
    PERFORM set_config('app.tenant', coalesce(before, ''), true);
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION cancel_given_up FROM PUBLIC;
CREATE TRIGGER endpoint_deleted AFTER DELETE ON webhook_endpoints FOR EACH ROW EXECUTE FUNCTION cancel_given_up();
