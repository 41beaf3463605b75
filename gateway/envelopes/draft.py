"""What a caller sends to make or change a draft, and the checks that need nothing but the input.

Structs here are the API's own bodies: unknown attributes are refused, names are the field's words.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import msgspec

from config.settings import LimitSettings
from engine.ceremony.hashed_answer import is_empty_answer
from normalizer.envelope import SignatureLevel
from normalizer.errors import Finding
from normalizer.field import Anchor, FieldType
from normalizer.recipient import AuthenticationLevel, AuthenticationMethod, Phone, Role

Text100 = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Text200 = Annotated[str, msgspec.Meta(max_length=200)]
_EMAIL = re.compile(r"[^@\s\x00-\x1f<>,;]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,250}[A-Za-z0-9])?\Z")


class FieldInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place on a page, in points from the top left of the displayed page. `document` is the 1-based number
    of the document in the envelope. Give `page`, `x` and `y`, or `anchor`.
    """

    type: FieldType
    document: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    page: Annotated[int, msgspec.Meta(ge=0, le=5000)] = 0
    x: Annotated[float, msgspec.Meta(ge=0, le=20000)] = 0.0
    y: Annotated[float, msgspec.Meta(ge=0, le=20000)] = 0.0
    width: Annotated[float, msgspec.Meta(ge=0, le=20000)] = 0.0
    height: Annotated[float, msgspec.Meta(ge=0, le=20000)] = 0.0
    anchor: Anchor | None = None
    required: bool = True
    read_only: bool = False
    label: Annotated[str, msgspec.Meta(max_length=500)] = ""
    value: Annotated[str, msgspec.Meta(max_length=4000)] = ""
    options: tuple[Text100, ...] = ()
    group: Annotated[str, msgspec.Meta(max_length=100)] = ""


class QuestionInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer is hashed at once: it is not kept and never returned. Its repr shows nothing."""

    question: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    answer: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]

    def __repr__(self) -> str:
        return "QuestionInput(***)"


class RecipientInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either `authentication` or, for several methods asked one after the other, `authentication_methods`."""

    name: Text100
    email: Text200
    role: Role = Role.SIGNER
    routing_order: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    authentication: AuthenticationMethod = AuthenticationMethod.EMAIL
    authentication_methods: Annotated[tuple[AuthenticationMethod, ...], msgspec.Meta(max_length=6)] = ()
    access_code: Annotated[str, msgspec.Meta(max_length=50)] = ""
    knowledge_questions: Annotated[tuple[QuestionInput, ...], msgspec.Meta(max_length=10)] = ()
    phone: Phone | None = None
    embedded: bool = False
    host_name: Annotated[str, msgspec.Meta(max_length=100)] = ""
    host_email: Text200 = ""
    template_role: Annotated[str, msgspec.Meta(max_length=100)] = ""
    note: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    language: Annotated[str, msgspec.Meta(max_length=35)] = ""
    country: Annotated[str, msgspec.Meta(max_length=2)] = ""
    fields: tuple[FieldInput, ...] = ()

    @property
    def methods(self) -> tuple[AuthenticationMethod, ...]:
        """Every method once, in order. The e-mail is how the link comes: beside others it says nothing."""
        named = tuple(dict.fromkeys(self.authentication_methods)) or (self.authentication,)
        return tuple(one for one in named if one is not AuthenticationMethod.EMAIL) or named[:1]


class DocumentInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either `document_id` of an upload, or `name` with `content_base64` for small files in one call."""

    document_id: str = ""
    name: Text200 = ""
    content_base64: bytes = b""


class RemindersInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    first_after_hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 180)]
    every_hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 180)]


class EnvelopeInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new envelope. `send` False (the default) keeps it as a draft. `reference` is the caller's own key.
    `template_id`: one of the tenant's own templates, whose roles are taken by `roles` (name of the role: who) or by
    recipients with that `template_role`. `template_ref` names one at the provider instead.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    documents: tuple[DocumentInput, ...] = ()
    recipients: tuple[RecipientInput, ...] = ()
    message: Annotated[str, msgspec.Meta(max_length=10000)] = ""
    reference: Text200 = ""
    document_type: Annotated[str, msgspec.Meta(max_length=100)] = ""
    authentication_level: AuthenticationLevel = AuthenticationLevel.EMAIL
    signature_level: SignatureLevel = SignatureLevel.SES
    expires_at: datetime | None = None
    expiry_warn_days: Annotated[int, msgspec.Meta(ge=0, le=120)] = 0
    reminders: RemindersInput | None = None
    template_ref: Text200 = ""
    template_id: Annotated[str, msgspec.Meta(max_length=40)] = ""
    roles: dict[str, RecipientInput] = {}
    language: Annotated[str, msgspec.Meta(max_length=35)] = ""
    metadata: dict[str, str] = {}
    send: bool = False


class EnvelopeChange(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A draft's own attributes; what is left out stays."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | msgspec.UnsetType = msgspec.UNSET
    message: Annotated[str, msgspec.Meta(max_length=10000)] | msgspec.UnsetType = msgspec.UNSET
    reference: Text200 | msgspec.UnsetType = msgspec.UNSET
    document_type: Annotated[str, msgspec.Meta(max_length=100)] | msgspec.UnsetType = msgspec.UNSET
    authentication_level: AuthenticationLevel | msgspec.UnsetType = msgspec.UNSET
    signature_level: SignatureLevel | msgspec.UnsetType = msgspec.UNSET
    expires_at: datetime | msgspec.UnsetType | None = msgspec.UNSET
    expiry_warn_days: Annotated[int, msgspec.Meta(ge=0, le=120)] | msgspec.UnsetType = msgspec.UNSET
    reminders: RemindersInput | msgspec.UnsetType | None = msgspec.UNSET
    template_ref: Text200 | msgspec.UnsetType = msgspec.UNSET
    language: Annotated[str, msgspec.Meta(max_length=35)] | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


def find_envelope_faults(draft: EnvelopeInput, now: datetime, limits: LimitSettings) -> tuple[Finding, ...]:
    """Everything wrong with the input by itself, each with a JSON pointer; () when there is nothing."""
    faults: list[Finding] = []
    faults.extend(find_attribute_faults(draft.expires_at, draft.metadata, now))
    faults.extend(find_level_faults(draft.signature_level))
    placed = sum(len(recipient.fields) for recipient in draft.recipients)
    for where, what, number, limit in (
        ("/documents", "documents", len(draft.documents), limits.documents_per_envelope),
        ("/recipients", "recipients", len(draft.recipients), limits.recipients_per_envelope),
        ("/recipients", "fields", placed, limits.fields_per_envelope),
    ):
        if number > limit:
            faults.append(Finding(where, f"{number} {what}; an envelope has at most {limit}."))
    named = [document.document_id for document in draft.documents if document.document_id]
    faults.extend(
        Finding(f"/documents/{index}/document_id", "The same document is named twice.", "Name it once.")
        for index, document in enumerate(draft.documents)
        if named.count(document.document_id) > 1
    )
    for index, document in enumerate(draft.documents):
        if bool(document.document_id) == bool(document.content_base64):
            faults.append(
                Finding(
                    f"/documents/{index}",
                    "A document needs either document_id or content_base64.",
                    "Upload it first and give its document_id, or send name and content_base64.",
                )
            )
        elif document.content_base64 and not document.name:
            faults.append(Finding(f"/documents/{index}/name", "A document needs a name.", "Add a file name."))
    for index, recipient in enumerate(draft.recipients):
        where = f"/recipients/{index}"
        faults.extend(find_recipient_faults(recipient, where))
        for number, field in enumerate(recipient.fields):
            faults.extend(find_field_faults(field, recipient.role, f"{where}/fields/{number}"))
            if field.document > len(draft.documents):
                faults.append(
                    Finding(
                        f"{where}/fields/{number}/document",
                        f"The envelope has no document {field.document}.",
                        f"Use a number from 1 to {len(draft.documents)}.",
                    )
                )
    return tuple(faults)


def find_attribute_faults(
    expires_at: datetime | None, metadata: dict[str, str], now: datetime
) -> tuple[Finding, ...]:
    faults = []
    if expires_at is not None and expires_at.tzinfo is None:
        faults.append(Finding("/expires_at", "The time has no offset.", "Write it with Z or an offset."))
    elif expires_at is not None and expires_at <= now:
        faults.append(Finding("/expires_at", "The time is past.", "Choose a time to come."))
    if len(metadata) > 50 or any(len(key) > 100 or len(value) > 1000 for key, value in metadata.items()):
        faults.append(Finding("/metadata", "At most 50 keys of 100 characters with values of 1,000."))
    return tuple(faults)


def find_level_faults(level: SignatureLevel) -> tuple[Finding, ...]:
    if level is not SignatureLevel.QES:
        return ()
    return (
        Finding(
            "/signature_level",
            "A qualified signature needs a key that a qualified trust service provider keeps: none is connected.",
            "Ask for aes or ses; the level is never lowered for you.",
        ),
    )


def find_recipient_faults(recipient: RecipientInput, where: str) -> tuple[Finding, ...]:
    faults = []
    if not is_email(recipient.email):
        faults.append(Finding(f"{where}/email", "This is not an e-mail address.", "Write it as name@host."))
    faults.extend(_method_faults(recipient, where))
    if recipient.role is Role.IN_PERSON and not (recipient.host_name and is_email(recipient.host_email)):
        faults.append(Finding(f"{where}/host_name", "An in-person signer needs host_name and host_email."))
    if any(ord(letter) < 32 for letter in recipient.name):
        faults.append(Finding(f"{where}/name", "A name has no control characters."))
    return tuple(faults)


def _method_faults(recipient: RecipientInput, where: str) -> Iterator[Finding]:
    methods = recipient.methods
    if recipient.authentication_methods and recipient.authentication not in {
        AuthenticationMethod.EMAIL,
        *recipient.authentication_methods,
    }:
        problem = "authentication is not among authentication_methods."
        yield Finding(f"{where}/authentication_methods", problem, "Give one of the two.")
    if AuthenticationMethod.ACCESS_CODE in methods and not recipient.access_code.strip():
        yield Finding(f"{where}/access_code", "Authentication by access code needs the code.")
    if {AuthenticationMethod.SMS, AuthenticationMethod.PHONE_CALL} & set(methods):
        phone = recipient.phone
        if phone is None or not (phone.country_code.isdecimal() and phone.number.isdecimal()):
            yield Finding(
                f"{where}/phone", "Authentication by phone needs a number.", "Digits only, no plus."
            )
    if recipient.knowledge_questions and AuthenticationMethod.KNOWLEDGE not in methods:
        problem = "Questions are asked of a recipient who authenticates by knowledge only."
        yield Finding(f"{where}/knowledge_questions", problem, "Add knowledge to authentication_methods.")
    for number, one in enumerate(recipient.knowledge_questions):
        if not one.question.strip() or is_empty_answer(one.answer):
            yield Finding(f"{where}/knowledge_questions/{number}", "A question and its answer are not empty.")


def find_field_faults(field: FieldInput, role: Role, where: str) -> tuple[Finding, ...]:
    faults = []
    if not role.signs and role is not Role.APPROVER and role is not Role.REVIEWER:
        faults.append(Finding(where, f"A {role} recipient has no fields.", "Give the field to a signer."))
    if field.anchor is None and field.page < 1:
        faults.append(Finding(f"{where}/page", "A field needs a page or an anchor.", "Pages count from 1."))
    if field.anchor is not None and not field.anchor.text:
        faults.append(Finding(f"{where}/anchor/text", "An anchor needs a text."))
    if field.type is FieldType.DROPDOWN and not field.options:
        faults.append(Finding(f"{where}/options", "A dropdown needs options."))
    if field.type is FieldType.RADIO and not field.group:
        faults.append(Finding(f"{where}/group", "A radio button needs the name of its group."))
    return tuple(faults)


def is_email(text: str) -> bool:
    return bool(_EMAIL.match(text)) and len(text) <= 200 and ".." not in text
