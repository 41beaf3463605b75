"""Ends of deliveries that the ledger has to know of: exhausted ones, and endpoints that said they are gone.

They are rare, so each tenant's share of a batch is one transaction: the deliveries move, the endpoint is
switched off, its other deliveries are held, and the entries are recorded, announced and mailed, all or
nothing. Must never record an end that did not happen: deliveries whose lease was lost are left out.
"""

import logging
from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

import msgspec

from config.database import Database, Transaction
from config.errors import StoreUnavailable
from engine.notify.notice import NoticeKind
from normalizer.canonical import Json
from normalizer.events import Event
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import EventType, LedgerType
from webhooks.outbound.breaker import rules_of
from webhooks.outbound.claims import Completed, Completion, complete_deliveries
from webhooks.outbound.facts import delivery_event
from webhooks.outbound.health_news import switch_endpoint_off
from webhooks.outbound.health_report import Reporter, Watched
from webhooks.outbound.schedule import Verdict

logger = logging.getLogger("countersign.deliverer")

_ASK_AGAIN_S = 1.0
_RECORDED = frozenset({Verdict.EXHAUSTED.value, Verdict.GONE.value})
_OPERATIONAL = frozenset(type_.value for type_ in EventType if type_.is_operational)
_WATCHED = "SELECT tenant_id, id, url, description, alert_email FROM webhook_endpoints WHERE id = $1"
# One mail speaks for every exhausted delivery of its hour; who takes the turn writes it.
_TAKE_TURN = (
    "UPDATE endpoint_health h SET exhausted_mailed_at = now() FROM webhook_endpoints e"
    " WHERE h.endpoint_id = ANY($1) AND e.id = h.endpoint_id AND e.alert_email <> ''"
    " AND (h.exhausted_mailed_at IS NULL OR h.exhausted_mailed_at < now() - make_interval(secs => $2))"
    " RETURNING e.tenant_id, e.id, e.url, e.description, e.alert_email"
)


def needs_ledger(completion: Completion) -> bool:
    return completion.outcome in _RECORDED


async def settle(hub: Database, reporter: Reporter, completions: Sequence[Completion]) -> Completed:
    """Writes completions that need the ledger. What one tenant's ledger or keys refuse is lost: its lease runs out,
    and nobody else's end is undone.
    """
    lost: list[UUID] = []
    news: list[UUID] = []
    freed: list[UUID] = []
    in_order = sorted(completions, key=_tenant)
    for tenant_id, share in groupby(in_order, key=_tenant):
        batch = list(share)
        try:
            async with hub.transaction(tenant_id) as tx:
                completed = await _settle_tenant(tx, reporter, batch)
                await tx.commit()
        except StoreUnavailable:
            raise
        except Exception:  # whatever one tenant's ledger or keys say
            logger.exception("ends of deliveries of tenant %s could not be recorded", tenant_id)
            completed = Completed([completion.claim.id for completion in batch], [])
        lost += completed.lost
        news += completed.news
        freed += completed.freed
    return Completed(lost, news, freed)


def _tenant(completion: Completion) -> UUID:
    return completion.claim.tenant_id


async def _settle_tenant(tx: Transaction, reporter: Reporter, completions: list[Completion]) -> Completed:
    completions = await _doubt_stale(tx, completions)
    gone = sorted(_gone_of(completions))
    completed = await complete_deliveries(tx.driver, completions, rules_of(reporter.settings))
    moved = [completion for completion in completions if completion.claim.id not in completed.lost]
    exhausted = [completion for completion in moved if completion.outcome == Verdict.EXHAUSTED.value]
    events = [_exhausted(completion, reporter) for completion in exhausted]
    for endpoint_id in gone:
        witness = next((c for c in moved if c.claim.endpoint_id == endpoint_id), None)
        if witness is not None:
            events += await _switch_off(tx, witness, reporter)
    await mail_exhausted(
        tx, reporter, {c.claim.endpoint_id for c in exhausted if not is_operational(c.claim.type)}
    )
    if events:
        await reporter.recorder.record(tx, events)
    return completed


