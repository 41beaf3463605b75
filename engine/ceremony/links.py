"""Signing links: made, found, used and revoked.

A token is 256 random bits, handed out once and kept as a keyed hash. Looking at a link changes nothing; a
session is started by `start_session` only. Bad, expired and revoked tokens are not told apart, in answer or time.
Must never write a token or a link anywhere: not into a log, a ledger entry or an error.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from config.database import Transaction
from engine.ceremony.embedding import check_embedding
from engine.ceremony.keyed_hash import Purpose, keyed_hash
from engine.ceremony.limits import NOBODY, Counter, address_subject, too_many, window_start
from engine.ceremony.sessions import NewSession, StartedSession, check_starts, open_session
from engine.engine import Engine
from engine.envelopes.visitor import Visitor, actor_of, source_of
from engine.model import EngineEnvelope, EngineRecipient
from engine.record import record
from engine.store import lock_envelope
from normalizer.errors import NotFound
from normalizer.events import Event, ResourceType
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

_TOKEN_BYTES = 32
_PREFIX_LENGTH = 6
_LONGEST_TOKEN = 200


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A link that opens its envelope now. `is_view_only`: nothing is left to do but to look and download."""

    id: UUID
    tenant_id: UUID
    engine_id: UUID
    recipient_id: UUID
    embedded: bool
    origins: tuple[str, ...]
    return_url: str
    expires_at: datetime
    is_view_only: bool


async def make_link(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope, recipient: EngineRecipient
) -> str:
    """The absolute address for the recipient's mail. It is not to be had again; earlier ones are revoked.

    It opens until the envelope's deadline, or for the setting's days when there is none or it is over.
    """
    now = engine.clock.now()
    expires_at = now + timedelta(days=engine.settings.access.link_days)
    if envelope.expires_at is not None and envelope.expires_at > now and envelope.ended_at is None:
        expires_at = envelope.expires_at
    await tx.driver.execute(
        "UPDATE ceremony_links SET revoked_at = $4 WHERE tenant_id = $1 AND engine_id = $2 AND recipient_id = $3"
        " AND revoked_at IS NULL AND NOT embedded",
        envelope.tenant_id,
        envelope.id,
        recipient.id,
        now,
    )
    return await _insert(engine, tx, envelope, recipient, expires_at)


async def make_embedded_link(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    *,
    origins: Sequence[str],
    return_url: str,
) -> str:
    """An address that opens once, within minutes, in frames of `origins` only (() for none).

    Raises ValidationFailed for an origin or a return address that is not on the tenant's lists.
    """
    allowed = await check_embedding(tx, envelope.tenant_id, origins, return_url)
    expires_at = engine.clock.now() + timedelta(seconds=engine.settings.access.embedded_link_s)
    return await _insert(
        engine,
        tx,
        envelope,
        recipient,
        expires_at,
        embedded=True,
        origins=allowed,
        return_url=return_url,
    )


async def revoke_links(
    engine: Engine, tx: Transaction, tenant_id: UUID, engine_id: UUID, recipient_id: UUID | None = None
) -> None:
    """Links of one recipient, or of all, open nothing from now on. Sessions that run are ended by the
    envelope's version, or may go on to look.
    """
    await tx.driver.execute(
        "UPDATE ceremony_links SET revoked_at = $4 WHERE tenant_id = $1 AND engine_id = $2"
        " AND ($3::uuid IS NULL OR recipient_id = $3) AND revoked_at IS NULL",
        tenant_id,
        engine_id,
        recipient_id,
        engine.clock.now(),
    )


