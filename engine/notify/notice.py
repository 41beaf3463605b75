"""One message to one person: what it is about, by which way it goes, and what stands in it.

Must never show its values: they hold links and codes.
"""

from enum import StrEnum
from uuid import UUID

import msgspec


class NoticeKind(StrEnum):
    SIGNING_REQUEST = "signing_request"
    REMINDER = "reminder"
    EXPIRY_WARNING = "expiry_warning"
    CODE = "code"
    COMPLETED = "completed"
    DECLINED = "declined"
    CONSENT_REFUSED = "consent_refused"
    VOIDED = "voided"
    EXPIRED = "expired"
    DELEGATED = "delegated"
    APPROVAL = "approval"
    ESCALATION = "escalation"
    COPY = "copy"
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    SEALING_DELAYED = "sealing_delayed"
    CERTIFICATE_EXPIRING = "certificate_expiring"
    ENDPOINT_FAILING = "endpoint_failing"
    ENDPOINT_RECOVERED = "endpoint_recovered"
    ENDPOINT_DISABLED = "endpoint_disabled"
    DELIVERY_EXHAUSTED = "delivery_exhausted"

    @property
    def is_urgent(self) -> bool:
        """Somebody sits before a page and waits for it: it goes before all others."""
        return self is NoticeKind.CODE

    @property
    def is_invitation(self) -> bool:
        """It asks for something, and is pointless once the envelope has ended."""
        return self in _INVITATIONS


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"


_INVITATIONS = frozenset(
    {
        NoticeKind.SIGNING_REQUEST,
        NoticeKind.REMINDER,
        NoticeKind.EXPIRY_WARNING,
        NoticeKind.DELEGATED,
        NoticeKind.APPROVAL,
        NoticeKind.CODE,
    }
)
# Every value that a text may speak of; a kind that has no use for one leaves it out.
VALUES = frozenset(
    {
        "subject",
        "sender_name",
        "sender_email",
        "organisation",
        "message",
        "note",
        "link",
        "expires_at",  # ISO 8601
        "code",
        "minutes",
        "reason",
        "by",
        "certificate",
        "days",
        "endpoint",  # how a tenant recognises a webhook endpoint: its description and where it is
        "action",  # of a signing request: "sign" (or nothing), "review" or "acknowledge"
    }
)
# Without these a message of the kind would be of no use to its reader.
NEEDED: dict[NoticeKind, frozenset[str]] = {
    NoticeKind.SIGNING_REQUEST: frozenset({"link"}),
    NoticeKind.REMINDER: frozenset({"link"}),
    NoticeKind.DELEGATED: frozenset({"link"}),
    NoticeKind.APPROVAL: frozenset({"link"}),
    NoticeKind.CODE: frozenset({"code", "minutes"}),
}


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """`address`: an e-mail address, or a phone number as "+491701234567". `engine_id` and `envelope_id` None:
    about no envelope (a certificate). `values` by the names of VALUES.
    """

    kind: NoticeKind
    tenant_id: UUID
    connection_id: UUID | None = None
    engine_id: UUID | None = None
    envelope_id: UUID | None = None
    recipient_id: UUID | None = None
    channel: Channel = Channel.EMAIL
    address: str
    name: str = ""
    language: str = ""
    values: dict[str, str] = {}

    def __post_init__(self) -> None:
        missing = NEEDED.get(self.kind, frozenset()) - {name for name, value in self.values.items() if value}
        if missing:
            raise ValueError(f"a notice of kind {self.kind} needs {', '.join(sorted(missing))}")
        unknown = self.values.keys() - VALUES
        if unknown:
            raise ValueError(f"no text speaks of {', '.join(sorted(unknown))}")
        if not self.address:
            raise ValueError("a notice needs an address")

    def __repr__(self) -> str:
        return f"Notice({self.kind} by {self.channel})"
