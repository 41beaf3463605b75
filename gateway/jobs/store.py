"""Jobs and schedules in SQL: what is due, who holds it, how often it was tried, and what was given up.

Every write names its claim (fencing): a worker that lost its lease changes nothing. args hold ids only.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from config.database import Database, Transaction
from normalizer.canonical import Json, canonical_bytes
from normalizer.errors import Conflict, NotFound
from normalizer.ids import Ids, Kind, print_id

Args = dict[str, str]


class ClaimedJob(msgspec.Struct, frozen=True, kw_only=True):
    """`attempts` counts this one. `every_s` is set on a run of a schedule."""

    id: UUID
    kind: str
    args: Args
    schedule: str | None
    attempts: int
    every_s: float | None


class DeadJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that was given up, and why. It runs again when somebody re-drives it."""

    id: UUID
    kind: str
    args: Args
    schedule: str | None
    attempts: int
    redrives: int
    error: str
    created_at: datetime
    finished_at: datetime | None

    @property
    def explanation(self) -> str:
        again = "Its schedule goes on beside it." if self.schedule else "It does not run again by itself."
        return f"{self.error} {again} Re-drive it when the cause is gone."


async def enqueue_job(
    store: Database | Transaction, job_id: UUID, kind: str, args: Mapping[str, str] | None = None
) -> None:
    """The job is due when this commits. Needs the hub role; `args` are ids."""
    connection = store.driver if isinstance(store, Transaction) else store
    content: dict[str, Json] = dict(args or {})
    await connection.execute(
        "INSERT INTO jobs (id, kind, args) VALUES ($1, $2, $3::jsonb)",
        job_id,
        kind,
        canonical_bytes(content).decode(),
    )


async def set_schedules(hub: Database, every_s: Mapping[str, float]) -> None:
    """Makes the table say what the program says; times that were kept are kept."""
    await hub.execute(
        "INSERT INTO schedules (name, every_s) SELECT * FROM unnest($1::text[], $2::float8[]) ORDER BY 1"
        " ON CONFLICT (name) DO UPDATE SET every_s = excluded.every_s,"
        " due_at = least(schedules.due_at, clock_timestamp() + make_interval(secs => excluded.every_s))"
        " WHERE schedules.every_s <> excluded.every_s",
        list(every_s),
        list(every_s.values()),
    )


async def fire_schedules(hub: Database, ids: Ids, names: Sequence[str]) -> int:
    """Makes a job of every schedule that is due; two callers at once make one."""
    fired: int = await hub.fetchval("SELECT fire_schedules($1, $2)", list(names), [ids.new() for _ in names])
    return fired


async def claim_job(hub: Database, claim: UUID, kinds: Sequence[str], lease_s: float) -> ClaimedJob | None:
    row = await hub.fetchrow("SELECT * FROM claim_job($1, $2, $3)", claim, list(kinds), lease_s)
    if row is None:
        return None
    return msgspec.convert({**row, "args": msgspec.json.decode(row["args"], type=Args)}, ClaimedJob)


async def renew_job(hub: Database, job_id: UUID, claim: UUID, lease_s: float) -> bool:
    """False: somebody else has it, or it has ended."""
    renewed: bool = await hub.fetchval("SELECT renew_job($1, $2, $3)", job_id, claim, lease_s)
    return renewed


async def end_job(hub: Database, job_id: UUID, claim: UUID) -> bool:
    ended: bool = await hub.fetchval("SELECT end_job($1, $2, false, NULL, '')", job_id, claim)
    return ended


async def fail_job(hub: Database, job_id: UUID, claim: UUID, delay_s: float | None, why: str) -> bool:
    """`delay_s` None: given up, kept as a dead letter."""
    ended: bool = await hub.fetchval("SELECT end_job($1, $2, true, $3, $4)", job_id, claim, delay_s, why)
    return ended


async def list_dead_jobs(hub: Database, limit: int = 100) -> list[DeadJob]:
    """Newest first."""
    rows = await hub.fetch(
        "SELECT id, kind, args, schedule, attempts, redrives, error, created_at, finished_at FROM jobs"
        " WHERE state = 'dead' ORDER BY id DESC LIMIT $1",
        limit,
    )
    return [
        msgspec.convert({**row, "args": msgspec.json.decode(row["args"], type=Args)}, DeadJob) for row in rows
    ]


async def redrive_job(hub: Database, job_id: UUID) -> None:
    """Due now, with all its attempts again. Raises NotFound; Conflict when it is not given up, or when its
    schedule runs already.
    """
    async with hub.transaction() as tx:
        row = await tx.driver.fetchrow("SELECT state, schedule FROM jobs WHERE id = $1 FOR UPDATE", job_id)
        if row is None:
            raise NotFound("job", print_id(Kind.JOB, job_id))
        if row["state"] != "dead":
            raise Conflict(f"The job is {row['state']}; only one that was given up can be re-driven.")
        moved = await tx.driver.execute(
            "UPDATE jobs j SET state = 'queued', due_at = clock_timestamp(), attempts = 0, finished_at = NULL,"
            " redrives = redrives + 1 WHERE id = $1 AND NOT EXISTS (SELECT FROM jobs o"
            " WHERE o.schedule = j.schedule AND o.state IN ('queued', 'running'))",
            job_id,
        )
        if moved != "UPDATE 1":
            raise Conflict("The job's schedule is running it already.")
        await tx.commit()
