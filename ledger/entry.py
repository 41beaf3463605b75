"""What is hashed: the canonical body of a version-1 entry, composed from an event.

Every column of the stored entry is in the body, in the link, or computed from them. Personal data stands in
`pii` only, sealed under its subject's key; `facts` must hold none. Must never read a clock of its own.
Source: docs/ledger-format.md.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from ledger.chain import SYSTEM_TENANT, VERSION
from normalizer.canonical import NotCanonical, canonical_bytes
from normalizer.events import Actor, ActorType, Event, Personal, ResourceType, Source
from normalizer.vocabulary import LedgerType

FUTURE_TOLERANCE = timedelta(minutes=5)
PAST_TOLERANCE = timedelta(hours=24)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """Where an event stands in the ledger, once its transaction is committed."""

    chain_id: str
    seq: int
    hash: bytes


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An entry that is not linked yet."""

    tenant_id: UUID
    chain_id: str
    event_id: UUID
    event_type: LedgerType
    resource_type: ResourceType
    resource_id: str
    occurred_at: datetime
    body: bytes


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """One personal value: readable while its subject's key `kid` exists, noise afterwards."""

    path: str
    kid: UUID
    nonce: bytes
    ct: bytes
    commit: bytes


class BodyActor(msgspec.Struct, frozen=True, gc=False):
    type: ActorType
    id: str
    credential_id: str


class BodyResource(msgspec.Struct, frozen=True, gc=False):
    type: ResourceType
    id: str


class Body(msgspec.Struct, frozen=True, gc=False):
    """The body's keys. `data` holds the facts. Written sorted, so the order here means nothing."""

    v: int
    tenant_id: UUID
    event_id: UUID
    event_type: LedgerType
    occurred_at: str
    clock_suspect: bool
    resource: BodyResource
    actor: BodyActor
    source: Source
    data: msgspec.Raw
    pii: tuple[Sealed, ...]


_encoder = msgspec.json.Encoder(order="sorted")
ACTOR_PATH = "/actor"


def chain_of(event: Event) -> str:
    """One chain per envelope, one per tenant, one for the system."""
    if event.tenant_id is None:
        if event.envelope_id is not None:
            raise ValueError("an envelope's event belongs to a tenant")
        return "system"
    if event.envelope_id is not None:
        return f"env:{event.envelope_id}"
    return f"tenant:{event.tenant_id}"


def tenant_of(event: Event) -> UUID:
    """The tenant whose rows the entry is among: the nil UUID for the system's."""
    return SYSTEM_TENANT if event.tenant_id is None else event.tenant_id


def personal_of(event: Event) -> tuple[Personal, ...]:
    """The event's personal values, and as one JSON object those of its actor."""
    actor = event.actor
    if not (actor.name or actor.email or actor.ip_address or actor.user_agent or "@" in actor.id):
        return event.personal
    # One value for all of them: they have one subject, and each sealed value costs 200 bytes of its own.
    about = {
        name: value
        for name, value in (
            ("email", actor.email),
            ("id", actor.id if "@" in actor.id else ""),
            ("ip_address", actor.ip_address),
            ("name", actor.name),
            ("user_agent", actor.user_agent),
        )
        if value
    }
    return (*event.personal, Personal(ACTOR_PATH, _subject_of(actor), _encoder.encode(about).decode()))


def _subject_of(actor: Actor) -> str:
    if actor.email:
        return actor.email.lower()
    return actor.id.lower() if "@" in actor.id else f"{actor.type}:{actor.id}"


def compose_draft(event: Event, sealed: Sequence[Sealed], now: datetime) -> Draft:
    """`sealed` is what `personal_of(event)` became; `now` only tells whether the source's clock is to be
    believed. Raises NotCanonical for facts that have no canonical form, ValueError for a naive time.
    """
    if event.occurred_at.tzinfo is None:
        raise ValueError("an event occurs at an aware time")
    occurred_at = event.occurred_at.astimezone(UTC)
    actor = event.actor
    tenant_id = tenant_of(event)
    body = Body(
        v=VERSION,
        tenant_id=tenant_id,
        event_id=event.id,
        event_type=event.type,
        occurred_at=format_time(occurred_at),
        clock_suspect=not (now - PAST_TOLERANCE <= occurred_at <= now + FUTURE_TOLERANCE),
        resource=BodyResource(event.resource_type, event.resource_id),
        # Some systems use e-mail addresses for ids: then the id is personal too, and sealed.
        actor=BodyActor(actor.type, "" if "@" in actor.id else actor.id, actor.credential_id),
        source=event.source,
        data=msgspec.Raw(canonical_bytes(event.facts) if event.facts else b"{}"),
        pii=tuple(sealed),
    )
    try:
        encoded = _encoder.encode(body)
    except UnicodeEncodeError as error:
        raise NotCanonical(f"a lone surrogate has no canonical form: {error.reason}") from error
    return Draft(
        tenant_id=tenant_id,
        chain_id=chain_of(event),
        event_id=event.id,
        event_type=event.type,
        resource_type=event.resource_type,
        resource_id=event.resource_id,
        occurred_at=occurred_at,
        body=encoded,
    )


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with exactly six decimals: one moment, one text."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
