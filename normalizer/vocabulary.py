"""The one table of words: what a fact is called in the ledger, in a webhook, and in the design documents.

Ledger names follow the two design documents; where both name the same fact, one is the entry's type and the
other stands under `also`. Must never lose a row: a type that is gone makes old ledgers unreadable.
"""

from enum import StrEnum

import msgspec


class EventType(StrEnum):
    """Webhook types, in the form that Standard Webhooks asks for."""

    ENVELOPE_CREATED = "envelope.created"
    ENVELOPE_SENT = "envelope.sent"
    ENVELOPE_DELIVERED = "envelope.delivered"
    ENVELOPE_SIGNED = "envelope.signed"
    ENVELOPE_COMPLETED = "envelope.completed"
    ENVELOPE_DECLINED = "envelope.declined"
    ENVELOPE_VOIDED = "envelope.voided"
    ENVELOPE_EXPIRED = "envelope.expired"
    ENVELOPE_FAILED = "envelope.failed"
    ENVELOPE_CORRECTED = "envelope.corrected"
    ENVELOPE_RESENT = "envelope.resent"
    ENVELOPE_REMINDED = "envelope.reminded"
    ENVELOPE_PURGED = "envelope.purged"
    ENVELOPE_DELETED = "envelope.deleted"
    RECIPIENT_SENT = "recipient.sent"
    RECIPIENT_DELIVERED = "recipient.delivered"
    RECIPIENT_COMPLETED = "recipient.completed"
    RECIPIENT_DECLINED = "recipient.declined"
    RECIPIENT_DELEGATED = "recipient.delegated"
    RECIPIENT_REPLACED = "recipient.replaced"
    RECIPIENT_BOUNCED = "recipient.bounced"
    RECIPIENT_AUTHENTICATED = "recipient.authenticated"
    RECIPIENT_AUTH_FAILED = "recipient.auth_failed"
    ENDPOINT_TEST = "endpoint.test"


class LedgerType(StrEnum):
    """What a ledger entry records."""

    ENVELOPE_CREATED = "envelope_created"
    ENVELOPE_ROUTED = "envelope_routed"
    ENVELOPE_SENT = "envelope_sent"
    ENVELOPE_DELIVERED = "envelope_delivered"
    ENVELOPE_SIGNED = "envelope_signed"
    ENVELOPE_COMPLETED = "envelope_completed"
    ENVELOPE_DECLINED = "envelope_declined"
    ENVELOPE_VOIDED = "envelope_voided"
    ENVELOPE_EXPIRED = "envelope_expired"
    ENVELOPE_FAILED = "envelope_failed"
    ENVELOPE_CORRECTED = "envelope_corrected"
    ENVELOPE_MODIFIED = "envelope_modified"
    ENVELOPE_RESENT = "envelope_resent"
    ENVELOPE_REMINDED = "envelope_reminded"
    ENVELOPE_PURGED = "envelope_purged"
    ENVELOPE_DELETED = "envelope_deleted"
    DISPATCH_REJECTED = "dispatch_rejected"
    DISPATCH_UNKNOWN = "dispatch_unknown"
    DISPATCH_RECONCILED = "dispatch_reconciled"
    DOCUMENT_UPLOADED = "document_uploaded"
    DOCUMENT_ADDED = "document_added"
    DOCUMENT_REMOVED = "document_removed"
    DOCUMENT_DOWNLOADED = "document_downloaded"
    DOCUMENT_MODIFIED = "document_modified"
    FIELD_ADDED = "field_added"
    FIELD_CHANGED = "field_changed"
    FIELD_REMOVED = "field_removed"
    RECIPIENT_ADDED = "recipient_added"
    RECIPIENT_CHANGED = "recipient_changed"
    RECIPIENT_REMOVED = "recipient_removed"
    SIGNATURE_REQUESTED = "signature_requested"
    RECIPIENT_VIEWED = "recipient_viewed"
    RECIPIENT_COMPLETED = "recipient_completed"
    RECIPIENT_DECLINED = "recipient_declined"
    SIGNATURE_DELEGATED = "signature_delegated"
    RECIPIENT_REPLACED = "recipient_replaced"
    RECIPIENT_BOUNCED = "recipient_bounced"
    ACCESS_TOKEN_GENERATED = "access_token_generated"  # noqa: S105 - the name of an event
    RECIPIENT_AUTHENTICATED = "authentication_success"
    RECIPIENT_AUTH_FAILED = "authentication_failed"
    TENANT_CREATED = "tenant_created"
    TENANT_CHANGED = "tenant_changed"
    USER_CREATED = "user_created"
    USER_CHANGED = "user_changed"
    API_KEY_CREATED = "api_key_created"
    API_KEY_REVOKED = "api_key_revoked"
    CONNECTION_CREATED = "connection_created"
    CONNECTION_CHANGED = "connection_changed"
    ROUTING_CHANGED = "routing_changed"
    PROVIDER_SWITCHED = "provider_switched"
    ENDPOINT_CREATED = "endpoint_created"
    ENDPOINT_CHANGED = "endpoint_changed"
    ENDPOINT_DELETED = "endpoint_deleted"
    ENDPOINT_DISABLED = "endpoint_disabled"
    ENDPOINT_SECRET_ROTATED = "endpoint_secret_rotated"  # noqa: S105 - the name of an event
    ENDPOINT_TESTED = "endpoint_tested"
    DELIVERY_EXHAUSTED = "delivery_exhausted"
    DELIVERY_REPLAYED = "delivery_replayed"
    INBOUND_REFUSED = "inbound_refused"
    INBOUND_UNPROCESSABLE = "inbound_unprocessable"
    INBOUND_REPLAYED = "inbound_replayed"
    MASTER_KEY_ROTATED = "master_key_rotated"


