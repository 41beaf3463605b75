-- Who may enter a ceremony: links, sessions, codes, and what stops those who guess. Every secret lies here as
-- HMAC-SHA-256 under a key that is not in the database: a dump opens no link and no session.

-- A recipient's way in. By mail: used again until it is rotated; embedded: once, within minutes.
CREATE TABLE ceremony_links (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    engine_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    embedded boolean NOT NULL DEFAULT false,
    token_hash bytea NOT NULL UNIQUE,
    -- The token's first letters: enough for support to tell links apart, far too little to guess one.
    prefix varchar(8) NOT NULL,
    origins text[] NOT NULL DEFAULT '{}',
    return_url varchar(1000) NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_ceremony_links_recipient ON ceremony_links (tenant_id, engine_id, recipient_id)
    WHERE revoked_at IS NULL;
SELECT guard_tenant_table('ceremony_links', 'SELECT, INSERT, UPDATE');

-- The handle stands in addresses, the secret in a cookie. envelope_version: a correction, a delegation or a void
-- moves the envelope's, and the session is over.
CREATE TABLE ceremony_sessions (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    handle varchar(40) NOT NULL UNIQUE,
    secret_hash bytea NOT NULL,
    link_id uuid NOT NULL,
    engine_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    envelope_version integer NOT NULL,
    embedded boolean NOT NULL DEFAULT false,
    origins text[] NOT NULL DEFAULT '{}',
    return_url varchar(1000) NOT NULL DEFAULT '',
    -- The methods of authentication that were passed, in the order of passing.
    passed text[] NOT NULL DEFAULT '{}',
    consented boolean NOT NULL DEFAULT false,
    agent_hash bytea NOT NULL,
    -- The address of the last request, and how often it was another one than before.
    ip_address varchar(50) NOT NULL DEFAULT '',
    ip_changes integer NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    ended_at timestamptz,
    end_reason varchar(30) NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_ceremony_sessions_recipient ON ceremony_sessions (tenant_id, engine_id, recipient_id, started_at);
CREATE INDEX idx_ceremony_sessions_last ON ceremony_sessions (last_at);
SELECT guard_tenant_table('ceremony_sessions', 'SELECT, INSERT, UPDATE');

-- Codes that were sent. Only the newest of a recipient and method counts.
CREATE TABLE ceremony_codes (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    engine_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    method varchar(30) NOT NULL,
    code_hash bytea NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    sent_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_ceremony_codes_recipient ON ceremony_codes (tenant_id, engine_id, recipient_id, method, sent_at);
CREATE INDEX idx_ceremony_codes_sent ON ceremony_codes (sent_at);
SELECT guard_tenant_table('ceremony_codes', 'SELECT, INSERT, UPDATE');

-- Failures of a recipient by method, and until when the recipient is locked for them. A success clears only its own
-- method: who knows the access code must not win tries at the questions by it.
CREATE TABLE ceremony_failures (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    engine_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    method varchar(30) NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    -- How often it was locked already: each lock lasts twice as long as the one before.
    locks integer NOT NULL DEFAULT 0,
    locked_until timestamptz,
    PRIMARY KEY (tenant_id, engine_id, recipient_id, method),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
SELECT guard_tenant_table('ceremony_failures', 'SELECT, INSERT, UPDATE, DELETE');

-- How much of something there was in a window of time: bad tokens of an address, codes to a phone, what a
-- tenant's text messages cost today. The nil UUID holds what belongs to no tenant; `subject` is a keyed hash.
CREATE TABLE ceremony_counters (
    tenant_id uuid NOT NULL,
    kind varchar(30) NOT NULL,
    subject bytea NOT NULL,
    starts_at timestamptz NOT NULL,
    amount bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, kind, subject, starts_at)
);
CREATE INDEX idx_ceremony_counters_starts ON ceremony_counters (starts_at);
SELECT guard_tenant_table('ceremony_counters', 'SELECT');

-- What an identity provider was asked, and what it found: its reference and the verdict, no picture and no data.
CREATE TABLE identity_checks (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    id uuid NOT NULL,
    engine_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    session_id uuid NOT NULL,
    provider_ref varchar(200) NOT NULL DEFAULT '',
    verdict varchar(20) NOT NULL DEFAULT 'pending' CHECK (verdict IN ('pending', 'passed', 'failed')),
    started_at timestamptz NOT NULL,
    decided_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, engine_id) REFERENCES engine_envelopes (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_identity_checks_session ON identity_checks (tenant_id, session_id, started_at);
SELECT guard_tenant_table('identity_checks', 'SELECT, INSERT, UPDATE');

-- Where a tenant embeds the ceremony, and where it may lead back to: exact, set by an administrator.
CREATE TABLE embedding_origins (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    origin varchar(300) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, origin)
);
SELECT guard_tenant_table('embedding_origins', 'SELECT, INSERT, DELETE');
CREATE TABLE return_urls (
    tenant_id uuid NOT NULL REFERENCES tenants(id),
    url varchar(1000) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, url)
);
SELECT guard_tenant_table('return_urls', 'SELECT, INSERT, DELETE');

-- Takes `by` out of what is allowed in a window: false, and nothing taken, when it would be more than `most`.
CREATE FUNCTION take_allowance(of_tenant uuid, of_kind text, of_subject bytea, window_start timestamptz, by_amount bigint,
    most bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF by_amount > most THEN
        RETURN false;
    END IF;
    INSERT INTO ceremony_counters AS c (tenant_id, kind, subject, starts_at, amount)
    VALUES (of_tenant, of_kind, of_subject, window_start, by_amount)
    ON CONFLICT (tenant_id, kind, subject, starts_at) DO UPDATE SET amount = c.amount + by_amount
        WHERE c.amount + by_amount <= most;
    RETURN FOUND;
END $$;
REVOKE ALL ON FUNCTION take_allowance FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_allowance TO countersign_hub;

-- Always one row: how many bad tokens this address has shown, and the link, when the token opens one now. A bad,
-- an expired and a revoked token take the same way. Hub role: a token does not say whose it is.
CREATE FUNCTION find_ceremony_link(hash bytea, address bytea, window_start timestamptz, moment timestamptz)
RETURNS TABLE (bad_tokens bigint, tenant_id uuid, id uuid, engine_id uuid, recipient_id uuid, embedded boolean,
    origins text[], return_url varchar, expires_at timestamptz, is_view_only boolean)
LANGUAGE sql STABLE AS $$
    SELECT COALESCE((SELECT c.amount FROM ceremony_counters c
            WHERE c.tenant_id = '00000000-0000-0000-0000-000000000000' AND c.kind = 'bad_token'
              AND c.subject = address AND c.starts_at = window_start), 0),
        found.*
    FROM (SELECT 1) one LEFT JOIN (
        SELECT l.tenant_id, l.id, l.engine_id, l.recipient_id, l.embedded, l.origins, l.return_url, l.expires_at,
            e.status <> 'sent' OR r.status IN ('completed', 'declined')
        FROM ceremony_links l
        JOIN tenants t ON t.id = l.tenant_id AND t.active
        JOIN engine_envelopes e ON e.tenant_id = l.tenant_id AND e.id = l.engine_id
        JOIN engine_recipients r ON r.tenant_id = l.tenant_id AND r.engine_id = l.engine_id AND r.id = l.recipient_id
        WHERE l.token_hash = hash AND l.revoked_at IS NULL AND l.expires_at > moment
          AND NOT (l.embedded AND l.used_at IS NOT NULL)
          AND e.status IN ('sent', 'sealing', 'completed')
          AND r.status NOT IN ('reassigned', 'cancelled', 'expired')
    ) found ON true;
$$;
REVOKE ALL ON FUNCTION find_ceremony_link FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_ceremony_link TO countersign_hub;

-- A session by its handle with the present state of what it is bound to; none when that is gone. Hub role.
CREATE FUNCTION find_ceremony_session(wanted text)
RETURNS TABLE (tenant_id uuid, id uuid, secret_hash bytea, link_id uuid, engine_id uuid, recipient_id uuid,
    embedded boolean, origins text[], return_url varchar, passed text[], consented boolean, agent_hash bytea,
    ip_address varchar, seen_at timestamptz, last_at timestamptz, is_current boolean, is_view_only boolean)
LANGUAGE sql STABLE AS $$
    SELECT s.tenant_id, s.id, s.secret_hash, s.link_id, s.engine_id, s.recipient_id, s.embedded, s.origins, s.return_url,
        s.passed, s.consented, s.agent_hash, s.ip_address, s.seen_at, s.last_at,
        s.ended_at IS NULL AND s.envelope_version = e.version AND t.active
            AND r.status NOT IN ('reassigned', 'cancelled'),
        e.status <> 'sent' OR r.status IN ('completed', 'declined', 'expired')
    FROM ceremony_sessions s
    JOIN tenants t ON t.id = s.tenant_id
    JOIN engine_envelopes e ON e.tenant_id = s.tenant_id AND e.id = s.engine_id
    JOIN engine_recipients r ON r.tenant_id = s.tenant_id AND r.engine_id = s.engine_id AND r.id = s.recipient_id
    WHERE s.handle = wanted;
$$;
REVOKE ALL ON FUNCTION find_ceremony_session FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_ceremony_session TO countersign_hub;

-- Removes what has served: counters of windows long over, codes and sessions after 30 days. Hub role.
CREATE FUNCTION reap_access(moment timestamptz) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM ceremony_counters WHERE starts_at < moment - interval '3 days';
    DELETE FROM ceremony_codes WHERE sent_at < moment - interval '30 days';
    DELETE FROM ceremony_sessions WHERE last_at < moment - interval '30 days';
$$;
REVOKE ALL ON FUNCTION reap_access FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reap_access TO countersign_hub;

-- The gateway's recipients: further methods, asked for after the first, and questions with hashed answers.
ALTER TABLE recipients ADD COLUMN further_authentication text[] NOT NULL DEFAULT '{}';
-- Vault ciphertext (Place recipients/knowledge): questions and argon2id hashes of the answers.
ALTER TABLE recipients ADD COLUMN knowledge bytea;

CREATE OR REPLACE FUNCTION insert_recipients(tenant uuid, own uuid, recipients_in jsonb) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO recipients (tenant_id, id, envelope_id, position, name, email, role, routing_order,
        authentication_method, further_authentication, access_code, knowledge, phone_country_code, phone_number,
        embedded, host_name, host_email, template_role, note, language, country)
    SELECT tenant, r.id, own, r.position, r.name, r.email, r.role, r.routing_order, r.authentication_method,
        COALESCE(r.further_authentication, '{}'), r.access_code, r.knowledge, r.phone_country_code,
        r.phone_number, r.embedded, r.host_name, r.host_email, r.template_role, r.note, r.language, r.country
    FROM jsonb_populate_recordset(NULL::recipients, recipients_in) r;
$$;

CREATE OR REPLACE FUNCTION load_envelope(tenant uuid, own uuid, lock boolean) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE found jsonb;
BEGIN
    PERFORM enter_tenant(tenant);
    IF lock THEN
        PERFORM 1 FROM envelopes WHERE tenant_id = tenant AND id = own FOR UPDATE;
    END IF;
    SELECT to_jsonb(e) || jsonb_build_object(
        'recipients', COALESCE((
            SELECT jsonb_agg(to_jsonb(r) || jsonb_build_object(
                'access_code', translate(encode(r.access_code, 'base64'), E'\n', ''),
                'knowledge', translate(encode(r.knowledge, 'base64'), E'\n', '')) ORDER BY r.position)
            FROM recipients r WHERE r.tenant_id = tenant AND r.envelope_id = own), '[]'),
        'documents', COALESCE((
            SELECT jsonb_agg(to_jsonb(d) ORDER BY d.position)
            FROM documents d WHERE d.tenant_id = tenant AND d.envelope_id = own), '[]'),
        'fields', COALESCE((
            SELECT jsonb_agg(to_jsonb(f) ORDER BY f.document_id, f.page_number, f.y, f.x, f.id)
            FROM document_fields f WHERE f.tenant_id = tenant AND f.envelope_id = own), '[]'))
    INTO found FROM envelopes e WHERE e.tenant_id = tenant AND e.id = own;
    RETURN found;
END $$;
