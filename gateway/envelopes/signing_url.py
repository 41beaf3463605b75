"""Makes the link by which an embedded recipient signs now. It is a secret: handed out once, never stored."""

from urllib.parse import urlsplit
from uuid import UUID

from gateway.envelopes.facts import recipient_event
from gateway.envelopes.outgoing import outgoing_recipient
from gateway.envelopes.provider_call import call_provider, require_done
from gateway.envelopes.store import load_envelope
from gateway.services import Caller, Services
from normalizer.errors import Finding, InvalidTransition, NotFound, UnsupportedFeature, ValidationFailed
from normalizer.ids import Kind, print_id
from normalizer.recipient import Role
from normalizer.status import IN_FLIGHT
from normalizer.vocabulary import LedgerType


async def make_signing_url(
    services: Services,
    caller: Caller,
    envelope_id: UUID,
    recipient_id: UUID,
    return_url: str,
    origins: tuple[str, ...] = (),
) -> str:
    """`origins` are those that may frame the page. Raises NotFound, ValidationFailed, UnsupportedFeature for
    origins at a provider that knows none, InvalidTransition when it is not this recipient's time.
    """
    parts = urlsplit(return_url)
    if parts.scheme not in {"https", "http"} or not parts.hostname or len(return_url) > 470:
        raise ValidationFailed(
            "The page to come back to is no web address.",
            (Finding("/return_url", "An absolute address of at most 470 characters, please."),),
        )
    if parts.scheme == "http" and services.settings.is_production:
        raise ValidationFailed(
            "The page to come back to must be https.", (Finding("/return_url", "Use https."),)
        )
    envelope = await load_envelope(services.database, caller.tenant_id, envelope_id)
    recipient = envelope.recipient(recipient_id)
    if recipient is None:
        raise NotFound("recipient", print_id(Kind.RECIPIENT, recipient_id))
    if envelope.status not in IN_FLIGHT:
        raise InvalidTransition(
            envelope.status, "signed", f"An envelope that is {envelope.status} cannot be signed."
        )
    if recipient.status.is_terminal or not Role(recipient.role).acts:
        raise InvalidTransition(recipient.status, "signed", "This recipient has nothing to do.")
    provider = envelope.provider or ""
    if origins and not services.adapters[provider].capabilities.frame_origins:
        raise UnsupportedFeature(provider, "origins of a signing URL")
    outgoing = await outgoing_recipient(services, envelope, recipient)
    outcome = await call_provider(
        services,
        envelope,
        "signing_url",
        lambda adapter, exchange, connection, ref: adapter.signing_url(
            exchange, connection, ref, outgoing, return_url, origins
        ),
    )
    url = require_done(provider, outcome)
    async with services.database.transaction(caller.tenant_id) as tx:
        event = recipient_event(
            services, LedgerType.ACCESS_TOKEN_GENERATED, envelope, recipient, caller.actor, caller.source
        )
        await services.recorder.record(tx, [event])
        await tx.commit()
    return url
