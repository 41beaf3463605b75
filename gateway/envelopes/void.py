"""Withdraws an envelope: a draft by itself, one in flight at its provider."""

from uuid import UUID

from adapters.kit.outcome import Done, Unknown
from gateway.envelopes.apply_report import apply_report
from gateway.envelopes.model import DispatchState, StoredEnvelope
from gateway.envelopes.provider_call import call_provider, require_done
from gateway.envelopes.store import load_envelope, lock_envelope
from gateway.services import Caller, Services
from normalizer.envelope import EnvelopeReport
from normalizer.errors import Finding, InvalidTransition, ValidationFailed
from normalizer.status import VOIDABLE, EnvelopeStatus

# DocuSign cuts a reason at 200 characters; one limit for all keeps the reason the same everywhere.
MAX_REASON = 200


async def void_envelope(services: Services, caller: Caller, envelope_id: UUID, reason: str) -> EnvelopeStatus:
    """The status afterwards: VOIDED, or another end that the provider reached first.

    Raises ValidationFailed without a reason, InvalidTransition for an envelope that has ended or whose
    dispatch is not settled, OutcomeUnknown when the provider gave no answer and a look-up brought none.
    """
    reason = reason.strip()
    if not 1 <= len(reason) <= MAX_REASON:
        raise ValidationFailed(
            "Voiding needs a reason.", (Finding("/reason", f"1 to {MAX_REASON} characters, please."),)
        )
    envelope = await load_envelope(services.database, caller.tenant_id, envelope_id)
    _check_voidable(envelope)
    if envelope.status is EnvelopeStatus.DRAFT:
        report = EnvelopeReport(
            provider_ref="", status=EnvelopeStatus.VOIDED, provider_status="", reason=reason
        )
    else:
        report = await _void_at_provider(services, envelope, reason)
    async with services.database.transaction(caller.tenant_id) as tx:
        locked = await lock_envelope(tx, caller.tenant_id, envelope_id)
        if envelope.status is EnvelopeStatus.DRAFT:
            _check_voidable(locked)
            if locked.status is not EnvelopeStatus.DRAFT:
                raise InvalidTransition(locked.status, "voided", "The draft was sent at the same moment.")
        applied = await apply_report(services, tx, locked, report, caller.actor, caller.source)
        await tx.commit()
    return applied.envelope.status


async def _void_at_provider(services: Services, envelope: StoredEnvelope, reason: str) -> EnvelopeReport:
    provider = envelope.provider or ""
    outcome = await call_provider(
        services,
        envelope,
        "void_envelope",
        lambda adapter, exchange, connection, ref: adapter.void_envelope(exchange, connection, ref, reason),
    )
    if isinstance(outcome, Unknown):
        # Voiding twice does no harm, but saying "voided" without knowing would: ask.
        seen = await call_provider(
            services,
            envelope,
            "get_envelope",
            lambda adapter, exchange, connection, ref: adapter.get_envelope(exchange, connection, ref),
        )
        if isinstance(seen, Done) and seen.value.status.is_terminal:
            return seen.value
    return require_done(provider, outcome)


def _check_voidable(envelope: StoredEnvelope) -> None:
    is_prepared = (
        envelope.status is EnvelopeStatus.PROCESSING and envelope.dispatch_state == DispatchState.SETTLED
    )
    if envelope.status in VOIDABLE or is_prepared:
        return
    detail = f"An envelope that is {envelope.status} cannot be voided."
    if envelope.status is EnvelopeStatus.PROCESSING:
        detail = "The provider's answer is still open; void the envelope when it is known."
    raise InvalidTransition(envelope.status, EnvelopeStatus.VOIDED, detail)
