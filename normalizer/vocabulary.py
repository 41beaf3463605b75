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
    ENDPOINT_FAILING = "endpoint.failing"
    ENDPOINT_RECOVERED = "endpoint.recovered"
    ENDPOINT_DISABLED = "endpoint.disabled"
    DELIVERY_EXHAUSTED = "delivery.exhausted"

    @property
    def is_operational(self) -> bool:
        """It tells of deliveries, not of envelopes: only endpoints that name it get it."""
        return self in _OPERATIONAL


_OPERATIONAL = frozenset(
    {
        EventType.ENDPOINT_FAILING,
        EventType.ENDPOINT_RECOVERED,
        EventType.ENDPOINT_DISABLED,
        EventType.DELIVERY_EXHAUSTED,
    }
)


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
    ENDPOINT_FAILING = "endpoint_failing"
    ENDPOINT_RECOVERED = "endpoint_recovered"
    ENDPOINT_SECRET_ROTATED = "endpoint_secret_rotated"  # noqa: S105 - the name of an event
    ENDPOINT_TESTED = "endpoint_tested"
    DELIVERY_EXHAUSTED = "delivery_exhausted"
    DELIVERY_REPLAYED = "delivery_replayed"
    PORTAL_LINK_CREATED = "portal_link_created"
    PORTAL_SESSION_STARTED = "portal_session_started"
    REPLAY_STARTED = "replay_started"
    REPLAY_CHANGED = "replay_changed"
    REPLAY_ENDED = "replay_ended"
    INBOUND_RECEIVED = "inbound_received"
    INBOUND_REFUSED = "inbound_refused"
    INBOUND_UNPROCESSABLE = "inbound_unprocessable"
    INBOUND_REPLAYED = "inbound_replayed"
    INBOUND_QUARANTINED = "inbound_quarantined"
    INBOUND_RELEASED = "inbound_released"
    INBOUND_DROPPED = "inbound_dropped"
    INBOUND_OPENED = "inbound_opened"
    DRIFT_FOUND = "drift_found"
    PROVIDER_WEBHOOKS_BROKEN = "provider_webhooks_broken"
    PROVIDER_WEBHOOKS_REPAIRED = "provider_webhooks_repaired"
    CONNECTION_REFUSED = "connection_refused"
    MASTER_KEY_ROTATED = "master_key_rotated"
    CEREMONY_STARTED = "ceremony_started"
    CONSENT_GIVEN = "consent_given"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    SMS_CODE_SENT = "sms_verification_sent"
    SMS_CODE_ACCEPTED = "sms_verification_completed"
    EMAIL_CODE_SENT = "email_verification_sent"
    EMAIL_CODE_ACCEPTED = "email_verification_completed"
    AUTHENTICATION_COMPLETED = "mfa_completed"
    RECIPIENT_LOCKED = "recipient_locked"
    RECIPIENT_UNLOCKED = "recipient_unlocked"
    SIGNATURE_CAPTURED = "signature_captured"
    FIELD_COMPLETED = "field_completed"
    INTENT_CONFIRMED = "intent_confirmed"
    NOTICE_SENT = "notice_sent"
    NOTICE_FAILED = "notice_failed"
    DOCUMENT_EXAMINED = "document_examined"
    DOCUMENT_SEALED = "document_sealed"
    DOCUMENT_SIGNED = "document_signed"
    COMPLETION_CERTIFIED = "completion_certified"
    ARCHIVE_TIMESTAMP_RENEWED = "archive_timestamp_renewed"
    BLOB_DAMAGED = "blob_damaged"
    CERTIFICATE_IMPORTED = "certificate_imported"
    CERTIFICATE_CHANGED = "certificate_changed"
    CERTIFICATE_USED = "certificate_used"
    CERTIFICATE_VERIFIED = "certificate_verified"
    CERTIFICATE_REVOKED = "certificate_revoked"
    CERTIFICATE_EXPIRING = "certificate_expiring"
    TEMPLATE_CREATED = "template_created"
    TEMPLATE_CHANGED = "template_changed"
    TEMPLATE_DELETED = "template_deleted"
    BRANDING_CHANGED = "branding_changed"


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
    Word(_L.ENDPOINT_FAILING, _E.ENDPOINT_FAILING, "An endpoint has failed several times in a row."),
    Word(_L.ENDPOINT_RECOVERED, _E.ENDPOINT_RECOVERED, "An endpoint that was failing has answered again."),
    Word(
        _L.ENDPOINT_DISABLED,
        _E.ENDPOINT_DISABLED,
        "An endpoint said that it is gone, or failed for days, and was switched off; its deliveries are held.",
    ),
    Word(
        _L.DELIVERY_EXHAUSTED,
        _E.DELIVERY_EXHAUSTED,
        "A delivery used up its attempts; it is kept and can be replayed.",
    ),
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
    Word(_L.ENDPOINT_SECRET_ROTATED, None, "An endpoint got a new secret."),
    Word(_L.DELIVERY_REPLAYED, None, "A delivery was asked for again."),
    Word(_L.PORTAL_LINK_CREATED, None, "A link to the webhook portal was made."),
    Word(_L.PORTAL_SESSION_STARTED, None, "Somebody opened the webhook portal by such a link."),
    Word(_L.REPLAY_STARTED, None, "A replay of many deliveries was asked for, with what it selects."),
    Word(_L.REPLAY_CHANGED, None, "A replay was paused or resumed."),
    Word(_L.REPLAY_ENDED, None, "A replay was done or cancelled, with how many deliveries it took back."),
    Word(
        _L.INBOUND_RECEIVED, None, "A provider's message was found authentic and kept; how, and its digest."
    ),
    Word(_L.INBOUND_REFUSED, None, "Forged or unverifiable posts were refused, counted by minute."),
    Word(_L.INBOUND_UNPROCESSABLE, None, "An authentic message could not be understood; it is kept."),
    Word(_L.INBOUND_REPLAYED, None, "A kept message was processed again on request."),
    Word(_L.DRIFT_FOUND, None, "The provider knew otherwise than we did; the entry says what was done."),
    Word(_L.PROVIDER_WEBHOOKS_BROKEN, None, "A provider would not send us its webhooks; the entry says why."),
    Word(_L.PROVIDER_WEBHOOKS_REPAIRED, None, "The gateway mended a provider's webhook configuration."),
    Word(_L.CONNECTION_REFUSED, None, "A provider refused a connection's credentials."),
    Word(_L.INBOUND_QUARANTINED, None, "An authentic message contradicts what was sent; it had no effect."),
    Word(_L.INBOUND_RELEASED, None, "An administrator let the provider's own answer decide about a message."),
    Word(_L.INBOUND_DROPPED, None, "An administrator gave a message up; it is kept and has no effect."),
    Word(_L.INBOUND_OPENED, None, "An administrator looked into a kept message."),
    Word(_L.MASTER_KEY_ROTATED, None, "The master key was changed and every data key wrapped anew."),
    Word(_L.CEREMONY_STARTED, None, "A recipient used the signing link and began."),
    Word(_L.CONSENT_GIVEN, None, "A recipient consented to electronic records and signatures."),
    Word(_L.CONSENT_WITHDRAWN, None, "A recipient withdrew that consent for the future."),
    Word(_L.SMS_CODE_SENT, None, "A code was sent to a recipient's phone."),
    Word(_L.SMS_CODE_ACCEPTED, None, "A recipient typed the code that was sent to the phone."),
    Word(_L.EMAIL_CODE_SENT, None, "A code was sent to a recipient's e-mail address."),
    Word(_L.EMAIL_CODE_ACCEPTED, None, "A recipient typed the code that was sent by e-mail."),
    Word(_L.AUTHENTICATION_COMPLETED, None, "A recipient passed every method of authentication asked for."),
    Word(_L.RECIPIENT_LOCKED, None, "A recipient failed too often and is locked for a time."),
    Word(_L.RECIPIENT_UNLOCKED, None, "The sender unlocked a recipient."),
    Word(_L.SIGNATURE_CAPTURED, None, "A recipient adopted a signature or initials."),
    Word(_L.FIELD_COMPLETED, None, "A recipient filled a field."),
    Word(_L.INTENT_CONFIRMED, None, "A recipient confirmed the intent to sign."),
    Word(_L.NOTICE_SENT, None, "A mail or text message was handed to its carrier."),
    Word(_L.NOTICE_FAILED, None, "A mail or text message could not be handed over."),
    Word(_L.DOCUMENT_EXAMINED, None, "A document was examined, and what was removed from it."),
    Word(_L.DOCUMENT_SEALED, None, "A document was stamped and sealed."),
    Word(_L.DOCUMENT_SIGNED, None, "A document was signed with a certificate outside an envelope."),
    Word(_L.COMPLETION_CERTIFIED, None, "The certificate of completion was made."),
    Word(_L.ARCHIVE_TIMESTAMP_RENEWED, None, "A sealed document got a new archive timestamp."),
    Word(_L.BLOB_DAMAGED, None, "A stored document is not what was stored."),
    Word(_L.CERTIFICATE_IMPORTED, None, "A certificate was put into the store."),
    Word(_L.CERTIFICATE_CHANGED, None, "A certificate was renamed, preferred, or given another contact."),
    Word(_L.CERTIFICATE_USED, None, "A certificate's key made a signature."),
    Word(_L.CERTIFICATE_VERIFIED, None, "The signatures of a document were verified."),
    Word(_L.CERTIFICATE_REVOKED, None, "A certificate was revoked in the store."),
    Word(_L.CERTIFICATE_EXPIRING, None, "A certificate in the store expires soon."),
    Word(_L.TEMPLATE_CREATED, None, "A template was made."),
    Word(_L.TEMPLATE_CHANGED, None, "A template was changed."),
    Word(_L.TEMPLATE_DELETED, None, "A template was deleted."),
    Word(_L.BRANDING_CHANGED, None, "A tenant's appearance in the ceremony was changed."),
)

VOCABULARY: dict[LedgerType, Word] = {word.ledger: word for word in _ANNOUNCED + _LEDGER_ONLY}
LEDGER_TYPE_OF: dict[EventType, LedgerType] = {
    word.webhook: word.ledger for word in _ANNOUNCED if word.webhook
}
