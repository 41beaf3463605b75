"""What became of every number of an endpoint: ranges by state, and the proof that none is missing.

A sequence is given once, without a gap, in the order of the fan-out; an event that the endpoint does not ask for
gets none. So every number from 1 to next_sequence - 1 is a delivery, or was one until its time of keeping was
over. Both are read in one statement, which sees one moment. Reads only.
"""

from uuid import UUID

import asyncpg
import msgspec

from config.database import Database, Transaction
from normalizer.errors import Finding, NotFound, ValidationFailed
from normalizer.ids import Kind, print_id
from webhooks.outbound.replay_job import vet_ranges

MOST_AT_ONCE = 50_000
Ranges = tuple[tuple[int, int], ...]

# A lease is a delivery on its way: to a receiver it is pending like any other.
_STATES = (
    "CASE d.state WHEN 'succeeded' THEN 'delivered' WHEN 'leased' THEN 'pending' ELSE d.state END AS state"
)
_RANGES = (
    "SELECT state, array_agg(lower(r) ORDER BY lower(r)) AS firsts, array_agg(upper(r) - 1 ORDER BY lower(r)) AS lasts"
    " FROM (SELECT state, unnest(numbers) AS r FROM by_state) s GROUP BY state"
)
_REPORT = (
    "WITH own AS ("
    " SELECT e.next_sequence AS next, greatest($3::bigint, 1) AS first,"
    "  least(coalesce($4::bigint, e.next_sequence - 1), e.next_sequence - 1,"
    f"   greatest($3::bigint, 1) + {MOST_AT_ONCE} - 1) AS last,"
    "  coalesce((SELECT r.sequences FROM removed_sequences r WHERE r.tenant_id = $1 AND r.endpoint_id = $2), '{}')"
    "   AS removed"
    " FROM webhook_endpoints e WHERE e.tenant_id = $1 AND e.id = $2"
    "), asked AS ("
    " SELECT own.*, CASE WHEN first <= last THEN int8multirange(int8range(first, last, '[]')) ELSE '{}' END AS whole"
    " FROM own"
    "), known AS ("
    f" SELECT {_STATES}, range_agg(int8range(d.sequence, d.sequence, '[]')) AS numbers"
    " FROM asked a JOIN deliveries d ON d.tenant_id = $1 AND d.endpoint_id = $2"
    "  AND d.sequence BETWEEN a.first AND a.last"
    " GROUP BY 1"
    "), by_state AS ("
    " SELECT k.state, k.numbers FROM known k"
    " UNION ALL SELECT 'removed', a.removed * a.whole FROM asked a"
    " UNION ALL SELECT 'unknown', a.whole - a.removed - coalesce((SELECT range_agg(k.numbers) FROM known k), '{}')"
    "  FROM asked a"
    f"), listed AS ({_RANGES})"
    " SELECT a.next, a.first, a.last, l.state, l.firsts, l.lasts FROM asked a LEFT JOIN listed l ON true"
)
_MISSING = (
    "WITH own AS ("
    " SELECT e.next_sequence AS next, CASE WHEN e.next_sequence > 1"
    "  THEN int8multirange(int8range(1, e.next_sequence)) ELSE '{}' END"
    "  - coalesce((SELECT range_agg(int8range(f, l, '[]')) FROM unnest($3::bigint[], $4::bigint[]) u(f, l)), '{}')"
    "  AS missing,"
    "  coalesce((SELECT r.sequences FROM removed_sequences r WHERE r.tenant_id = $1 AND r.endpoint_id = $2), '{}')"
    "   AS removed"
    " FROM webhook_endpoints e WHERE e.tenant_id = $1 AND e.id = $2"
    "), known AS ("
    f" SELECT {_STATES}, range_agg(int8range(d.sequence, d.sequence, '[]')) AS numbers"
    " FROM own o CROSS JOIN unnest(o.missing) AS m(r) JOIN deliveries d ON d.tenant_id = $1 AND d.endpoint_id = $2"
    "  AND d.sequence >= lower(m.r) AND d.sequence < upper(m.r)"
    " GROUP BY 1"
    "), by_state AS ("
    " SELECT k.state, k.numbers FROM known k"
    " UNION ALL SELECT 'removed', o.removed * o.missing FROM own o"
    " UNION ALL SELECT 'unknown', o.missing - o.removed - coalesce((SELECT range_agg(k.numbers) FROM known k), '{}')"
    "  FROM own o"
    f"), listed AS ({_RANGES})"
    " SELECT o.next, 1 AS first, o.next - 1 AS last, l.state, l.firsts, l.lasts FROM own o LEFT JOIN listed l ON true"
)


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """Sequences as ranges, first and last both included. `removed`: delivered, and no longer kept. `unknown`:
    given and not there, which must never be.
    """

    delivered: Ranges = ()
    pending: Ranges = ()
    exhausted: Ranges = ()
    held: Ranges = ()
    cancelled: Ranges = ()
    removed: Ranges = ()
    unknown: Ranges = ()


