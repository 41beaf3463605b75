"""Every kind of background job: what it does, how often it recurs, how long it may take.

A handler gets the services and the job's args (ids only). It MUST be idempotent: a job may run twice, whole or
in part. It works in bounded slices; what is left is found by its next run.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import msgspec

from config.settings import Settings
from engine.certificates.alarms import alarm_due
from engine.engine import Engine
from engine.envelopes.due import expire_due, remind_due, warn_due
from engine.notify.outbox import SEND_NOTICES
from engine.notify.send import send_due
from engine.sealing.job import seal_due
from engine.sealing.own_signatures import SIGN_RECIPIENTS
from engine.sealing.renew import renew_due
from engine.sealing.sign_recipients import sign_due
from gateway.envelopes.catch_up import catch_up_due
from gateway.envelopes.examination import settle_due
from gateway.envelopes.reconcile import reconcile_due
from gateway.envelopes.sweep_changes import sweep_changes_due
from gateway.envelopes.verify_blobs import verify_due
from gateway.jobs.inbox import make_processor
from gateway.jobs.store import Args
from gateway.services import Services
from gateway.tenants.keep_alive import keep_alive_due
from gateway.tenants.webhook_checks import check_webhooks_due
from webhooks.inbound import store as inbox
from webhooks.inbound.refusals import record_refusals
from webhooks.outbound.retention import reap_outbound

_REAP_PAGE = 1000
_MESSAGE_PAGES = 100  # of one run: an hour's share of what is old


Handler = Callable[[Services, Args], Awaitable[object]]


class JobKind(msgspec.Struct, frozen=True, kw_only=True):
    """`every_s` None: only on request."""

    run: Handler
    timeout_s: float
    every_s: Callable[[Settings], float] | None = None


def _run(work: Callable[[Services], Awaitable[object]]) -> Handler:
    """One slice of work that needs no args."""

    async def handle(services: Services, _: Args) -> None:
        await work(services)

    return handle


def _run_out(work: Callable[[Services], Awaitable[int]]) -> Handler:
    """Slice after slice, until one finds nothing due."""

    async def handle(services: Services, _: Args) -> None:
        while await work(services):
            pass

    return handle


def _in_engine(work: Callable[[Engine], Awaitable[object]]) -> Handler:
    """One slice of the signing engine's work."""
    return _run(lambda services: work(services.engine))


async def _process_inbox(services: Services, _: Args) -> None:
    await make_processor(services).process_due()


async def _sweep_parked(services: Services, _: Args) -> None:
    if await inbox.wake_parked(services.hub):
        await make_processor(services).process_due()


async def _send_notices(services: Services, _: Args) -> None:
    await send_due(services.engine, services.carriers)


async def _replay(services: Services, _: Args) -> None:
    """Five seconds of it at a time, so that other jobs get their turn."""
    await services.replay_runner.run_due()


async def _flush_refusals(services: Services, _: Args) -> None:
    await record_refusals(services.hub, services.recorder, services.ids, services.clock)


async def _reap_idempotency_keys(services: Services, _: Args) -> None:
    abandoned_s = services.settings.idempotency.retention_s
    while await services.hub.fetchval("SELECT reap_idempotency_keys($1, $2)", _REAP_PAGE, abandoned_s):
        pass


async def _reap_old_rows(services: Services, _: Args) -> None:
    """Jobs that succeeded, refusals that are in the ledger, messages that ended long ago. Facts stay: they keep a
    redelivery from having its effect again.
    """
    kept_days = services.settings.inbox.done_kept_days
    for _page in range(_MESSAGE_PAGES):
        if await inbox.reap_messages(services.hub, _REAP_PAGE, kept_days) < _REAP_PAGE:
            break
    await services.hub.execute(
        "DELETE FROM jobs WHERE state = 'done' AND finished_at < clock_timestamp() - interval '7 days'"
    )
    await services.hub.execute(
        "DELETE FROM inbound_refusals WHERE recorded = refused"
        " AND minute < clock_timestamp() - interval '30 days'"
    )
    await services.hub.execute("DELETE FROM replay_jobs WHERE finished_at < now() - interval '90 days'")
    await services.hub.execute(
        "DELETE FROM portal_sessions WHERE ended_at IS NOT NULL OR last_at < now()"
        " OR (started_at IS NULL AND link_until < now())"
    )
    await services.hub.execute(
        "DELETE FROM engine_notices WHERE ended_at < now() - make_interval(days => $1)",
        services.settings.notices.kept_days,
    )
    await services.hub.execute(
        "DELETE FROM drift_findings WHERE seen_at < now() - make_interval(days => $1)",
        services.settings.sweep.findings_kept_days,
    )


