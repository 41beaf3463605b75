"""Why a document is not sealed: later (try again) or never (somebody must act).

Must never carry bytes of a document, a person's name or a secret: the text is stored and shown to senders.
"""

from enum import StrEnum


class SealTrouble(StrEnum):
    """What stands in `engine_envelopes.seal_error`."""

    TIMESTAMP_UNAVAILABLE = "timestamp_unavailable"
    TIMESTAMP_REJECTED = "timestamp_rejected"
    REVOCATION_UNAVAILABLE = "revocation_unavailable"
    CERTIFICATE_MISSING = "certificate_missing"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_UNSUITABLE = "certificate_unsuitable"
    KEY_UNAVAILABLE = "key_unavailable"
    STORE_UNAVAILABLE = "store_unavailable"
    DOCUMENT_DAMAGED = "document_damaged"
    DOCUMENT_CHANGED = "document_changed"
    DOCUMENT_LOCKED = "document_locked"
    LEDGER_BROKEN = "ledger_broken"
    INTERNAL = "internal"


class SealingFailed(Exception):
    """Raised inside engine.sealing; the job turns it into a pause and, after some tries, a notice."""

    def __init__(self, trouble: SealTrouble, detail: str) -> None:
        super().__init__(f"{trouble}: {detail}")
        self.trouble = trouble
        self.detail = detail