async def find_link(engine: Engine, token: str, visitor: Visitor) -> Link | None:
    """What the token opens now, or None. Changes nothing but the count of bad tokens.

    Raises TooManyTries when the visitor's address has shown too many bad ones.
    """
    settings = engine.settings.access
    now = engine.clock.now()
    start = window_start(now, settings.bad_tokens_window_s)
    address = address_subject(engine, visitor.ip_address)
    hashed = keyed_hash(engine, Purpose.LINK, token[:_LONGEST_TOKEN])
    row = await engine.hub.fetchrow(
        "SELECT * FROM find_ceremony_link($1, $2, $3, $4)", hashed, address, start, now
    )
    if row is None:
        raise AssertionError("the function returns one row")
    if row["bad_tokens"] >= settings.bad_tokens_per_ip:
        raise too_many(engine, settings.bad_tokens_window_s)
    if row["id"] is None:
        await engine.hub.fetchval(
            "SELECT take_allowance($1, $2, $3, $4, 1, $5)",
            NOBODY,
            Counter.BAD_TOKEN.value,
            address,
            start,
            settings.bad_tokens_per_ip,
        )
        return None
    return msgspec.convert({name: row[name] for name in Link.__struct_fields__}, Link)


async def start_session(engine: Engine, link: Link, visitor: Visitor) -> StartedSession:
    """A session of the link's recipient; an embedded link is used up by it.

    Raises NotFound when the link has been used or revoked since it was found, TooManyTries when the recipient
    has begun too many sessions.
    """
    async with engine.database.transaction(link.tenant_id) as tx:
        envelope = await lock_envelope(tx, link.tenant_id, link.engine_id)
        recipient = envelope.recipient(link.recipient_id)
        now = engine.clock.now()
        used = await tx.driver.fetchval(
            "UPDATE ceremony_links SET used_at = COALESCE(used_at, $3) WHERE tenant_id = $1 AND id = $2"
            " AND revoked_at IS NULL AND expires_at > $3 AND NOT (embedded AND used_at IS NOT NULL) RETURNING id",
            link.tenant_id,
            link.id,
            now,
        )
        if used is None:
            raise NotFound("signing link", "")
        await check_starts(engine, tx, link.tenant_id, link.engine_id, link.recipient_id)
        started = await open_session(
            engine,
            tx,
            NewSession(
                tenant_id=link.tenant_id,
                link_id=link.id,
                engine_id=link.engine_id,
                recipient_id=link.recipient_id,
                envelope_version=envelope.version,
                embedded=link.embedded,
                origins=link.origins,
                return_url=link.return_url,
            ),
            visitor,
        )
        await record(engine, tx, [_started(engine, envelope, recipient, link, visitor)])
        await tx.commit()
    return started


async def _insert(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    expires_at: datetime,
    *,
    embedded: bool = False,
    origins: Sequence[str] = (),
    return_url: str = "",
) -> str:
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    await tx.driver.execute(
        "INSERT INTO ceremony_links (tenant_id, id, engine_id, recipient_id, embedded, token_hash, prefix, origins,"
        " return_url, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        envelope.tenant_id,
        engine.ids.new(),
        envelope.id,
        recipient.id,
        embedded,
        keyed_hash(engine, Purpose.LINK, token),
        token[:_PREFIX_LENGTH],
        list(origins),
        return_url,
        engine.clock.now(),
        expires_at,
    )
    base = engine.settings.countersign.public_base_url.rstrip("/")
    if urlsplit(base).scheme not in {"https", "http"}:
        raise ValueError("public_base_url is no web address")
    return f"{base}/sign/{token}"


def _started(
    engine: Engine, envelope: EngineEnvelope, recipient: EngineRecipient, link: Link, visitor: Visitor
) -> Event:
    return Event(
        id=engine.ids.new(),
        type=LedgerType.CEREMONY_STARTED,
        tenant_id=envelope.tenant_id,
        envelope_id=envelope.envelope_id,
        resource_type=ResourceType.RECIPIENT,
        resource_id=print_id(Kind.RECIPIENT, recipient.id),
        occurred_at=engine.clock.now(),
        actor=actor_of(recipient, visitor),
        source=source_of(visitor),
        facts={"embedded": link.embedded, "view_only": link.is_view_only},
    )
