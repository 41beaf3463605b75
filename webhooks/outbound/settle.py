"""Ends of deliveries that the ledger has to know of: exhausted ones, and endpoints that said they are gone.

They are rare, so each tenant's share of a batch is one transaction: the deliveries move, the endpoint is
switched off, its other deliveries are held, and the entries are recorded, all or nothing. Must never record
an end that did not happen: deliveries whose lease was lost are left out.
"""

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from config.clock import Clock
from config.database import Database, Transaction
from normalizer.canonical import Json
from normalizer.events import Event
from normalizer.ids import Ids, Kind, print_id
from normalizer.vocabulary import LedgerType
from webhooks.outbound.claims import Completion, complete_deliveries
from webhooks.outbound.facts import delivery_event, endpoint_event
from webhooks.outbound.ports import RecordEvents
from webhooks.outbound.schedule import Verdict

_SWITCH_OFF = (
    "UPDATE webhook_endpoints SET active = false, disabled_reason = $2, revision = revision + 1,"
    " updated_at = clock_timestamp() WHERE id = $1 AND active RETURNING id"
)
_RECORDED = frozenset({Verdict.EXHAUSTED.value, Verdict.GONE.value})


def needs_ledger(completion: Completion) -> bool:
    return completion.outcome in _RECORDED


async def settle(
    hub: Database, recorder: RecordEvents, completions: Sequence[Completion], ids: Ids, clock: Clock
) -> list[UUID]:
    """Writes completions that need the ledger; the ids of those whose lease had been lost."""
    lost: list[UUID] = []
    in_order = sorted(completions, key=_tenant)
    for tenant_id, share in groupby(in_order, key=_tenant):
        async with hub.transaction(tenant_id) as tx:
            lost += await _settle_tenant(tx, recorder, list(share), ids, clock)
            await tx.commit()
    return lost


def _tenant(completion: Completion) -> UUID:
    return completion.claim.tenant_id


async def _settle_tenant(
    tx: Transaction, recorder: RecordEvents, completions: list[Completion], ids: Ids, clock: Clock
) -> list[UUID]:
    gone = sorted({c.claim.endpoint_id for c in completions if c.outcome == Verdict.GONE.value})
    if gone:
        # Endpoints before deliveries, as everybody else does.
        await tx.driver.execute(
            "SELECT FROM webhook_endpoints WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE", gone
        )
    lost = await complete_deliveries(tx.driver, completions)
    moved = [completion for completion in completions if completion.claim.id not in lost]
    events = [_exhausted(c, ids, clock) for c in moved if c.outcome == Verdict.EXHAUSTED.value]
    for endpoint_id in gone:
        witness = next((c for c in moved if c.claim.endpoint_id == endpoint_id), None)
        if witness is not None:
            events += await _switch_off(tx, witness, ids, clock)
    if events:
        await recorder.record(tx, events)
    return lost


def _exhausted(completion: Completion, ids: Ids, clock: Clock) -> Event:
    claim = completion.claim
    envelope: dict[str, Json] = {}
    if claim.envelope_id is not None:
        envelope["envelope_id"] = print_id(Kind.ENVELOPE, claim.envelope_id)
    return delivery_event(
        LedgerType.DELIVERY_EXHAUSTED,
        ids,
        clock.now(),
        tenant_id=claim.tenant_id,
        delivery_id=claim.id,
        endpoint_id=claim.endpoint_id,
        event_id=claim.event_id,
        facts={
            "attempts": completion.attempt,
            "sequence": claim.sequence,
            "last_status": completion.status,
            **envelope,
        },
    )


async def _switch_off(tx: Transaction, witness: Completion, ids: Ids, clock: Clock) -> list[Event]:
    claim = witness.claim
    reason = f"answered {witness.status}: {witness.error}"[:200]
    if await tx.driver.fetchval(_SWITCH_OFF, claim.endpoint_id, reason) is None:
        return []
    await tx.driver.fetchval("SELECT change_mailbox($1, $2, 'hold')", claim.tenant_id, claim.endpoint_id)
    return [
        endpoint_event(
            LedgerType.ENDPOINT_DISABLED,
            ids,
            clock.now(),
            tenant_id=claim.tenant_id,
            endpoint_id=claim.endpoint_id,
            facts={"last_status": witness.status, "delivery_id": print_id(Kind.DELIVERY, claim.id)},
        )
    ]
