"""Runs what is due: fires the schedules, then claims jobs one at a time under a lease and gives them a try.

A failure is retried with growing delays, three times, and then kept as a dead letter with the reason. Must
never let one job's failure reach another, and never count a lost store against a job.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from uuid import UUID

from config.errors import StoreUnavailable
from config.logging import log_wide
from config.renewal import renewed
from gateway.jobs.kinds import KINDS, JobKind
from gateway.jobs.store import ClaimedJob, claim_job, end_job, fail_job, fire_schedules, renew_job
from gateway.services import Services
from normalizer.ids import Kind, print_id

logger = logging.getLogger("countersign.jobs")

RETRY_DELAYS_S = (5.0, 60.0, 600.0)
LEASE_S = 20.0  # renewed every third of it; a lost worker holds a schedule up no longer


async def run_due(
    services: Services,
    *,
    kinds: Mapping[str, JobKind] = KINDS,
    for_s: float = 30.0,
    is_stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Works until nothing is due, the time is over or the process is to stop; how many jobs were run. Raises
    StoreUnavailable.
    """
    recurring = [name for name, kind in kinds.items() if kind.every_s is not None]
    await fire_schedules(services.hub, services.ids, recurring)
    ends_at = time.monotonic() + for_s
    run = 0
    while time.monotonic() < ends_at and not is_stopping():
        claim = services.ids.new()
        job = await claim_job(services.hub, claim, list(kinds), LEASE_S)
        if job is None:
            break
        await _run_job(services, kinds[job.kind], job, claim)
        run += 1
    return run


async def _run_job(services: Services, kind: JobKind, job: ClaimedJob, claim: UUID) -> None:
    began = time.perf_counter()
    if job.attempts > len(RETRY_DELAYS_S) + 1:  # its workers were lost, time and again
        outcome = await _fail(services, job, claim, "Its workers were lost while it ran.")
    else:
        outcome = await _try(services, kind, job, claim)
    log_wide(
        "job.run",
        level=logging.DEBUG if outcome == "done" and job.schedule else logging.INFO,
        job_id=print_id(Kind.JOB, job.id),
        kind=job.kind,
        attempt=job.attempts,
        outcome=outcome,
        duration_ms=round((time.perf_counter() - began) * 1000, 1),
    )


async def _try(services: Services, kind: JobKind, job: ClaimedJob, claim: UUID) -> str:
    limit = asyncio.timeout(kind.timeout_s)
    async with renewed(lambda: renew_job(services.hub, job.id, claim, LEASE_S), LEASE_S):
        try:
            async with limit:
                await kind.run(services, job.args)
        except StoreUnavailable:
            raise  # the lease runs out, and the job is claimed again when the store is back
        except Exception as error:  # whatever it is, it is this job's alone, and told below
            logger.exception("a job failed", extra={"wide": {"kind": job.kind, "job_id": str(job.id)}})
            # A TimeoutError may also be the job's own, of something that it waited for.
            is_late = isinstance(error, TimeoutError) and limit.expired()
            why = (
                f"did not end within {kind.timeout_s:g} s"
                if is_late
                else f"failed with {type(error).__name__}"
            )
            return await _fail(services, job, claim, f"It {why}.")
        return "done" if await end_job(services.hub, job.id, claim) else "lost"


async def _fail(services: Services, job: ClaimedJob, claim: UUID, why: str) -> str:
    is_last = job.attempts > len(RETRY_DELAYS_S)
    delay = None if is_last else RETRY_DELAYS_S[job.attempts - 1]
    if delay is not None and job.every_s is not None:
        delay = min(delay, job.every_s)  # a schedule is not held up longer than it would wait anyway
    told = f"{why} Tried {job.attempts} times."
    if not await fail_job(services.hub, job.id, claim, delay, told):
        return "lost"
    return "dead" if is_last else "retry"
