"""The pull feed: a tenant's events in one contiguous order, and what one endpoint was to get.

Whoever follows a feed proves completeness: the fan-out gives each committed event the tenant's next number, a
page shows its numbers without a gap, and `lag` counts what is committed and has no number yet. Page, head and lag
come from one statement, which sees one moment. Reads only.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from config.database import Database
from normalizer.errors import CallerError, Finding, NotFound, ValidationFailed
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import EventType
from webhooks.outbound.compose import FULL, compose_body, message_id, refer_to_ledger
from webhooks.outbound.event_names import find_unknown_types
from webhooks.outbound.read import DeliveryState

# A filter looks at this many numbers for one page: its cost is bounded, and the cursor moves on all the same.
WINDOW = 5_000
# More waiting events than this are "a lot".
MOST_LAG = 10_000


class FeedExpired(CallerError):
    """The cursor is older than what is kept. `oldest`: the first number that is still there."""

    code = "feed_expired"

    def __init__(self, after: int, oldest: int) -> None:
        super().__init__(
            f"Events after number {after} are no longer all kept; the oldest that is there is {oldest}.",
            remedy=f"Read the state of your envelopes, then go on with after={oldest - 1}.",
        )
        self.oldest = oldest


class FeedFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`types` empty: every type. `after`: the cursor, 0 for the beginning."""

    after: int = 0
    limit: int = 100
    types: tuple[EventType, ...] = ()
    envelope_id: UUID | None = None


class FeedPage(msgspec.Struct, frozen=True, kw_only=True):
    """`bodies` as they would be posted, with the feed's number as their sequence. `next` is the cursor of the page
    after it, also when a filter left nothing. `lag`: committed events that have no number yet, counted up to
    MOST_LAG; with it 0 and no more, everything committed so far was told.
    """

    bodies: tuple[bytes, ...]
    next: int
    has_more: bool
    lag: int
    oldest: int


class OwedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One number of an endpoint. `body`: the bytes that every attempt sends; None when they are no longer kept."""

    sequence: int
    delivery_id: UUID
    state: DeliveryState
    attempts: int
    possibly_delivered: bool
    last_status: int | None
    finished_at: datetime | None
    body: bytes | None


class EndpointPage(msgspec.Struct, frozen=True, kw_only=True):
    """`removed`: ranges of this page's numbers, both ends included, that had ended and are no longer kept."""

    events: tuple[OwedEvent, ...]
    removed: tuple[tuple[int, int], ...]
    next: int
    has_more: bool
    lag: int


_EVENT = "o.id, o.type, o.occurred_at, o.data, o.chain_id, o.ledger_seq, o.ledger_hash, o.api_version"
_LAG = (
    f"(SELECT count(*) FROM (SELECT FROM outbox_pending p WHERE p.tenant_id = $1 LIMIT {MOST_LAG}) w) AS lag"
)
_HEAD = (
    "WITH head AS (SELECT"
    " coalesce((SELECT h.next_seq FROM event_feed_heads h WHERE h.tenant_id = $1), 1) AS next_seq,"
    f" feed_floor($1) AS oldest, {_LAG}) SELECT h.next_seq, h.oldest, h.lag, e.* FROM head h"
    " LEFT JOIN LATERAL ("
)
_PAGE = (
    f"{_HEAD} SELECT f.seq, {_EVENT} FROM event_feed f"
    " JOIN outbox_events o ON o.tenant_id = f.tenant_id AND o.id = f.event_id"
    f" WHERE f.tenant_id = $1 AND f.seq > $2 AND f.seq <= $2 + {WINDOW}"
    " AND (cardinality($4::text[]) = 0 OR o.type = ANY ($4))"
    " ORDER BY f.seq LIMIT $3) e ON true ORDER BY e.seq"
)
# An envelope has few events: they are found by themselves, then numbered.
_PAGE_OF_ENVELOPE = (
    f"{_HEAD} SELECT f.seq, {_EVENT} FROM outbox_events o"
    " JOIN event_feed f ON f.tenant_id = o.tenant_id AND f.event_id = o.id"
    " WHERE o.tenant_id = $1 AND o.envelope_id = $5 AND f.seq > $2"
    " AND (cardinality($4::text[]) = 0 OR o.type = ANY ($4))"
    " ORDER BY f.seq LIMIT $3) e ON true ORDER BY e.seq"
)
_OWED = (
    f"SELECT w.next_sequence, {_LAG}, e.* FROM webhook_endpoints w LEFT JOIN LATERAL ("
    " SELECT d.sequence, d.id AS delivery_id, d.state, d.attempt, d.possibly_delivered, d.last_status, d.finished_at,"
    f" d.payload, {_EVENT} FROM deliveries d"
    " LEFT JOIN outbox_events o ON o.tenant_id = d.tenant_id AND o.id = d.event_id"
    " WHERE d.tenant_id = $1 AND d.endpoint_id = $2 AND d.sequence > $3 ORDER BY d.sequence LIMIT $4) e ON true"
    " WHERE w.tenant_id = $1 AND w.id = $2 ORDER BY e.sequence"
)
_REMOVED = (
    "SELECT lower(r) AS first, upper(r) - 1 AS last FROM removed_sequences s,"
    " unnest(s.sequences * int8multirange(int8range($3, $4, '(]'))) AS r"
    " WHERE s.tenant_id = $1 AND s.endpoint_id = $2 ORDER BY 1"
)


