-- The four database roles and the database, for a superuser; may run again, and then changes the passwords.
-- The statements are those of config/roles.py (a test compares them). Passwords come from the environment and
-- are in no file, no argument and no server log.
\set ON_ERROR_STOP on
\getenv owner_password POSTGRES_OWNER_PASSWORD
\getenv app_password POSTGRES_APP_PASSWORD
\getenv hub_password POSTGRES_HUB_PASSWORD
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET password_encryption = 'scram-sha-256';
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'countersign_owner') THEN CREATE ROLE countersign_owner; END IF; END $$;
ALTER ROLE countersign_owner NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS LOGIN PASSWORD :'owner_password';
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'countersign_ledger') THEN CREATE ROLE countersign_ledger; END IF; END $$;
ALTER ROLE countersign_ledger NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOLOGIN;
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'countersign_app') THEN CREATE ROLE countersign_app; END IF; END $$;
ALTER ROLE countersign_app NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS LOGIN PASSWORD :'app_password';
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'countersign_hub') THEN CREATE ROLE countersign_hub; END IF; END $$;
ALTER ROLE countersign_hub NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS LOGIN PASSWORD :'hub_password';
DO $$ BEGIN EXECUTE 'GRANT countersign_ledger TO countersign_owner' || CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END; END $$;
SELECT 'CREATE DATABASE countersign OWNER countersign_owner' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'countersign') \gexec
REVOKE CONNECT, TEMPORARY ON DATABASE countersign FROM PUBLIC;
GRANT CONNECT ON DATABASE countersign TO countersign_owner, countersign_app, countersign_hub;
