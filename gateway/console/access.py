"""The way into a tenant's portal: a link from the API that works once, and the session that it starts.

The database holds keyed hashes of the link, the cookie and the user agent; the token of the forms is derived from the
cookie. A session ends when its API key is revoked, after 30 minutes without a request and after eight hours at the
latest. What is done in it is recorded as the asking caller's, from the visitor's address.
Must never write a link or a cookie anywhere: not into a log, a ledger entry or an error.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import msgspec

from config.database import Transaction
from config.logging import request_id
from config.vault import Place
from engine.ceremony.embedding import load_embedding
from engine.envelopes.visitor import Visitor
from gateway.console.catalogue import LANGUAGES
from gateway.services import Caller, Services
from gateway.tenants.api_keys import NotAllowed
from gateway.tenants.facts import tenant_event
from gateway.tenants.scopes import Scope
from normalizer.errors import Finding, ValidationFailed
from normalizer.events import Actor, ResourceType, Source, SourceKind
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

SESSION_IDLE = timedelta(minutes=30)
SESSION_LONGEST = timedelta(hours=8)
FEWEST_MINUTES, MOST_MINUTES, USUAL_MINUTES = 5, 60, 15
_TOUCH_AFTER = timedelta(seconds=5)
_LONGEST = 200
_LONGEST_URL = 1000
_LONGEST_FORM_ID = 40
_actor_decoder = msgspec.json.Decoder(Actor)


class PortalScope(StrEnum):
    MANAGE = "manage"
    READ = "read"


class NewLink(msgspec.Struct, frozen=True, kw_only=True):
    """`endpoint_id`: the portal is about this endpoint alone. `origins`: who may frame it; () nobody."""

    scope: PortalScope = PortalScope.MANAGE
    endpoint_id: UUID | None = None
    origins: tuple[str, ...] = ()
    return_url: str = ""
    language: str = ""
    minutes: int = USUAL_MINUTES


class PortalLink(msgspec.Struct, frozen=True):
    """`url` is a secret: handed out once, never stored."""

    url: str
    expires_at: datetime


class FoundLink(msgspec.Struct, frozen=True, kw_only=True):
    """`language` empty: the reader's own. `caller` is sealed still."""

    tenant_id: UUID
    id: UUID
    key_id: UUID
    caller: bytes
    scope: PortalScope
    endpoint_id: UUID | None
    language: str
    origins: tuple[str, ...]
    return_url: str


@dataclass(frozen=True, slots=True)
class StartedPortal:
    """`secret` belongs into the cookie and is not to be had again."""

    handle: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSession:
    """`caller` acts; `csrf` goes into every form."""

    id: UUID
    handle: str
    caller: Caller
    csrf: str = field(repr=False)
    scope: PortalScope
    endpoint_id: UUID | None
    origins: tuple[str, ...]
    return_url: str
    language: str

    @property
    def tenant_id(self) -> UUID:
        return self.caller.tenant_id

    @property
    def may_change(self) -> bool:
        return self.scope is PortalScope.MANAGE


async def make_portal_link(services: Services, caller: Caller, new: NewLink) -> PortalLink:
    """Raises NotAllowed, NotFound for the endpoint, ValidationFailed."""
    if new.scope is PortalScope.MANAGE and Scope.WEBHOOKS_WRITE not in caller.scopes:
        raise NotAllowed(
            "This key may not make links that change anything.", remedy="Ask for the scope read, or use a key"
            " that has webhooks:write.",
        )  # fmt: skip
    _check_limits(services, new)
    if new.endpoint_id is not None:
        await services.endpoints.read(caller.tenant_id, new.endpoint_id)
    own, token = services.ids.new(), secrets.token_urlsafe(32)
    place = Place("portal_sessions", "caller", own)
    sealed = await services.vault.encrypt(
        services.database, caller.tenant_id, place, msgspec.json.encode(caller.actor)
    )
    async with services.database.transaction(caller.tenant_id) as tx:
        origins = await _check_origins(tx, caller.tenant_id, new.origins)
        # What has ended is of no use to anybody; a tenant's rows stay few.
        await tx.driver.execute(
            "DELETE FROM portal_sessions WHERE tenant_id = $1 AND (ended_at IS NOT NULL OR last_at < now()"
            " OR (started_at IS NULL AND link_until < now()))",
            caller.tenant_id,
        )
        expires_at = await tx.driver.fetchval(
            "INSERT INTO portal_sessions (tenant_id, id, handle, token_hash, key_id, caller, scope, endpoint_id,"
            " origins, return_url, language, link_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
            " now() + $12) RETURNING link_until",
            caller.tenant_id, own, secrets.token_urlsafe(12), _hash(services, "link", token), caller.key_id,
            sealed, new.scope.value, new.endpoint_id, list(origins), new.return_url, new.language,
            timedelta(minutes=new.minutes),
        )  # fmt: skip
        await _record(services, tx, caller, LedgerType.PORTAL_LINK_CREATED, own, new.scope, new.endpoint_id)
        await tx.commit()
    base = services.settings.countersign.public_base_url.rstrip("/")
    return PortalLink(f"{base}/portal/{token}", expires_at)


