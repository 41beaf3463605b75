"""Rows of replay_jobs, and the one selection that a dry run counts and a replay walks.

Both are made of the same conditions, so that what was announced is what is taken. Every statement names the
tenant, and row-level security stands behind it where the app role asks.
"""

from uuid import UUID

import asyncpg
import msgspec

from config.database import Transaction
from normalizer.errors import NotFound
from normalizer.events import Actor
from normalizer.ids import Kind, print_id
from webhooks.outbound.read import DeliveryState
from webhooks.outbound.replay_job import (
    OPEN,
    ReplayCriteria,
    ReplayJob,
    ReplayProgress,
    ReplayState,
    Selected,
)

COLUMNS = (
    "j.tenant_id, j.id, j.endpoint_id, j.states, j.event_types, j.envelope_id, j.created_from, j.created_before,"
    " (SELECT array_agg(lower(r) ORDER BY lower(r)) FROM unnest(j.sequences) r) AS firsts,"
    " (SELECT array_agg(upper(r) - 1 ORDER BY lower(r)) FROM unnest(j.sequences) r) AS lasts,"
    " j.rate_per_second, j.state, j.reason, j.selected, j.requeued, j.actor, j.created_at, j.updated_at,"
    " j.finished_at, j.passed_endpoint, j.passed_sequence"
)
_INSERT = (
    "INSERT INTO replay_jobs (tenant_id, id, endpoint_id, states, event_types, envelope_id, created_from,"
    " created_before, sequences, rate_per_second, selected, actor)"
    " SELECT $1, $2, $3, $4, $5, $6, $7, $8,"
    " (SELECT range_agg(int8range(f, l, '[]')) FROM unnest($9::bigint[], $10::bigint[]) u(f, l)), $11, $12, $13"
)


class StoredActor(msgspec.Struct, frozen=True):
    """Who asked, without anything personal."""

    type: str
    id: str
    credential_id: str


def selection(tenant_id: UUID, wanted: ReplayCriteria) -> tuple[str, list[object]]:
    """FROM and WHERE over `d` (deliveries), `o` (outbox_events) and `e` (webhook_endpoints, also those that are
    off), with their arguments from $1 on.
    """
    arguments: list[object] = [tenant_id]

    def place(value: object) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    # The states stand there as words and not as arguments: only so the partial indexes are of use.
    words = ", ".join(f"'{DeliveryState(state).value}'" for state in wanted.states)
    conditions = [f"d.state IN ({words})"]
    if wanted.endpoint_id is not None:
        conditions.append(f"d.endpoint_id = {place(wanted.endpoint_id)}")
    if wanted.event_types:
        conditions.append(f"o.type = ANY ({place(list(wanted.event_types))}::text[])")
    if wanted.envelope_id is not None:
        conditions.append(f"o.envelope_id = {place(wanted.envelope_id)}")
    if wanted.created_from is not None:
        conditions.append(f"d.created_at >= {place(wanted.created_from)}")
    if wanted.created_before is not None:
        conditions.append(f"d.created_at < {place(wanted.created_before)}")
    if wanted.sequences:
        firsts, lasts = zip(*wanted.sequences, strict=True)
        conditions.append(f"d.sequence BETWEEN {place(min(firsts))} AND {place(max(lasts))}")
        conditions.append(
            "d.sequence <@ (SELECT range_agg(int8range(f, l, '[]')) FROM"
            f" unnest({place(list(firsts))}::bigint[], {place(list(lasts))}::bigint[]) u(f, l))"
        )
    text = (
        " FROM deliveries d JOIN outbox_events o ON o.tenant_id = d.tenant_id AND o.id = d.event_id"
        " JOIN webhook_endpoints e ON e.tenant_id = d.tenant_id AND e.id = d.endpoint_id"
        f" WHERE d.tenant_id = $1 AND {' AND '.join(conditions)}"
    )
    return text, arguments


async def count_selected(tx: Transaction, tenant_id: UUID, wanted: ReplayCriteria) -> Selected:
    text, arguments = selection(tenant_id, wanted)
    rows = await tx.driver.fetch(
        f"SELECT d.state, o.type, e.active, count(*)::bigint AS number{text} GROUP BY 1, 2, 3", *arguments
    )
    by_state: dict[str, int] = {}
    by_type: dict[str, int] = {}
    off = 0
    for row in rows:
        if not row["active"]:
            off += row["number"]
            continue
        by_state[row["state"]] = by_state.get(row["state"], 0) + row["number"]
        by_type[row["type"]] = by_type.get(row["type"], 0) + row["number"]
    return Selected(
        sum(by_state.values()), dict(sorted(by_state.items())), dict(sorted(by_type.items())), off
    )