class Word(msgspec.Struct, frozen=True):
    """`also`: the design documents' other names for the same fact."""

    ledger: LedgerType
    webhook: EventType | None
    meaning: str
    also: tuple[str, ...] = ()


_L, _E = LedgerType, EventType
_ANNOUNCED = (
    Word(_L.ENVELOPE_CREATED, _E.ENVELOPE_CREATED, "An envelope was made."),
    Word(
        _L.ENVELOPE_SENT,
        _E.ENVELOPE_SENT,
        "The provider has taken the envelope and asks the first recipients.",
    ),
    Word(_L.ENVELOPE_DELIVERED, _E.ENVELOPE_DELIVERED, "Everybody whose turn it is has opened the envelope."),
    Word(_L.ENVELOPE_SIGNED, _E.ENVELOPE_SIGNED, "A first recipient has finished, others are still to act."),
    Word(
        _L.ENVELOPE_COMPLETED, _E.ENVELOPE_COMPLETED, "Every recipient has finished.", ("workflow_completed",)
    ),
    Word(_L.ENVELOPE_DECLINED, _E.ENVELOPE_DECLINED, "A recipient declined and the envelope ended."),
    Word(
        _L.ENVELOPE_VOIDED, _E.ENVELOPE_VOIDED, "The sender withdrew the envelope.", ("workflow_cancelled",)
    ),
    Word(_L.ENVELOPE_EXPIRED, _E.ENVELOPE_EXPIRED, "The envelope's time ran out.", ("workflow_expired",)),
    Word(_L.ENVELOPE_FAILED, _E.ENVELOPE_FAILED, "The provider could not go on with the envelope."),
    Word(_L.ENVELOPE_CORRECTED, _E.ENVELOPE_CORRECTED, "An envelope in flight was corrected."),
    Word(_L.ENVELOPE_RESENT, _E.ENVELOPE_RESENT, "The request was sent to outstanding recipients again."),
    Word(_L.ENVELOPE_REMINDED, _E.ENVELOPE_REMINDED, "The provider reminded a recipient."),
    Word(_L.ENVELOPE_PURGED, _E.ENVELOPE_PURGED, "The provider removed the documents."),
    Word(_L.ENVELOPE_DELETED, _E.ENVELOPE_DELETED, "The envelope was deleted at the provider."),
    Word(_L.SIGNATURE_REQUESTED, _E.RECIPIENT_SENT, "A recipient was asked to act."),
    Word(
        _L.RECIPIENT_VIEWED, _E.RECIPIENT_DELIVERED, "A recipient opened the envelope.", ("signature_viewed",)
    ),
    Word(_L.RECIPIENT_COMPLETED, _E.RECIPIENT_COMPLETED, "A recipient finished.", ("signature_signed",)),
    Word(_L.RECIPIENT_DECLINED, _E.RECIPIENT_DECLINED, "A recipient declined.", ("signature_declined",)),
    Word(_L.SIGNATURE_DELEGATED, _E.RECIPIENT_DELEGATED, "A recipient handed over to somebody else."),
    Word(
        _L.RECIPIENT_REPLACED, _E.RECIPIENT_REPLACED, "The sender put another person in a recipient's place."
    ),
    Word(_L.RECIPIENT_BOUNCED, _E.RECIPIENT_BOUNCED, "A recipient's e-mail came back."),
    Word(_L.RECIPIENT_AUTHENTICATED, _E.RECIPIENT_AUTHENTICATED, "A recipient proved who they are."),
    Word(_L.RECIPIENT_AUTH_FAILED, _E.RECIPIENT_AUTH_FAILED, "A recipient failed to prove who they are."),
    Word(_L.ENDPOINT_TESTED, _E.ENDPOINT_TEST, "A test event was sent to an endpoint."),
)
_LEDGER_ONLY = (
    Word(_L.ENVELOPE_ROUTED, None, "A provider was chosen for the envelope, with the reason."),
    Word(_L.ENVELOPE_MODIFIED, None, "A draft's own attributes were changed."),
    Word(_L.DISPATCH_REJECTED, None, "The provider refused the envelope definitely."),
    Word(_L.DISPATCH_UNKNOWN, None, "The request went out and no answer came; a look-up will decide."),
    Word(_L.DISPATCH_RECONCILED, None, "A look-up or a webhook settled an unknown outcome."),
    Word(_L.DOCUMENT_UPLOADED, None, "A document was taken in."),
    Word(_L.DOCUMENT_ADDED, None, "A document was put into a draft."),
    Word(_L.DOCUMENT_REMOVED, None, "A document was taken out of a draft."),
    Word(_L.DOCUMENT_DOWNLOADED, None, "A document, the combined PDF or a certificate was downloaded."),
    Word(_L.DOCUMENT_MODIFIED, None, "A document was converted to PDF while it was taken in."),
    Word(_L.FIELD_ADDED, None, "A field was placed."),
    Word(_L.FIELD_CHANGED, None, "A field was changed."),
    Word(_L.FIELD_REMOVED, None, "A field was removed."),
    Word(_L.RECIPIENT_ADDED, None, "A recipient was added."),
    Word(_L.RECIPIENT_CHANGED, None, "A recipient was changed."),
    Word(_L.RECIPIENT_REMOVED, None, "A recipient was removed."),
    Word(_L.ACCESS_TOKEN_GENERATED, None, "A signing link was made for a recipient."),
    Word(_L.TENANT_CREATED, None, "A tenant was made."),
    Word(_L.TENANT_CHANGED, None, "A tenant's settings were changed."),
    Word(_L.USER_CREATED, None, "A tenant's user was made."),
    Word(_L.USER_CHANGED, None, "A tenant's user was changed or deactivated."),
    Word(_L.API_KEY_CREATED, None, "An API key was made."),
    Word(_L.API_KEY_REVOKED, None, "An API key was revoked."),
    Word(_L.CONNECTION_CREATED, None, "A tenant's account at a provider was connected."),
    Word(_L.CONNECTION_CHANGED, None, "A connection's credentials, keys or limits were changed."),
    Word(_L.ROUTING_CHANGED, None, "A tenant's routing rules were changed."),
    Word(_L.PROVIDER_SWITCHED, None, "A tenant's new envelopes go to another provider, or back."),
    Word(_L.ENDPOINT_CREATED, None, "A webhook endpoint was made."),
    Word(_L.ENDPOINT_CHANGED, None, "A webhook endpoint was changed."),
    Word(_L.ENDPOINT_DELETED, None, "A webhook endpoint was deleted."),
    Word(_L.ENDPOINT_DISABLED, None, "A webhook endpoint said that it is gone, and was switched off."),
    Word(_L.ENDPOINT_SECRET_ROTATED, None, "An endpoint got a new secret."),
    Word(_L.DELIVERY_EXHAUSTED, None, "A delivery used up its attempts; it is kept and can be replayed."),
    Word(_L.DELIVERY_REPLAYED, None, "A delivery was asked for again."),
    Word(_L.INBOUND_REFUSED, None, "Forged or unverifiable posts were refused, counted by minute."),
    Word(_L.INBOUND_UNPROCESSABLE, None, "An authentic message could not be understood; it is kept."),
    Word(_L.INBOUND_REPLAYED, None, "A kept message was processed again on request."),
    Word(_L.MASTER_KEY_ROTATED, None, "The master key was changed and every data key wrapped anew."),
)

VOCABULARY: dict[LedgerType, Word] = {word.ledger: word for word in _ANNOUNCED + _LEDGER_ONLY}
LEDGER_TYPE_OF: dict[EventType, LedgerType] = {
    word.webhook: word.ledger for word in _ANNOUNCED if word.webhook
}