async def find_portal_link(services: Services, token: str) -> FoundLink | None:
    """A link that still works. Changes nothing; bad, used and expired ones look the same."""
    row = await services.hub.fetchrow(
        "SELECT s.tenant_id, s.id, s.key_id, s.caller, s.scope, s.endpoint_id, s.language, s.origins,"
        f" s.return_url FROM portal_sessions s {_LIVE_KEY} WHERE s.token_hash = $1 AND s.started_at IS NULL"
        " AND s.ended_at IS NULL AND s.link_until > now()",
        _hash(services, "link", token[:_LONGEST]),
    )
    return msgspec.convert(dict(row), FoundLink) if row else None


async def start_portal(
    services: Services, link: FoundLink, visitor: Visitor, language: str
) -> StartedPortal | None:
    """The link works once: of two starts one finds it used and gets None."""
    secret = secrets.token_urlsafe(32)
    place = Place("portal_sessions", "caller", link.id)
    actor = await services.vault.decrypt(services.database, link.tenant_id, place, link.caller)
    caller = _caller(link.tenant_id, link.key_id, _actor_decoder.decode(actor), visitor)
    async with services.database.transaction(link.tenant_id) as tx:
        handle = await tx.driver.fetchval(
            "UPDATE portal_sessions SET started_at = now(), seen_at = now(), last_at = now() + $3,"
            " secret_hash = $4, agent_hash = $5, language = $6 WHERE tenant_id = $1 AND id = $2"
            " AND started_at IS NULL AND ended_at IS NULL AND link_until > now()"
            " RETURNING handle",
            link.tenant_id, link.id, SESSION_LONGEST, _hash(services, "session", secret),
            _agent(services, visitor), language,
        )  # fmt: skip
        if handle is None:
            return None
        kind = LedgerType.PORTAL_SESSION_STARTED
        await _record(services, tx, caller, kind, link.id, link.scope, link.endpoint_id)
        await tx.commit()
    return StartedPortal(handle, secret)


async def find_portal_session(
    services: Services, handle: str, secret: str, visitor: Visitor
) -> PortalSession | None:
    """The session, and its idle time begins anew; None when it is over, whatever ended it.

    Another user agent than the one that began it ends it.
    """
    row = await services.hub.fetchrow(
        "SELECT s.tenant_id, s.id, s.secret_hash, s.agent_hash, s.key_id, s.caller, s.scope, s.endpoint_id,"
        f" s.origins, s.return_url, s.language, now() - s.seen_at AS idle FROM portal_sessions s {_LIVE_KEY}"
        " WHERE s.handle = $1 AND s.started_at IS NOT NULL AND s.ended_at IS NULL AND s.last_at > now()"
        " AND s.seen_at > now() - $2::interval",
        _readable(handle),
        SESSION_IDLE,
    )
    stored = row["secret_hash"] if row else bytes(32)
    if not hmac.compare_digest(stored, _hash(services, "session", secret[:_LONGEST])) or row is None:
        return None
    if not hmac.compare_digest(row["agent_hash"], _agent(services, visitor)):
        await _end(services, row["tenant_id"], row["id"])
        return None
    if row["idle"] >= _TOUCH_AFTER:
        await services.hub.execute(
            "UPDATE portal_sessions SET seen_at = now() WHERE tenant_id = $1 AND id = $2",
            row["tenant_id"],
            row["id"],
        )
    return await _session(services, row, handle, secret, visitor)


async def end_portal(services: Services, session: PortalSession) -> None:
    await _end(services, session.tenant_id, session.id)


async def set_language(services: Services, session: PortalSession, language: str) -> None:
    """Raises ValidationFailed for a language that the pages lack."""
    if language not in LANGUAGES:
        raise ValidationFailed("The pages have no such language.", (Finding("/language", "en or de"),))
    await services.hub.execute(
        "UPDATE portal_sessions SET language = $3 WHERE tenant_id = $1 AND id = $2",
        session.tenant_id,
        session.id,
        language,
    )


async def spend_form(services: Services, session: PortalSession, form_id: str) -> bool:
    """Whether this copy of a form is sent for the first time. A reload of its answer is not."""
    if not form_id or len(form_id) > _LONGEST_FORM_ID:
        return False
    spent = await services.hub.fetchval(
        "UPDATE portal_sessions SET spent = (ARRAY[$3::text] || spent)[1:50] WHERE tenant_id = $1 AND id = $2"
        " AND NOT $3 = ANY (spent) RETURNING id",
        session.tenant_id,
        session.id,
        form_id,
    )
    return spent is not None


def is_csrf(session: PortalSession, presented: str) -> bool:
    return hmac.compare_digest(session.csrf.encode(), presented.encode("utf-8", "surrogatepass"))


