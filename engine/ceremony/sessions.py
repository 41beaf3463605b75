"""A recipient's session in the ceremony: opened by a link, bound to the recipient and the envelope's version.

The handle stands in addresses, the secret in a cookie; both are needed. The CSRF token is derived from the secret,
so that no secret lies in the database. Must never accept a session that is bound to what has changed since.
"""

import base64
import hmac
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from config.database import Transaction
from engine.ceremony.keyed_hash import Purpose, keyed_hash
from engine.engine import Engine
from engine.envelopes.visitor import MOST_ADDRESS, MOST_AGENT, Visitor
from normalizer.errors import TooManyTries
from normalizer.recipient import AuthenticationMethod

_HANDLE_BYTES = 15
_SECRET_BYTES = 32
_LONGEST = 200
# A page brings a dozen requests: not each is worth a transaction. The session ends that much sooner at most.
_TOUCH_AFTER = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class StartedSession:
    """`secret` belongs into the cookie and is not to be had again."""

    handle: str
    secret: str = field(repr=False)
    csrf: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`passed`: methods of authentication, in the order of passing. `ends_at`: when it ends if nothing is done,
    `last_at`: at the latest. `is_view_only`: the recipient or the envelope has finished.
    """

    id: UUID
    handle: str
    tenant_id: UUID
    engine_id: UUID
    recipient_id: UUID
    csrf: str = field(repr=False)
    passed: tuple[AuthenticationMethod, ...]
    consented: bool
    ends_at: datetime
    last_at: datetime
    embedded: bool
    origins: tuple[str, ...]
    return_url: str
    is_view_only: bool


class NewSession(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is bound to when it begins."""

    tenant_id: UUID
    link_id: UUID
    engine_id: UUID
    recipient_id: UUID
    envelope_version: int
    embedded: bool
    origins: tuple[str, ...]
    return_url: str


