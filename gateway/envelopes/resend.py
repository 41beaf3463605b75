"""Asks outstanding recipients again."""

from uuid import UUID

from gateway.envelopes.facts import envelope_event
from gateway.envelopes.outgoing import outgoing_recipient
from gateway.envelopes.provider_call import call_provider, require_done
from gateway.envelopes.store import load_envelope
from gateway.services import Caller, Services
from normalizer.errors import InvalidTransition, NotFound, ValidationFailed
from normalizer.ids import Kind, print_id
from normalizer.status import IN_FLIGHT
from normalizer.vocabulary import LedgerType


async def resend_envelope(
    services: Services, caller: Caller, envelope_id: UUID, recipient_ids: tuple[UUID, ...], note: str
) -> None:
    """Asks everybody whose turn it is, or only the named recipients.

    Raises NotFound, InvalidTransition unless in flight, ValidationFailed for a recipient who has finished.
    """
    envelope = await load_envelope(services.database, caller.tenant_id, envelope_id)
    named = []
    for recipient_id in recipient_ids:
        recipient = envelope.recipient(recipient_id)
        if recipient is None:
            raise NotFound("recipient", print_id(Kind.RECIPIENT, recipient_id))
        named.append(recipient)
    if envelope.status not in IN_FLIGHT:
        raise InvalidTransition(
            envelope.status, "resent", f"An envelope that is {envelope.status} is not resent."
        )
    finished = [one for one in named if one.status.is_terminal]
    if finished:
        raise ValidationFailed(f"This recipient is {finished[0].status}.", code="recipient_finished")
    chosen = [await outgoing_recipient(services, envelope, one) for one in named]
    outcome = await call_provider(
        services,
        envelope,
        "resend",
        lambda adapter, exchange, connection, ref: adapter.resend(
            exchange, connection, ref, tuple(chosen), note
        ),
    )
    require_done(envelope.provider or "", outcome)
    async with services.database.transaction(caller.tenant_id) as tx:
        event = envelope_event(
            services,
            LedgerType.ENVELOPE_RESENT,
            envelope,
            caller.actor,
            caller.source,
            facts={"recipients": [print_id(Kind.RECIPIENT, one) for one in recipient_ids]},
        )
        await services.recorder.record(tx, [event])
        await tx.commit()