def _gone_of(completions: Sequence[Completion]) -> set[UUID]:
    return {c.claim.endpoint_id for c in completions if c.outcome == Verdict.GONE.value}


async def _doubt_stale(tx: Transaction, completions: list[Completion]) -> list[Completion]:
    """Locks the endpoints that are said to be gone. Where one was changed after the claim, the answer may be the
    former address's: it is asked again.
    """
    gone = sorted(_gone_of(completions))
    if not gone:
        return completions
    # Endpoints before deliveries, as everybody else does.
    rows = await tx.driver.fetch(
        "SELECT id, revision FROM webhook_endpoints WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE", gone
    )
    revisions = {row["id"]: row["revision"] for row in rows}
    return [
        msgspec.structs.replace(c, state="pending", outcome=Verdict.RETRY.value, delay_s=_ASK_AGAIN_S)
        if c.outcome == Verdict.GONE.value
        and revisions.get(c.claim.endpoint_id, c.claim.revision) != c.claim.revision
        else c
        for c in completions
    ]


async def mail_exhausted(tx: Transaction, reporter: Reporter, endpoint_ids: set[UUID]) -> None:
    """Tells whoever watches these endpoints, unless they were told lately."""
    if not endpoint_ids:
        return
    rows = await tx.driver.fetch(_TAKE_TURN, sorted(endpoint_ids), reporter.settings.exhausted_mail_every_s)
    for row in rows:
        await reporter.put_mail(tx, NoticeKind.DELIVERY_EXHAUSTED, Watched(*row))


def is_operational(event_type: str) -> bool:
    """That one of these could not be delivered is told to nobody."""
    return event_type in _OPERATIONAL


def exhausted_event(
    reporter: Reporter,
    *,
    tenant_id: UUID,
    delivery_id: UUID,
    endpoint_id: UUID,
    event_id: UUID,
    event_type: str,
    envelope_id: UUID | None,
    sequence: int,
    facts: dict[str, Json],
) -> Event:
    """A delivery that was given up, for the ledger and for whoever wants to hear of it."""
    facts = {"event_type": event_type, "sequence": sequence, **facts}
    if envelope_id is not None:
        facts["envelope_id"] = print_id(Kind.ENVELOPE, envelope_id)
    return delivery_event(
        LedgerType.DELIVERY_EXHAUSTED,
        reporter.ids,
        reporter.clock.now(),
        tenant_id=tenant_id,
        delivery_id=delivery_id,
        endpoint_id=endpoint_id,
        event_id=event_id,
        facts=facts,
        announcement={
            "delivery_id": print_id(Kind.DELIVERY, delivery_id),
            "endpoint_id": print_id(Kind.ENDPOINT, endpoint_id),
            "event_id": print_id(Kind.EVENT, event_id),
            **facts,
        },
    )


def _exhausted(completion: Completion, reporter: Reporter) -> Event:
    claim = completion.claim
    return exhausted_event(
        reporter,
        tenant_id=claim.tenant_id,
        delivery_id=claim.id,
        endpoint_id=claim.endpoint_id,
        event_id=claim.event_id,
        event_type=claim.type,
        envelope_id=claim.envelope_id,
        sequence=claim.sequence,
        facts={"attempts": completion.attempt, "last_status": completion.status},
    )


async def _switch_off(tx: Transaction, witness: Completion, reporter: Reporter) -> list[Event]:
    claim = witness.claim
    reason = witness.error[:200]  # it begins with what was answered
    held = await switch_endpoint_off(tx, claim.tenant_id, claim.endpoint_id, reason)
    if held is None:
        return []
    row = await tx.driver.fetchrow(_WATCHED, claim.endpoint_id)
    if row is not None:
        await reporter.put_mail(tx, NoticeKind.ENDPOINT_DISABLED, Watched(*row), reason)
    facts: dict[str, Json] = {
        "reason": "the endpoint said that it is gone",
        "last_status": witness.status,
        "delivery_id": print_id(Kind.DELIVERY, claim.id),
        "held": held,
    }
    return [reporter.endpoint_event(LedgerType.ENDPOINT_DISABLED, claim.tenant_id, claim.endpoint_id, facts)]
