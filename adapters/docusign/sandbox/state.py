"""What the sandbox remembers: envelopes, recipients, documents, configurations and messages.

Plain mutable structs without behaviour beyond small derived facts; they are also the snapshot's format.
`wire` holds attributes as the client sent them, already checked against the catalogue.
"""

from datetime import datetime

import msgspec

from .catalogue import JsonObject, is_true

# The arrays of `recipients`, with the recipientType each one shows.
RECIPIENT_KINDS = {
    "signers": "signer",
    "agents": "agent",
    "editors": "editor",
    "intermediaries": "intermediary",
    "carbonCopies": "carboncopy",
    "certifiedDeliveries": "certifieddelivery",
    "inPersonSigners": "inpersonsigner",
    "seals": "seal",
    "witnesses": "witness",
    "notaries": "notary",
    "notaryWitnesses": "notarywitness",
    "participants": "participant",
}
TERMINAL = frozenset({"completed", "declined", "voided", "deleted"})


class Recipient(msgspec.Struct, kw_only=True):
    kind: str
    wire: JsonObject
    recipient_id: str
    guid: str
    user_id: str
    order: int
    status: str = "created"
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    signed_at: datetime | None = None
    declined_at: datetime | None = None
    declined_reason: str | None = None
    auto_responded_reason: str | None = None
    tabs: dict[str, list[JsonObject]] = {}
    authentication: dict[str, JsonObject] = {}
    wrong_codes: int = 0

    @property
    def name(self) -> str:
        key = "signerName" if self.kind == "inPersonSigners" else "name"
        return str(self.wire.get(key) or self.wire.get("name") or "")

    @property
    def email(self) -> str:
        key = "hostEmail" if self.kind == "inPersonSigners" else "email"
        return str(self.wire.get(key) or self.wire.get("email") or "")

    @property
    def is_blocking(self) -> bool:
        return self.kind not in {"carbonCopies", "seals"}

    @property
    def is_waiting(self) -> bool:
        return self.status in {"sent", "delivered", "autoresponded"}

    @property
    def is_done(self) -> bool:
        return self.status in {"completed", "signed"}


class Page(msgspec.Struct, frozen=True):
    """A page as it is displayed: after its crop box and rotation, in points."""

    width: float
    height: float
    guid: str


class Document(msgspec.Struct, kw_only=True):
    document_id: str
    guid: str
    name: str
    order: int
    content: str
    pages: list[Page]
    wire: JsonObject
    is_converted: bool = False


class Hook(msgspec.Struct, kw_only=True):
    """Where Connect messages go and what is in them; account-wide or of one envelope."""

    configuration_id: int
    url: str
    events: list[str]
    include_data: list[str] = []
    is_signed: bool = False
    is_acknowledged: bool = False
    is_logged: bool = False
    is_enabled: bool = True
    name: str = ""


class AccountHook(msgspec.Struct):
    hook: Hook
    wire: JsonObject


class AuditEvent(msgspec.Struct, frozen=True):
    at: datetime
    action: str
    message: str
    user_name: str
    user_id: str
    envelope_status: str


class Lock(msgspec.Struct, kw_only=True):
    token: str
    until: datetime
    duration_s: int
    app: str
    kind: str


class Envelope(msgspec.Struct, kw_only=True):
    id: str
    wire: JsonObject
    created_at: datetime
    changed_at: datetime
    modified_at: datetime
    status: str = "created"
    sent_at: datetime | None = None
    initial_sent_at: datetime | None = None
    delivered_at: datetime | None = None
    completed_at: datetime | None = None
    declined_at: datetime | None = None
    voided_at: datetime | None = None
    voided_reason: str | None = None
    deleted_at: datetime | None = None
    expire_at: datetime | None = None
    current_order: int = 1
    recipients: list[Recipient] = []
    documents: list[Document] = []
    text_fields: list[JsonObject] = []
    list_fields: list[JsonObject] = []
    notification: JsonObject = {}
    hooks: list[Hook] = []
    audit: list[AuditEvent] = []
    lock: Lock | None = None
    purge_state: str = "unpurged"
    is_purged: bool = False

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def is_open(self) -> bool:
        """Whether people are being asked to act."""
        return self.status in {"sent", "delivered"}

    @property
    def expirations(self) -> JsonObject:
        """The expiry settings that count; the account's default is 120 days."""
        own: JsonObject = {}
        if not is_true(self.notification.get("useAccountDefaults")):
            own = self.notification.get("expirations") or {}
        return {"expireEnabled": "true", "expireAfter": "120", "expireWarn": "0", **own}

    @property
    def stamps_id(self) -> bool:
        return is_true(self.wire.get("envelopeIdStamping", "true"))


class Upload(msgspec.Struct, kw_only=True):
    id: str
    parts: list[str]
    sizes: list[int]
    size: int
    expires_at: datetime
    is_committed: bool = False


class Session(msgspec.Struct, kw_only=True):
    """An embedded signing session; the token opens it once, within five minutes."""

    token: str
    envelope_id: str
    recipient_id: str
    return_url: str
    expires_at: datetime
    is_opened: bool = False
    is_ended: bool = False
    is_authenticated: bool = False


class Message(msgspec.Struct, kw_only=True):
    """One Connect message on its way, delivered, or given up."""

    id: str
    failure_id: str
    envelope_id: str
    event: str
    hook: Hook
    body: JsonObject
    created_at: datetime
    status: str = "queued"
    attempts: int = 0
    last_try_at: datetime | None = None
    error: str = ""
    held_s: float = 0.0


class Snapshot(msgspec.Struct, kw_only=True):
    """Everything that a restart must not forget."""

    envelopes: dict[str, Envelope] = {}
    account_hooks: dict[str, AccountHook] = {}
    uploads: dict[str, Upload] = {}
    sessions: dict[str, Session] = {}
    messages: list[Message] = []
    hmac_keys: list[str] = []
    tokens: dict[str, datetime] = {}
    next_number: int = 10_480_531
    clock_offset_s: float = 0.0
    has_consent: bool = True