async def _reap_outbound(services: Services, _: Args) -> None:
    """Webhook attempts, and what has been delivered, when their time of keeping is over."""
    await reap_outbound(services.hub, services.settings.retention)


async def _reap_access(services: Services, _: Args) -> None:
    """Counters, codes and sessions of the ceremony that have served."""
    await services.hub.execute("SELECT reap_access($1)", services.clock.now())


KINDS: Mapping[str, JobKind] = MappingProxyType(
    {
        "process_inbox": JobKind(run=_process_inbox, timeout_s=300, every_s=lambda _: 2.0),
        "sweep_parked": JobKind(run=_sweep_parked, timeout_s=300, every_s=lambda _: 5.0),
        "reconcile": JobKind(
            run=_run(reconcile_due), timeout_s=3600, every_s=lambda settings: settings.dispatch.sweep_every_s
        ),
        "catch_up": JobKind(
            run=_run(catch_up_due),
            timeout_s=600,
            every_s=lambda settings: settings.dispatch.catch_up_after_s / 60,
        ),
        "sweep_changes": JobKind(run=_run_out(sweep_changes_due), timeout_s=3600, every_s=lambda _: 10.0),
        "check_webhooks": JobKind(run=_run_out(check_webhooks_due), timeout_s=3600, every_s=lambda _: 60.0),
        "keep_alive": JobKind(run=_run(keep_alive_due), timeout_s=3600, every_s=lambda _: 3600.0),
        "expire_envelopes": JobKind(run=_in_engine(expire_due), timeout_s=600, every_s=lambda _: 30.0),
        "remind_recipients": JobKind(run=_in_engine(remind_due), timeout_s=600, every_s=lambda _: 60.0),
        "warn_of_expiry": JobKind(run=_in_engine(warn_due), timeout_s=600, every_s=lambda _: 300.0),
        SEND_NOTICES: JobKind(run=_send_notices, timeout_s=300, every_s=lambda _: 2.0),
        "seal": JobKind(run=_in_engine(seal_due), timeout_s=1800, every_s=lambda _: 5.0),
        SIGN_RECIPIENTS: JobKind(run=_in_engine(sign_due), timeout_s=1800, every_s=lambda _: 5.0),
        "alarm_certificates": JobKind(run=_in_engine(alarm_due), timeout_s=600, every_s=lambda _: 3600.0),
        "renew_seals": JobKind(run=_in_engine(renew_due), timeout_s=3600, every_s=lambda _: 3600.0),
        "replay": JobKind(run=_replay, timeout_s=120, every_s=lambda _: 1.0),
        "flush_refusals": JobKind(run=_flush_refusals, timeout_s=120, every_s=lambda _: 30.0),
        "reap_idempotency_keys": JobKind(run=_reap_idempotency_keys, timeout_s=600, every_s=lambda _: 600.0),
        "examine_documents": JobKind(run=_run(settle_due), timeout_s=1800, every_s=lambda _: 10.0),
        "verify_documents": JobKind(run=_run(verify_due), timeout_s=3600, every_s=lambda _: 3600.0),
        "reap_access": JobKind(run=_reap_access, timeout_s=600, every_s=lambda _: 3600.0),
        "reap_outbound": JobKind(run=_reap_outbound, timeout_s=1800, every_s=lambda _: 3600.0),
        "reap_old_rows": JobKind(run=_reap_old_rows, timeout_s=600, every_s=lambda _: 3600.0),
    }
)


def schedules(settings: Settings) -> dict[str, float]:
    """Seconds between two runs of every kind that recurs."""
    return {name: kind.every_s(settings) for name, kind in KINDS.items() if kind.every_s is not None}
