"""Sessions in which a person places a draft's fields on its pages, on behalf of whoever asked for the link.

The link is a secret that works once and for minutes; the session is a cookie, and ends when the draft does, when the
API key that made it is revoked, or after two hours. The database holds keyed hashes of all three secrets. What is
changed is recorded as the asking caller's.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from config.logging import request_id
from config.vault import Place
from engine.ceremony.pages.wording import language_of
from gateway.envelopes.facts import envelope_event
from gateway.envelopes.store import load_envelope
from gateway.services import Caller, Services
from normalizer.errors import Finding, InvalidTransition, ValidationFailed
from normalizer.events import Actor, Source, SourceKind
from normalizer.status import EDITABLE
from normalizer.vocabulary import LedgerType

LINK_LIFE = timedelta(minutes=10)
SESSION_LIFE = timedelta(hours=2)
_LONGEST_URL = 1000
_actor_decoder = msgspec.json.Decoder(Actor)


class PlacingLink(msgspec.Struct, frozen=True):
    """`url` is a secret: handed out once, never stored."""

    url: str
    expires_at: datetime


class StartedPlacing(msgspec.Struct, frozen=True):
    """`secret` goes into the cookie and nowhere else."""

    handle: str
    secret: str


class Placing(msgspec.Struct, frozen=True, kw_only=True):
    """An open session. `csrf` goes into its forms and its scripts' requests."""

    handle: str
    envelope_id: UUID
    caller: Caller
    csrf: str
    language: str
    return_url: str


async def make_placing_link(
    services: Services, caller: Caller, envelope_id: UUID, return_url: str, language: str = ""
) -> PlacingLink:
    """Raises NotFound, ValidationFailed, InvalidTransition for what is no draft any more."""
    _check_return_url(services, return_url)
    envelope = await load_envelope(services.database, caller.tenant_id, envelope_id)
    if envelope.status not in EDITABLE:
        raise InvalidTransition(
            envelope.status, "edited", f"An envelope that is {envelope.status} cannot be edited."
        )
    own, token = services.ids.new(), secrets.token_urlsafe(32)
    place = Place("placing_sessions", "caller", own)
    sealed = await services.vault.encrypt(
        services.database, caller.tenant_id, place, msgspec.json.encode(caller.actor)
    )
    expires_at = services.clock.now() + LINK_LIFE
    async with services.database.transaction(caller.tenant_id) as tx:
        # What has ended is of no use to anybody; a tenant's rows stay few.
        await tx.driver.execute(
            "DELETE FROM placing_sessions WHERE tenant_id = $1 AND (expires_at < now() OR ended_at IS NOT NULL)",
            caller.tenant_id,
        )
        await tx.driver.execute(
            "INSERT INTO placing_sessions (tenant_id, id, envelope_id, handle, token_hash, key_id, caller, language,"
            " return_url, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            caller.tenant_id,
            own,
            envelope_id,
            secrets.token_urlsafe(12),
            _hash(services, "link", token),
            caller.key_id,
            sealed,
            language_of(language or envelope.language),
            return_url,
            expires_at,
        )
        event = envelope_event(
            services,
            LedgerType.ACCESS_TOKEN_GENERATED,
            envelope,
            caller.actor,
            caller.source,
            facts={"purpose": "placing fields"},
        )
        await services.recorder.record(tx, [event])
        await tx.commit()
    base = services.settings.countersign.public_base_url.rstrip("/")
    return PlacingLink(f"{base}/prepare/{token}", expires_at)


async def find_placing_link(services: Services, token: str) -> tuple[UUID, UUID, str] | None:
    """Tenant, envelope and language of a link that still works: bad, used and expired ones look the same."""
    row = await services.hub.fetchrow(
        "SELECT s.tenant_id, s.envelope_id, s.language FROM placing_sessions s"
        " JOIN tenants t ON t.id = s.tenant_id AND t.active WHERE s.token_hash = $1"
        " AND s.started_at IS NULL AND s.ended_at IS NULL AND s.expires_at > now()",
        _hash(services, "link", token[:200]),
    )
    return (row["tenant_id"], row["envelope_id"], row["language"]) if row else None


async def start_placing(services: Services, token: str) -> StartedPlacing | None:
    """The link works once: of two starts one finds it used."""
    secret = secrets.token_urlsafe(32)
    handle = await services.hub.fetchval(
        "UPDATE placing_sessions SET started_at = now(), secret_hash = $2, expires_at = now() + $3"
        " WHERE token_hash = $1 AND started_at IS NULL AND ended_at IS NULL AND expires_at > now()"
        " AND EXISTS (SELECT FROM tenants t WHERE t.id = tenant_id AND t.active) RETURNING handle",
        _hash(services, "link", token[:200]),
        _hash(services, "session", secret),
        SESSION_LIFE,
    )
    return StartedPlacing(handle, secret) if handle else None


async def find_placing(services: Services, handle: str, secret: str) -> Placing | None:
    if not handle.isascii() or not handle.isprintable():
        return None  # no address of ours, and nothing that the database could be asked for
    row = await services.hub.fetchrow(
        "SELECT s.tenant_id, s.id, s.envelope_id, s.secret_hash, s.key_id, s.caller, s.language, s.return_url"
        " FROM placing_sessions s JOIN api_keys k ON k.tenant_id = s.tenant_id AND k.id = s.key_id"
        " JOIN tenants t ON t.id = s.tenant_id AND t.active"
        " WHERE s.handle = $1 AND s.started_at IS NOT NULL AND s.ended_at IS NULL AND s.expires_at > now()"
        " AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())",
        handle[:40],
    )
    if row is None or not hmac.compare_digest(row["secret_hash"], _hash(services, "session", secret)):
        return None
    place = Place("placing_sessions", "caller", row["id"])
    actor = await services.vault.decrypt(services.database, row["tenant_id"], place, row["caller"])
    caller = Caller(
        tenant_id=row["tenant_id"],
        key_id=row["key_id"],
        scopes=frozenset(),
        actor=_actor_decoder.decode(actor),
        source=Source(kind=SourceKind.API, request_id=request_id.get() or ""),
    )
    return Placing(
        handle=handle,
        envelope_id=row["envelope_id"],
        caller=caller,
        csrf=_hash(services, "csrf", secret).hex(),
        language=row["language"],
        return_url=row["return_url"],
    )


async def end_placing(services: Services, placing: Placing) -> None:
    await services.hub.execute(
        "UPDATE placing_sessions SET ended_at = now() WHERE tenant_id = $1 AND handle = $2",
        placing.caller.tenant_id,
        placing.handle,
    )


def is_csrf(placing: Placing, presented: str) -> bool:
    return hmac.compare_digest(placing.csrf.encode(), presented.encode("utf-8", "surrogatepass"))


def _hash(services: Services, purpose: str, secret: str) -> bytes:
    message = f"placing {purpose}\0{secret}".encode("utf-8", "surrogatepass")
    return hmac.digest(services.pepper, message, hashlib.sha256)


def _check_return_url(services: Services, return_url: str) -> None:
    parts = urlsplit(return_url)
    is_secure = parts.scheme == "https" or not services.settings.is_production
    if parts.scheme not in {"https", "http"} or not parts.hostname or not is_secure:
        raise ValidationFailed(
            "The page to come back to is no web address.",
            (Finding("/return_url", "It is not an absolute https address.", "Give the whole address."),),
        )
    if len(return_url) > _LONGEST_URL or any(ord(letter) < 33 for letter in return_url):
        raise ValidationFailed(
            "The page to come back to cannot be taken.",
            (Finding("/return_url", f"At most {_LONGEST_URL} characters without spaces."),),
        )
