"""Corrects a recipient of an envelope in flight: another name or another address."""

from typing import Annotated, Any
from uuid import UUID

import msgspec

from adapters.kit.port import RecipientCorrection
from gateway.envelopes.draft import is_email
from gateway.envelopes.facts import envelope_event, recipient_event
from gateway.envelopes.outgoing import outgoing_recipient
from gateway.envelopes.provider_call import call_provider, require_done
from gateway.envelopes.store import change_recipient, load_envelope, lock_envelope
from gateway.services import Caller, Services
from normalizer.canonical import Json
from normalizer.errors import Finding, InvalidTransition, NotFound, ValidationFailed
from normalizer.ids import Kind, print_id
from normalizer.status import IN_FLIGHT, RecipientStatus
from normalizer.vocabulary import LedgerType


class CorrectionInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At least one of the two; what is left out stays."""

    name: Annotated[str, msgspec.Meta(max_length=100)] = ""
    email: Annotated[str, msgspec.Meta(max_length=200)] = ""


async def correct_recipient(
    services: Services, caller: Caller, envelope_id: UUID, recipient_id: UUID, given: CorrectionInput
) -> None:
    """Changes the recipient at the provider and here.

    Raises NotFound, UnsupportedFeature, InvalidTransition unless envelope and recipient are in flight.
    """
    if not given.name and not given.email:
        raise ValidationFailed("Nothing to correct was named.", code="empty_change")
    if given.email and not is_email(given.email):
        raise ValidationFailed(
            "The correction cannot be taken.", (Finding("/email", "Not an e-mail address."),)
        )
    envelope = await load_envelope(services.database, caller.tenant_id, envelope_id)
    recipient = envelope.recipient(recipient_id)
    if recipient is None:
        raise NotFound("recipient", print_id(Kind.RECIPIENT, recipient_id))
    if envelope.status not in IN_FLIGHT:
        raise InvalidTransition(
            envelope.status, "corrected", f"An envelope that is {envelope.status} is not corrected."
        )
    if recipient.status.is_terminal:
        raise InvalidTransition(recipient.status, "corrected", f"This recipient is {recipient.status}.")
    correction = RecipientCorrection(
        recipient=await outgoing_recipient(services, envelope, recipient),
        name=given.name if given.name != recipient.name else "",
        email=given.email if given.email.lower() != recipient.email.lower() else "",
    )
    outcome = await call_provider(
        services,
        envelope,
        "correct_recipient",
        lambda adapter, exchange, connection, ref: adapter.correct_recipient(
            exchange, connection, ref, correction
        ),
    )
    require_done(envelope.provider or "", outcome)
    changes: dict[str, Any] = {"name": given.name or recipient.name, "email": given.email or recipient.email}
    if correction.email:
        # Somebody else is asked now: what the former address did does not count for the new one.
        changes |= {"status": str(RecipientStatus.SENT), "delivered_at": None}
    async with services.database.transaction(caller.tenant_id) as tx:
        locked = await lock_envelope(tx, caller.tenant_id, envelope_id)
        await change_recipient(tx, caller.tenant_id, recipient_id, changes)
        after = msgspec.structs.replace(recipient, name=changes["name"], email=changes["email"])
        facts: dict[str, Json] = {
            "changed": tuple(word for word in ("email", "name") if getattr(correction, word))
        }
        kind = LedgerType.RECIPIENT_REPLACED if correction.email else LedgerType.RECIPIENT_CHANGED
        await services.recorder.record(
            tx,
            [
                recipient_event(services, kind, locked, after, caller.actor, caller.source, facts=facts),
                envelope_event(
                    services, LedgerType.ENVELOPE_CORRECTED, locked, caller.actor, caller.source, facts=facts
                ),
            ],
        )
        await tx.commit()