async def read_feed(database: Database, tenant_id: UUID, wanted: FeedFilter) -> FeedPage:
    """Raises FeedExpired for a cursor below what is kept, ValidationFailed for one beyond the end."""
    arguments: list[object] = [tenant_id, wanted.after, wanted.limit, [str(type_) for type_ in wanted.types]]
    sql = _PAGE
    if wanted.envelope_id is not None:
        sql = _PAGE_OF_ENVELOPE
        arguments.append(wanted.envelope_id)
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(sql, *arguments)
    head, oldest = rows[0]["next_seq"] - 1, rows[0]["oldest"]
    if wanted.after < oldest - 1:
        raise FeedExpired(wanted.after, oldest)
    _check_end(wanted.after, head)
    told = [row for row in rows if row["seq"] is not None]
    reached = head if wanted.envelope_id is not None else min(head, wanted.after + WINDOW)
    cursor = told[-1]["seq"] if len(told) == wanted.limit else reached
    return FeedPage(
        bodies=tuple(_body(tenant_id, row, sequence=row["seq"], payload=FULL) for row in told),
        next=cursor,
        has_more=cursor < head,
        lag=rows[0]["lag"],
        oldest=oldest,
    )


async def read_endpoint_feed(
    database: Database, tenant_id: UUID, endpoint_id: UUID, *, after: int, limit: int
) -> EndpointPage:
    """Raises NotFound, ValidationFailed for a cursor beyond the end."""
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(_OWED, tenant_id, endpoint_id, after, limit)
        if not rows:
            raise NotFound("endpoint", print_id(Kind.ENDPOINT, endpoint_id))
        head = rows[0]["next_sequence"] - 1
        _check_end(after, head)
        owed = [row for row in rows if row["sequence"] is not None]
        cursor = owed[-1]["sequence"] if len(owed) == limit else head
        is_whole = cursor - after == len(owed)
        removed = [] if is_whole else await tx.driver.fetch(_REMOVED, tenant_id, endpoint_id, after, cursor)
    return EndpointPage(
        events=tuple(_owed(tenant_id, row) for row in owed),
        removed=tuple((row["first"], row["last"]) for row in removed),
        next=cursor,
        has_more=cursor < head,
        lag=rows[0]["lag"],
    )


def vet_types(names: Sequence[str]) -> tuple[EventType, ...]:
    """Raises ValidationFailed for a name that is no type: it would match nothing, for ever."""
    unknown = find_unknown_types(names, "?types", numbered=False)
    if unknown:
        raise ValidationFailed("The feed was asked for unknown types.", tuple(unknown))
    return tuple(EventType(name) for name in names)


def _check_end(after: int, head: int) -> None:
    # Waiting there would skip every event until then without a word.
    if after > head:
        problem = Finding("?after", f"It ends at {head}.", "Use the `next` of the page before, or 0.")
        raise ValidationFailed("The cursor is beyond the end of the feed.", (problem,))


def _body(tenant_id: UUID, row: asyncpg.Record, *, sequence: int, payload: str) -> bytes:
    return compose_body(
        message=message_id(row["id"]),
        type_=row["type"],
        occurred_at=row["occurred_at"],
        tenant_id=tenant_id,
        sequence=sequence,
        data=row["data"],
        payload=payload,
        ledger=refer_to_ledger(row["chain_id"], row["ledger_seq"], row["ledger_hash"]),
        version=row["api_version"],
    )


def _owed(tenant_id: UUID, row: asyncpg.Record) -> OwedEvent:
    sequence = row["sequence"]
    return OwedEvent(
        sequence=sequence,
        delivery_id=row["delivery_id"],
        state=DeliveryState(row["state"]),
        attempts=row["attempt"],
        possibly_delivered=row["possibly_delivered"],
        last_status=row["last_status"],
        finished_at=row["finished_at"],
        body=None if row["id"] is None else _body(tenant_id, row, sequence=sequence, payload=row["payload"]),
    )
