"""Sends a draft: check, choose, pin, call, settle."""

from uuid import UUID

from gateway.claims import Claim, advance_claim
from gateway.envelopes.dispatch import pin_route
from gateway.envelopes.plan import Plan
from gateway.envelopes.route import choose_route
from gateway.envelopes.store import load_envelope, lock_envelope
from gateway.services import Caller, Services
from normalizer.errors import Conflict
from normalizer.status import EnvelopeStatus, check_move


async def plan_send(
    services: Services, caller: Caller, envelope_id: UUID, claim: Claim | None = None
) -> Plan:
    """Pins the dispatch of a draft; `carry_out` does it. Raises ValidationFailed with everything missing,
    InvalidTransition when it is no draft, Conflict when somebody edits it at the same moment.
    """
    seen = await load_envelope(services.database, caller.tenant_id, envelope_id)
    check_move(seen.status, EnvelopeStatus.PROCESSING)
    route = await choose_route(services, seen)
    async with services.database.transaction(caller.tenant_id) as tx:
        envelope = await lock_envelope(tx, caller.tenant_id, envelope_id)
        check_move(envelope.status, EnvelopeStatus.PROCESSING)
        if envelope.version != seen.version:
            raise Conflict("The draft was changed while it was being sent.", remedy="Send it again.")
        plan, event = await pin_route(services, tx, caller, envelope, route)
        await advance_claim(tx, claim, caller.tenant_id, envelope_id)
        await services.recorder.record(tx, [event])
        await tx.commit()
    return plan
