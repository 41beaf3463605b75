"""The normalized envelope: what is to be signed, by whom, until when; and what providers report about it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from normalizer.document import Document
from normalizer.field import Field
from normalizer.recipient import AuthenticationLevel, Recipient
from normalizer.status import EnvelopeStatus, RecipientStatus


class SignatureLevel(StrEnum):
    """Regulation (EU) 910/2014: simple, advanced (article 26), qualified (article 3(12)). Never lowered in silence."""

    SES = "ses"
    AES = "aes"
    QES = "qes"


class Reminders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hours after sending until the first reminder, and between reminders."""

    first_after_hours: int
    every_hours: int


class Expiration(msgspec.Struct, frozen=True):
    """`warn_days`: days before `at` on which recipients are warned; 0 means no warning."""

    at: datetime
    warn_days: int = 0


class Sender(msgspec.Struct, frozen=True):
    """The DMS user on whose behalf the envelope is sent."""

    id: str
    name: str = ""
    email: str = ""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """`reference` is the key under which a provider can find the envelope again (our id and attempt epoch);
    `template_ref` names a template at the provider, whose roles the recipients' `template_role` fill.
    """

    id: UUID
    tenant_id: UUID
    reference: str
    subject: str
    message: str
    documents: tuple[Document, ...]
    recipients: tuple[Recipient, ...]
    fields: tuple[Field, ...]
    sender: Sender
    authentication_level: AuthenticationLevel = AuthenticationLevel.EMAIL
    signature_level: SignatureLevel = SignatureLevel.SES
    reminders: Reminders | None = None
    expiration: Expiration | None = None
    template_ref: str = ""
    language: str = ""

    def fields_of(self, recipient: Recipient) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.recipient_id == recipient.id)


class Degradation(msgspec.Struct, frozen=True):
    """A feature that the provider has only in a weaker form, told to the caller and never hidden."""

    feature: str
    asked: str
    given: str


class RecipientReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says about one recipient. `recipient_id` when our id came back, else match by e-mail
    and routing order.
    """

    status: RecipientStatus
    email: str = ""
    name: str = ""
    provider_ref: str = ""
    recipient_id: UUID | None = None
    routing_order: int = 0
    at: datetime | None = None
    reason: str = ""
    ip_address: str = ""


class EnvelopeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says about an envelope now. `provider_status` keeps its own word; `reference` is ours,
    when it came back.
    """

    provider_ref: str
    status: EnvelopeStatus
    provider_status: str
    reference: str = ""
    changed_at: datetime | None = None
    reason: str = ""
    recipients: tuple[RecipientReport, ...] = ()


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the provider's own history of an envelope."""

    at: datetime | None
    action: str
    actor: str = ""
    ip_address: str = ""
    detail: str = ""