async def insert_replay(
    tx: Transaction, tenant_id: UUID, replay_id: UUID, wanted: ReplayCriteria, selected: int, actor: Actor
) -> None:
    firsts = [first for first, _ in wanted.sequences]
    lasts = [last for _, last in wanted.sequences]
    stored = StoredActor(actor.type.value, actor.id, actor.credential_id)
    await tx.driver.execute(
        _INSERT,
        tenant_id, replay_id, wanted.endpoint_id, [state.value for state in wanted.states],
        list(wanted.event_types), wanted.envelope_id, wanted.created_from, wanted.created_before, firsts, lasts,
        wanted.rate_per_second, selected, msgspec.json.encode(stored).decode(),
    )  # fmt: skip


async def read_replay(tx: Transaction, tenant_id: UUID, replay_id: UUID, *, lock: bool = False) -> ReplayJob:
    """Raises NotFound. `lock` waits for a slice that is under way, and keeps the next from beginning."""
    row = await tx.driver.fetchrow(
        f"SELECT {COLUMNS} FROM replay_jobs j WHERE j.tenant_id = $1 AND j.id = $2"
        + (" FOR UPDATE" if lock else ""),
        tenant_id,
        replay_id,
    )
    if row is None:
        raise NotFound("replay", print_id(Kind.REPLAY, replay_id))
    return to_replay(row)


async def list_replays(
    tx: Transaction,
    tenant_id: UUID,
    *,
    limit: int,
    before: UUID | None,
    only_open: bool,
    endpoint_id: UUID | None,
) -> list[ReplayJob]:
    rows = await tx.driver.fetch(
        f"SELECT {COLUMNS} FROM replay_jobs j WHERE j.tenant_id = $1 AND ($2::uuid IS NULL OR j.id < $2)"
        " AND (NOT $3 OR j.state IN ('running', 'paused')) AND ($5::uuid IS NULL OR j.endpoint_id = $5)"
        " ORDER BY j.id DESC LIMIT $4",
        tenant_id,
        before,
        only_open,
        limit,
        endpoint_id,
    )
    return [to_replay(row) for row in rows]


async def count_open(tx: Transaction, tenant_id: UUID) -> int:
    count = await tx.driver.fetchval(
        "SELECT count(*)::integer FROM replay_jobs WHERE tenant_id = $1 AND state = ANY ($2)",
        tenant_id,
        [state.value for state in OPEN],
    )
    return int(count)


async def read_progress(tx: Transaction, tenant_id: UUID, replay_id: UUID) -> ReplayProgress:
    """One that was removed after its time of keeping had been delivered."""
    row = await tx.driver.fetchrow(
        "SELECT count(*) FILTER (WHERE coalesce(d.state, 'succeeded') = 'succeeded') AS delivered,"
        " count(*) FILTER (WHERE d.state = 'exhausted') AS failed,"
        " count(*) FILTER (WHERE d.state IN ('pending', 'leased', 'held')) AS waiting,"
        " count(*) FILTER (WHERE d.state = 'cancelled') AS cancelled"
        " FROM replay_items i LEFT JOIN deliveries d ON d.tenant_id = i.tenant_id AND d.id = i.delivery_id"
        " WHERE i.tenant_id = $1 AND i.replay_id = $2",
        tenant_id,
        replay_id,
    )
    if row is None:
        raise AssertionError("an aggregate returns a row")
    return ReplayProgress(**dict(row))


async def set_state(
    tx: Transaction, tenant_id: UUID, replay_id: UUID, state: ReplayState, reason: str = ""
) -> None:
    await tx.driver.execute(
        "UPDATE replay_jobs SET state = $3, reason = $4, updated_at = now(), next_at = greatest(next_at, now()),"
        " finished_at = CASE WHEN $3 IN ('done', 'cancelled') THEN now() END"
        " WHERE tenant_id = $1 AND id = $2",
        tenant_id,
        replay_id,
        state.value,
        reason,
    )


def to_replay(row: asyncpg.Record) -> ReplayJob:
    stored = msgspec.json.decode(row["actor"], type=StoredActor)
    return ReplayJob(
        tenant_id=row["tenant_id"],
        id=row["id"],
        criteria=ReplayCriteria(
            endpoint_id=row["endpoint_id"],
            states=tuple(DeliveryState(state) for state in row["states"]),
            event_types=tuple(row["event_types"]),
            envelope_id=row["envelope_id"],
            created_from=row["created_from"],
            created_before=row["created_before"],
            sequences=tuple(zip(row["firsts"] or (), row["lasts"] or (), strict=True)),
            rate_per_second=row["rate_per_second"],
        ),
        state=ReplayState(row["state"]),
        reason=row["reason"],
        selected=row["selected"],
        requeued=row["requeued"],
        actor=msgspec.convert(msgspec.to_builtins(stored), Actor),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        finished_at=row["finished_at"],
    )
