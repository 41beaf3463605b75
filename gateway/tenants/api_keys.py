"""API keys: how they look, how they are kept, and who a presented one is.

cs_<live|test>_<8 characters of id>_<43 characters of secret>_<crc32>. The id finds the row, the secret is
kept as HMAC-SHA-256 under a pepper that is not in the table, and the checksum lets a scanner and us refuse a
typing error without asking the database. Must never tell an unknown key from a wrong secret.
"""

import base64
import hashlib
import hmac
import secrets
import zlib
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from config.clock import Clock
from config.database import Database
from config.secret import Secret
from config.vault import Place, Vault
from gateway.tenants.scopes import TENANT_SCOPES, Scope
from normalizer.errors import CallerError, ValidationFailed

_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
_SYSTEM = UUID(int=0)
# A revoked key stops within this time in every process.
CACHE_S = 3.0
_CACHED = 10_000


class NotAuthenticated(CallerError):
    code = "not_authenticated"
    remedy = "Send a valid API key as 'Authorization: Bearer cs_...'."


class NotAllowed(CallerError):
    code = "not_allowed"


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: UUID
    id: UUID
    secret_hash: bytes
    scopes: frozenset[str]
    rate_per_minute: int | None
    expires_at: datetime | None
    revoked_at: datetime | None
    tenant_active: bool
    require_idempotency: bool


class NewKey(msgspec.Struct, frozen=True):
    """`secret` is shown once; only `public_id` and `secret_hash` are kept."""

    secret: Secret
    public_id: str
    secret_hash: bytes


def make_key(pepper: bytes, *, live: bool) -> NewKey:
    public_id = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    body = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    # '_' separates the parts, so it must not be in the secret.
    body = body.replace("_", "A")
    head = f"cs_{'live' if live else 'test'}_{public_id}_{body}"
    return NewKey(Secret(f"{head}_{_checksum(head)}"), public_id, hash_secret(pepper, body))


def hash_secret(pepper: bytes, secret: str) -> bytes:
    return hmac.digest(pepper, secret.encode(), hashlib.sha256)


def check_scopes(scopes: Iterable[str], *, for_tenant: bool) -> tuple[str, ...]:
    """Raises ValidationFailed for an unknown scope, or one that does not fit the key's owner."""
    allowed = set(TENANT_SCOPES) if for_tenant else {Scope.ADMIN}
    wanted = tuple(dict.fromkeys(scopes))
    unknown = [scope for scope in wanted if scope not in allowed]
    if unknown or not wanted:
        raise ValidationFailed(
            f"These scopes cannot be given: {', '.join(unknown) or 'none named'}.",
            code="unknown_scope",
        )
    return wanted


class KeyRing:
    """Finds who a presented key is. One per process; answers are kept for three seconds."""

    def __init__(self, hub: Database, clock: Clock, pepper: bytes) -> None:
        self._hub = hub
        self._clock = clock
        self.pepper = pepper
        self._kept: dict[str, tuple[float, KeyRow | None]] = {}

    async def authenticate(self, presented: str) -> KeyRow:
        """Raises NotAuthenticated, the same for every reason but expiry."""
        parts = presented.split("_")
        if len(parts) != 5 or parts[0] != "cs" or parts[4] != _checksum("_".join(parts[:4])):
            raise NotAuthenticated("The API key is not valid.")
        row = await self._find(parts[2])
        # Compare also for an unknown id, so that time does not tell ids apart.
        stored = row.secret_hash if row else bytes(32)
        if not hmac.compare_digest(hash_secret(self.pepper, parts[3]), stored) or row is None:
            raise NotAuthenticated("The API key is not valid.")
        if row.revoked_at is not None or not row.tenant_active:
            raise NotAuthenticated("The API key is not valid.")
        if row.expires_at is not None and row.expires_at <= self._clock.now():
            raise NotAuthenticated("The API key has expired.", remedy="Ask an administrator for a new key.")
        return row

    async def _find(self, public_id: str) -> KeyRow | None:
        now = self._clock.monotonic()
        kept = self._kept.get(public_id)
        if kept is not None and now - kept[0] <= CACHE_S:
            return kept[1]
        record = await self._hub.fetchrow(
            "SELECT k.tenant_id, k.id, k.secret_hash, k.scopes, k.rate_per_minute, k.expires_at,"
            " k.revoked_at, COALESCE(t.active, k.tenant_id = $2) AS tenant_active,"
            " COALESCE(t.require_idempotency, false) AS require_idempotency"
            " FROM api_keys k LEFT JOIN tenants t ON t.id = k.tenant_id WHERE k.public_id = $1",
            public_id,
            _SYSTEM,
        )
        row = msgspec.convert(dict(record), KeyRow) if record else None
        if len(self._kept) >= _CACHED:
            self._kept.clear()
        self._kept[public_id] = (now, row)
        return row


async def load_pepper(hub: Database, vault: Vault, new_id: UUID) -> bytes:
    """The installation's pepper, made at the first start."""
    name = "api_key_pepper"
    row = await hub.fetchrow("SELECT id, value FROM system_secrets WHERE name = $1", name)
    if row is None:
        fresh = await vault.encrypt(
            hub, _SYSTEM, Place("system_secrets", "value", new_id), secrets.token_bytes(32)
        )
        await hub.execute(
            "INSERT INTO system_secrets (name, id, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            name,
            new_id,
            fresh,
        )
        row = await hub.fetchrow("SELECT id, value FROM system_secrets WHERE name = $1", name)
        if row is None:
            raise RuntimeError("the pepper was written and is not there")
    return await vault.decrypt(hub, _SYSTEM, Place("system_secrets", "value", row["id"]), row["value"])


def _checksum(head: str) -> str:
    return f"{zlib.crc32(head.encode()):08x}"