async def open_session(engine: Engine, tx: Transaction, new: NewSession, visitor: Visitor) -> StartedSession:
    """The link itself is the first method: it reached the recipient's mailbox, or the tenant vouches for it."""
    handle, secret = secrets.token_urlsafe(_HANDLE_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    now = engine.clock.now()
    await tx.driver.execute(
        "INSERT INTO ceremony_sessions (tenant_id, id, handle, secret_hash, link_id, engine_id, recipient_id,"
        " envelope_version, embedded, origins, return_url, passed, agent_hash, ip_address, started_at, seen_at,"
        " last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, $16)",
        new.tenant_id,
        engine.ids.new(),
        handle,
        keyed_hash(engine, Purpose.SESSION, handle, secret),
        new.link_id,
        new.engine_id,
        new.recipient_id,
        new.envelope_version,
        new.embedded,
        list(new.origins),
        new.return_url,
        [AuthenticationMethod.EMAIL.value],
        _agent(engine, visitor),
        visitor.ip_address[:MOST_ADDRESS],
        now,
        now + timedelta(seconds=engine.settings.access.session_absolute_s),
    )
    return StartedSession(handle, secret, _csrf(engine, handle, secret))


async def check_starts(
    engine: Engine, tx: Transaction, tenant_id: UUID, engine_id: UUID, recipient_id: UUID
) -> None:
    """Raises TooManyTries when the recipient has begun too many sessions: each leaves an entry in the ledger."""
    begun = await tx.driver.fetchval(
        "SELECT count(*) FROM ceremony_sessions WHERE tenant_id = $1 AND engine_id = $2 AND recipient_id = $3"
        " AND started_at > $4",
        tenant_id,
        engine_id,
        recipient_id,
        engine.clock.now() - timedelta(hours=1),
    )
    if begun >= engine.settings.access.session_starts_hourly:
        raise TooManyTries(3600)


async def find_session(engine: Engine, handle: str, secret: str, visitor: Visitor) -> Session | None:
    """The session, and its time begins anew; None when it is over, whatever ended it.

    Another user agent ends it. Another address is noted, and ends it when the setting bind_ip says so.
    """
    row = await engine.hub.fetchrow("SELECT * FROM find_ceremony_session($1)", _readable(handle))
    stored = row["secret_hash"] if row else bytes(32)
    presented = keyed_hash(engine, Purpose.SESSION, handle, secret[:_LONGEST])
    if not hmac.compare_digest(presented, stored) or row is None:
        return None
    now = engine.clock.now()
    idle = timedelta(seconds=engine.settings.access.session_idle_s)
    if not row["is_current"] or now >= row["last_at"] or now >= row["seen_at"] + idle:
        return None
    if not hmac.compare_digest(row["agent_hash"], _agent(engine, visitor)):
        await _end(engine, row["tenant_id"], row["id"], "user_agent")
        return None
    address = visitor.ip_address[:MOST_ADDRESS]
    if address != row["ip_address"] and engine.settings.access.bind_ip:
        await _end(engine, row["tenant_id"], row["id"], "ip_address")
        return None
    seen = row["seen_at"]
    if address != row["ip_address"] or now - seen >= _TOUCH_AFTER:
        await _touch(engine, row, address, now)
        seen = now
    return _session(engine, row, handle, _csrf(engine, handle, secret), seen)


async def extend_session(engine: Engine, session: Session) -> Session:
    """The idle time begins anew; what ends it at the latest stays."""
    now = engine.clock.now()
    async with engine.database.transaction(session.tenant_id) as tx:
        await tx.driver.execute(
            "UPDATE ceremony_sessions SET seen_at = $3 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
            session.tenant_id,
            session.id,
            now,
        )
        await tx.commit()
    return replace(session, ends_at=_ends_at(engine, now, session.last_at))


async def end_session(engine: Engine, session: Session) -> None:
    """The recipient leaves."""
    await _end(engine, session.tenant_id, session.id, "left")


def check_csrf(session: Session, presented: str) -> bool:
    """Whether a form or script of this very session sent the request."""
    return hmac.compare_digest(session.csrf.encode(), presented.encode("utf-8", "surrogatepass"))


async def lock_passed(engine: Engine, tx: Transaction, session: Session) -> tuple[AuthenticationMethod, ...]:
    """What the session has passed by now; other requests of it wait until this transaction ends. () when over,
    also by what has changed the envelope since the request came: a body may be sent slowly.
    """
    words = await tx.driver.fetchval(
        "SELECT passed FROM ceremony_sessions WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL AND last_at > $4"
        " AND envelope_version = (SELECT version FROM engine_envelopes WHERE tenant_id = $1 AND id = $3) FOR UPDATE",
        session.tenant_id,
        session.id,
        session.engine_id,
        engine.clock.now(),
    )
    return tuple(AuthenticationMethod(word) for word in words or ())


async def note_passed(tx: Transaction, session: Session, method: AuthenticationMethod) -> Session:
    """The session with the method passed, in the caller's transaction."""
    await tx.driver.execute(
        "UPDATE ceremony_sessions SET passed = array_append(passed, $3) WHERE tenant_id = $1 AND id = $2"
        " AND NOT $3 = ANY (passed)",
        session.tenant_id,
        session.id,
        method.value,
    )
    words = await tx.driver.fetchval(
        "SELECT passed FROM ceremony_sessions WHERE tenant_id = $1 AND id = $2",
        session.tenant_id,
        session.id,
    )
    return replace(session, passed=tuple(AuthenticationMethod(word) for word in words or ()))


async def note_consent(tx: Transaction, session: Session, *, consented: bool) -> Session:
    """The session with consent given or withdrawn, in the caller's transaction."""
    await tx.driver.execute(
        "UPDATE ceremony_sessions SET consented = $3 WHERE tenant_id = $1 AND id = $2",
        session.tenant_id,
        session.id,
        consented,
    )
    return replace(session, consented=consented)


async def _touch(engine: Engine, row: asyncpg.Record, address: str, now: datetime) -> None:
    async with engine.database.transaction(row["tenant_id"]) as tx:
        await tx.driver.execute(
            "UPDATE ceremony_sessions SET seen_at = GREATEST(seen_at, $3), ip_address = $4::text,"
            " ip_changes = ip_changes + (ip_address <> $4::text)::int"
            " WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
            row["tenant_id"],
            row["id"],
            now,
            address,
        )
        await tx.commit()


async def _end(engine: Engine, tenant_id: UUID, session_id: UUID, reason: str) -> None:
    async with engine.database.transaction(tenant_id) as tx:
        await tx.driver.execute(
            "UPDATE ceremony_sessions SET ended_at = $3, end_reason = $4"
            " WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
            tenant_id,
            session_id,
            engine.clock.now(),
            reason,
        )
        await tx.commit()


def _session(engine: Engine, row: asyncpg.Record, handle: str, csrf: str, seen: datetime) -> Session:
    return Session(
        id=row["id"],
        handle=handle,
        tenant_id=row["tenant_id"],
        engine_id=row["engine_id"],
        recipient_id=row["recipient_id"],
        csrf=csrf,
        passed=tuple(AuthenticationMethod(word) for word in row["passed"]),
        consented=row["consented"],
        ends_at=_ends_at(engine, seen, row["last_at"]),
        last_at=row["last_at"],
        embedded=row["embedded"],
        origins=tuple(row["origins"]),
        return_url=row["return_url"],
        is_view_only=row["is_view_only"],
    )


def _ends_at(engine: Engine, now: datetime, last_at: datetime) -> datetime:
    return min(now + timedelta(seconds=engine.settings.access.session_idle_s), last_at)


def _readable(handle: str) -> str:
    """A handle that PostgreSQL can be asked for; whatever else was in the address names no session."""
    return handle if handle.isascii() and handle.isprintable() and len(handle) <= _LONGEST else ""


def _agent(engine: Engine, visitor: Visitor) -> bytes:
    return keyed_hash(engine, Purpose.AGENT, visitor.user_agent[:MOST_AGENT])


def _csrf(engine: Engine, handle: str, secret: str) -> str:
    hashed = keyed_hash(engine, Purpose.CSRF, handle, secret)
    return base64.urlsafe_b64encode(hashed).decode().rstrip("=")
