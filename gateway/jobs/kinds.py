"""Every kind of background job: what it does, how often it recurs, how long it may take.

A handler gets the services and the job's args (ids only). It MUST be idempotent: a job may run twice, whole or
in part. It works in bounded slices; what is left is found by its next run.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import msgspec

from config.settings import Settings
from gateway.envelopes.catch_up import catch_up_due
from gateway.envelopes.reconcile import reconcile_due
from gateway.jobs.inbox import make_processor
from gateway.jobs.store import Args
from gateway.services import Services
from webhooks.inbound import store as inbox
from webhooks.inbound.refusals import record_refusals

_REAP_PAGE = 1000


class JobKind(msgspec.Struct, frozen=True, kw_only=True):
    """`every_s` None: only on request."""

    run: Callable[[Services, Args], Awaitable[object]]
    timeout_s: float
    every_s: Callable[[Settings], float] | None = None


async def _process_inbox(services: Services, _: Args) -> None:
    await make_processor(services).process_due()


async def _sweep_parked(services: Services, _: Args) -> None:
    if await inbox.wake_parked(services.hub):
        await make_processor(services).process_due()


async def _reconcile(services: Services, _: Args) -> None:
    await reconcile_due(services)


async def _catch_up(services: Services, _: Args) -> None:
    await catch_up_due(services)


async def _flush_refusals(services: Services, _: Args) -> None:
    await record_refusals(services.hub, services.recorder, services.ids, services.clock)


async def _reap_idempotency_keys(services: Services, _: Args) -> None:
    abandoned_s = services.settings.idempotency.retention_s
    while await services.hub.fetchval("SELECT reap_idempotency_keys($1, $2)", _REAP_PAGE, abandoned_s):
        pass


async def _reap_old_rows(services: Services, _: Args) -> None:
    """Jobs that succeeded, and refusals that are in the ledger. Messages and facts stay: they prove."""
    await services.hub.execute(
        "DELETE FROM jobs WHERE state = 'done' AND finished_at < clock_timestamp() - interval '7 days'"
    )
    await services.hub.execute(
        "DELETE FROM inbound_refusals WHERE recorded = refused"
        " AND minute < clock_timestamp() - interval '30 days'"
    )


KINDS: Mapping[str, JobKind] = MappingProxyType(
    {
        "process_inbox": JobKind(run=_process_inbox, timeout_s=300, every_s=lambda _: 2.0),
        "sweep_parked": JobKind(run=_sweep_parked, timeout_s=300, every_s=lambda _: 5.0),
        "reconcile": JobKind(
            run=_reconcile, timeout_s=3600, every_s=lambda settings: settings.dispatch.sweep_every_s
        ),
        "catch_up": JobKind(
            run=_catch_up, timeout_s=600, every_s=lambda settings: settings.dispatch.catch_up_after_s / 60
        ),
        "flush_refusals": JobKind(run=_flush_refusals, timeout_s=120, every_s=lambda _: 30.0),
        "reap_idempotency_keys": JobKind(run=_reap_idempotency_keys, timeout_s=600, every_s=lambda _: 600.0),
        "reap_old_rows": JobKind(run=_reap_old_rows, timeout_s=600, every_s=lambda _: 3600.0),
    }
)


def schedules(settings: Settings) -> dict[str, float]:
    """Seconds between two runs of every kind that recurs."""
    return {name: kind.every_s(settings) for name, kind in KINDS.items() if kind.every_s is not None}
