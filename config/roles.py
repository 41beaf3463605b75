"""The four database roles, as one SQL script for a superuser to run once per server.

owner    DDL and migrations; owns the tables; not a superuser.
ledger   owns the functions that append; cannot log in; the owner may hand functions to it.
app      the gateway's requests; row-level security applies; no table is its own.
hub      deliverer, sweeps, inbox: works across tenants, bypasses row-level security; no table is its own.
Must never run as part of a request or a migration: it needs a superuser, and nothing else of ours has one.
"""

from collections.abc import Mapping

from config.secret import Secret

OWNER = "countersign_owner"
LEDGER = "countersign_ledger"
APP = "countersign_app"
HUB = "countersign_hub"
LOGIN_ROLES = (OWNER, APP, HUB)

_ATTRIBUTES = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"


def roles_script(passwords: Mapping[str, Secret]) -> str:
    """SQL that creates or corrects the roles; contains the passwords in clear: feed it through a pipe."""
    lines = [
        "SET log_statement = 'none';",
        "SET log_min_error_statement = 'panic';",  # a failing statement must not put a password into the log
        "SET log_min_duration_statement = -1;",
        "SET password_encryption = 'scram-sha-256';",
    ]
    for role in (OWNER, LEDGER, APP, HUB):
        lines.append(
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') "
            f"THEN CREATE ROLE {role}; END IF; END $$;"
        )
        bypass = "BYPASSRLS" if role == HUB else "NOBYPASSRLS"
        login = f"LOGIN PASSWORD {_literal(passwords[role])}" if role in LOGIN_ROLES else "NOLOGIN"
        lines.append(f"ALTER ROLE {role} {_ATTRIBUTES} {bypass} {login};")
    lines.append(f"GRANT {LEDGER} TO {OWNER};")
    return "\n".join(lines) + "\n"


def _literal(secret: Secret) -> str:
    text = secret.reveal()
    if "\0" in text:
        raise ValueError("a password cannot contain a zero byte")
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
