"""The four database roles, as one SQL script for a superuser to run once per server.

owner    DDL and migrations; owns the tables; not a superuser.
ledger   owns the functions that append; cannot log in. The owner is a member, so that a migration can hand it a
         function (SET ROLE), and (from PostgreSQL 16 on) inherits none of its rights: its own statements cannot append.
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
# From PostgreSQL 16 on inheriting is the membership's own property, and an old membership keeps what it had. On 15
# it is the role's: an owner without it would lose the schema too, which it has through pg_database_owner.
_MEMBERSHIP = (
    f"DO $$ BEGIN EXECUTE 'GRANT {LEDGER} TO {OWNER}' || CASE WHEN current_setting('server_version_num')::int"
    " >= 160000 THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END; END $$;"
)


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
    lines.append(_MEMBERSHIP)
    return "\n".join(lines) + "\n"


def _literal(secret: Secret) -> str:
    text = secret.reveal()
    if "\0" in text:
        raise ValueError("a password cannot contain a zero byte")
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