class GapReport(msgspec.Struct, frozen=True, kw_only=True):
    """`first` to `last` were looked at (nothing when last < first); `is_contiguous`: each of these numbers is
    in exactly one of the ranges.
    """

    next_sequence: int
    first: int
    last: int
    numbers: Numbers
    is_contiguous: bool


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """What was given and not received, by what we know of it. `replayable`: what can be sent again now."""

    next_sequence: int
    numbers: Numbers
    total: int
    replayable: Ranges


async def report_gaps(
    database: Database, tenant_id: UUID, endpoint_id: UUID, *, first: int = 1, last: int | None = None
) -> GapReport:
    """At most MOST_AT_ONCE numbers from `first` on. Raises NotFound, ValidationFailed."""
    findings = [Finding("?from", "Sequences begin at 1.")] if first < 1 else []
    if last is not None and last < first:
        findings.append(Finding("?to", "It is before ?from."))
    if max(first, last or 0) >= 2**62:
        findings.append(Finding("?from", "No endpoint has so many."))
    if findings:
        raise ValidationFailed("These are no sequences.", tuple(findings))
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(_REPORT, tenant_id, endpoint_id, first, last)
    numbers = _numbers(rows, endpoint_id)
    return GapReport(
        next_sequence=rows[0]["next"],
        first=rows[0]["first"],
        last=rows[0]["last"],
        numbers=numbers,
        is_contiguous=not numbers.unknown,
    )


async def find_missing(tx: Transaction, tenant_id: UUID, endpoint_id: UUID, received: Ranges) -> Missing:
    """All numbers given so far without those received. Raises NotFound, ValidationFailed when something was
    received that was never sent.
    """
    findings = vet_ranges(received, "/received")
    if findings:
        raise ValidationFailed("These are no ranges of sequences.", tuple(findings))
    firsts, lasts = [first for first, _ in received], [last for _, last in received]
    rows = await tx.driver.fetch(_MISSING, tenant_id, endpoint_id, firsts, lasts)
    numbers = _numbers(rows, endpoint_id)
    next_sequence = rows[0]["next"]
    beyond = [
        Finding(f"/received/{place}", f"The last sequence given to this endpoint is {next_sequence - 1}.")
        for place, last in enumerate(lasts)
        if last >= next_sequence
    ]
    if beyond:
        raise ValidationFailed("Something was received that was never sent to it.", tuple(beyond))
    every = [one for name in Numbers.__struct_fields__ for one in getattr(numbers, name)]
    again = sorted((*numbers.delivered, *numbers.exhausted))
    return Missing(
        next_sequence=next_sequence,
        numbers=numbers,
        total=sum(last - first + 1 for first, last in every),
        replayable=_joined(again),
    )


def _numbers(rows: list[asyncpg.Record], endpoint_id: UUID) -> Numbers:
    if not rows:
        raise NotFound("endpoint", print_id(Kind.ENDPOINT, endpoint_id))
    ranges = {
        row["state"]: tuple(zip(row["firsts"], row["lasts"], strict=True))
        for row in rows
        if row["state"] is not None
    }
    return Numbers(**ranges)


def _joined(ranges: list[tuple[int, int]]) -> Ranges:
    joined: list[tuple[int, int]] = []
    for first, last in ranges:
        if joined and first == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return tuple(joined)
