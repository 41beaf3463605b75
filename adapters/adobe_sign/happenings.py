"""What each webhook event means to us. Unknown names are authentic, kept and not acted on: AGREEMENT_ALL
subscribes to events that are not invented yet.

Two names of the design documents do not exist at the provider: AGREEMENT_ALL_SIGNED is
AGREEMENT_WORKFLOW_COMPLETED, AGREEMENT_PARTICIPANT_SIGNED is AGREEMENT_ACTION_COMPLETED. Must never give an
end to an event that does not say one.
Source: developer guide of 2026-04-29, webhook events.
"""

import logging

import msgspec

from normalizer.status import EnvelopeStatus, RecipientStatus
from normalizer.vocabulary import EventType

_log = logging.getLogger("countersign.adapters.adobe_sign")
_E, _S, _R = EventType, EnvelopeStatus, RecipientStatus


class Happening(msgspec.Struct, frozen=True):
    """`type` None: nothing that we act on. `status` None: the event says nothing about the whole."""

    type: EventType | None
    status: EnvelopeStatus | None = None
    recipient: RecipientStatus | None = None
    reason: str = ""

    @property
    def concerns_recipient(self) -> bool:
        return self.recipient is not None or (self.type is not None and self.type.startswith("recipient."))


IGNORED = Happening(None)
_AUTH_FAILED = Happening(_E.RECIPIENT_AUTH_FAILED, _S.FAILED, _R.AUTH_FAILED, "auth_failed")
_COMPLETED_ACTION = Happening(_E.RECIPIENT_COMPLETED, _S.SIGNED, _R.COMPLETED)
_VIEWED = Happening(_E.RECIPIENT_DELIVERED, None, _R.DELIVERED)
# The recipient's place lives on with another person, so it gets no end of its own.
_REPLACED = Happening(_E.RECIPIENT_REPLACED)
_AUTHENTICATED = Happening(_E.RECIPIENT_AUTHENTICATED)

HAPPENING: dict[str, Happening] = {
    "AGREEMENT_CREATED": Happening(_E.ENVELOPE_CREATED),  # fires at send as well
    "AGREEMENT_ACTION_REQUESTED": Happening(_E.RECIPIENT_SENT, _S.SENT, _R.SENT),
    "AGREEMENT_ACTION_COMPLETED": _COMPLETED_ACTION,  # one participant; the last one's too
    "AGREEMENT_PARTICIPANT_COMPLETED": _COMPLETED_ACTION,  # an older sibling of the same fact
    "AGREEMENT_WORKFLOW_COMPLETED": Happening(_E.ENVELOPE_COMPLETED, _S.COMPLETED),
    "AGREEMENT_REJECTED": Happening(_E.ENVELOPE_DECLINED, _S.DECLINED, _R.DECLINED),
    "AGREEMENT_RECALLED": Happening(_E.ENVELOPE_VOIDED, _S.VOIDED),  # but see subEvent MAX_* below
    "AGREEMENT_RECALLED_MAX_SIGNING_KBA_ATTEMPTS": _AUTH_FAILED,
    "AGREEMENT_RECALLED_MAX_SIGNING_PASSWORD_ATTEMPTS": _AUTH_FAILED,
    "AGREEMENT_RECALLED_MAX_SIGNING_PHONE_ATTEMPTS": _AUTH_FAILED,
    "AGREEMENT_RECALLED_MAX_SIGNING_EMAIL_OTP_ATTEMPTS": _AUTH_FAILED,
    "AGREEMENT_EXPIRED": Happening(_E.ENVELOPE_EXPIRED, _S.EXPIRED),
    "AGREEMENT_AUTO_CANCELLED_CONVERSION_PROBLEM": Happening(
        _E.ENVELOPE_FAILED, _S.FAILED, None, "conversion_failed"
    ),
    "AGREEMENT_ACTION_DELEGATED": Happening(_E.RECIPIENT_DELEGATED, None, _R.REASSIGNED),
    "AGREEMENT_ACTION_REPLACED_SIGNER": _REPLACED,
    "AGREEMENT_PARTICIPANT_REPLACED": _REPLACED,
    "AGREEMENT_EMAIL_VIEWED": _VIEWED,
    "AGREEMENT_DOCUMENTS_VIEWED": _VIEWED,
    "AGREEMENT_DOCUMENTS_VIEWED_PASSWORD_PROTECTED": _VIEWED,
    "AGREEMENT_EMAIL_BOUNCED": Happening(_E.RECIPIENT_BOUNCED, None, _R.BOUNCED),
    "AGREEMENT_KBA_AUTHENTICATED": _AUTHENTICATED,
    "AGREEMENT_EMAIL_OTP_AUTHENTICATED": _AUTHENTICATED,
    "AGREEMENT_WEB_IDENTITY_AUTHENTICATED": _AUTHENTICATED,
    "AGREEMENT_MODIFIED": Happening(_E.ENVELOPE_CORRECTED),
    "AGREEMENT_EXPIRATION_UPDATED": Happening(_E.ENVELOPE_CORRECTED),
    "AGREEMENT_REMINDER_SENT": Happening(_E.ENVELOPE_REMINDED),
    "AGREEMENT_DOCUMENTS_DELETED": Happening(_E.ENVELOPE_PURGED),
    "AGREEMENT_DELETED": Happening(_E.ENVELOPE_DELETED),
    # Known, and nothing for us to do.
    "AGREEMENT_REMINDER_INITIATED": IGNORED,  # set up, not sent
    "AGREEMENT_RESTARTED": IGNORED,  # an ended agreement stays ended here; the sweep would show it
    "AGREEMENT_USER_ACK_AGREEMENT_MODIFIED": IGNORED,
    "AGREEMENT_OFFLINE_SYNC": IGNORED,
    "AGREEMENT_UPLOADED_BY_SENDER": IGNORED,
    "AGREEMENT_SHARED": IGNORED,
    "AGREEMENT_UNSHARED": IGNORED,
    "AGREEMENT_UNSHARED_AUTO": IGNORED,
    "AGREEMENT_VAULTED": IGNORED,
    "AGREEMENT_READY_TO_VAULT": IGNORED,
    "AGREEMENT_READY_TO_NOTARIZE": IGNORED,
    "AGREEMENT_SIGNER_NAME_CHANGED_BY_SIGNER": IGNORED,
}

_TOO_MANY_ATTEMPTS = "MAX_"


def happening_of(event: str, sub_event: str) -> Happening:
    """A recall because of failed authentication is no withdrawal by the sender: the subEvent tells."""
    if event == "AGREEMENT_RECALLED" and _TOO_MANY_ATTEMPTS in sub_event:
        return _AUTH_FAILED
    happening = HAPPENING.get(event)
    if happening is None:
        _log.warning("event.unmapped", extra={"event": event[:80]})
        return IGNORED
    return happening