_LIVE_KEY = (
    "JOIN tenants t ON t.id = s.tenant_id AND t.active"
    " JOIN api_keys k ON k.tenant_id = s.tenant_id AND k.id = s.key_id AND k.revoked_at IS NULL"
    " AND (k.expires_at IS NULL OR k.expires_at > now())"
)


async def _session(
    services: Services, row: asyncpg.Record, handle: str, secret: str, visitor: Visitor
) -> PortalSession:
    place = Place("portal_sessions", "caller", row["id"])
    actor = await services.vault.decrypt(services.database, row["tenant_id"], place, row["caller"])
    return PortalSession(
        id=row["id"],
        handle=handle,
        caller=_caller(row["tenant_id"], row["key_id"], _actor_decoder.decode(actor), visitor),
        csrf=_hash(services, "csrf", secret).hex(),
        scope=PortalScope(row["scope"]),
        endpoint_id=row["endpoint_id"],
        origins=tuple(row["origins"]),
        return_url=row["return_url"],
        language=row["language"],
    )


def _caller(tenant_id: UUID, key_id: UUID, actor: Actor, visitor: Visitor) -> Caller:
    """Who made the link acts; the address and the program are those of whoever sits before the page."""
    return Caller(
        tenant_id=tenant_id,
        key_id=key_id,
        scopes=frozenset(),
        actor=msgspec.structs.replace(
            actor, ip_address=visitor.ip_address[:50], user_agent=visitor.user_agent[:400]
        ),
        source=Source(kind=SourceKind.PORTAL, request_id=request_id.get() or ""),
    )


async def _record(
    services: Services,
    tx: Transaction,
    caller: Caller,
    kind: LedgerType,
    session_id: UUID,
    scope: PortalScope,
    endpoint_id: UUID | None,
) -> None:
    tenant = print_id(Kind.TENANT, caller.tenant_id)
    facts = {
        "session": str(session_id),
        "scope": scope.value,
        "endpoint_id": print_id(Kind.ENDPOINT, endpoint_id) if endpoint_id else "",
    }
    event = tenant_event(services, caller, kind, caller.tenant_id, ResourceType.TENANT, tenant, facts)
    await services.recorder.record(tx, [event])


async def _end(services: Services, tenant_id: UUID, session_id: UUID) -> None:
    await services.hub.execute(
        "UPDATE portal_sessions SET ended_at = now() WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
        tenant_id,
        session_id,
    )


async def _check_origins(tx: Transaction, tenant_id: UUID, origins: Sequence[str]) -> tuple[str, ...]:
    """The origins, each once. Raises ValidationFailed for one that is not on the tenant's embedding list."""
    if not origins:
        return ()
    allowed = (await load_embedding(tx, tenant_id)).origins
    faults = tuple(
        Finding(
            f"/embed_origins/{place}", "This origin is not on the tenant's list.", "Ask an administrator."
        )
        for place, origin in enumerate(origins)
        if origin not in allowed
    )
    if faults:
        raise ValidationFailed(
            "The portal cannot be embedded where the tenant does not allow it.",
            faults,
            code="embedding_refused",
        )
    return tuple(dict.fromkeys(origins))


def _check_limits(services: Services, new: NewLink) -> None:
    """Raises ValidationFailed."""
    faults = []
    if not FEWEST_MINUTES <= new.minutes <= MOST_MINUTES:
        faults.append(Finding("/minutes", f"between {FEWEST_MINUTES} and {MOST_MINUTES}"))
    if new.language and new.language not in LANGUAGES:
        faults.append(Finding("/language", f"one of: {', '.join(LANGUAGES)}"))
    if new.return_url and not _is_address(new.return_url, needs_https=services.settings.is_production):
        faults.append(
            Finding("/return_url", "It is not an absolute https address.", "Give the whole address.")
        )
    if faults:
        raise ValidationFailed("This link cannot be made.", tuple(faults))


def _is_address(url: str, *, needs_https: bool) -> bool:
    if len(url) > _LONGEST_URL or not all(33 <= ord(letter) < 127 for letter in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    schemes = {"https"} if needs_https else {"https", "http"}
    # It is named in a policy's form-action, where these letters would begin something else.
    is_plain = not any(letter in parts.netloc for letter in ";,'@")
    return parts.scheme in schemes and bool(parts.hostname) and is_plain


def _hash(services: Services, purpose: str, secret: str) -> bytes:
    message = f"portal {purpose}\0{secret}".encode("utf-8", "surrogatepass")
    return hmac.digest(services.pepper, message, hashlib.sha256)


def _agent(services: Services, visitor: Visitor) -> bytes:
    return _hash(services, "agent", visitor.user_agent[:400])


def _readable(handle: str) -> str:
    """A handle that PostgreSQL can be asked for; whatever else was in the address names no session."""
    return handle if handle.isascii() and handle.isprintable() and len(handle) <= _LONGEST else ""
