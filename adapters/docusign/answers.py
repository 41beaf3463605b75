"""What DocuSign answers: the attributes that we read, decoded tolerantly and once.

Scalars come as strings, but booleans and numbers were seen too, and null; `Text` takes them all and `text`
makes one form of them. Unknown attributes are ignored: the provider adds some every quarter.
Must never let a half-understood answer pass as a success: what cannot be decoded is told to the caller.
Source: eSignature REST API v2.1; the official Connect sample connect.schema-v2.json (2025-12-12).
"""

import functools
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

Text = str | bool | int | float | None

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:?\d\d)\Z")


def text(value: Text) -> str:
    """One form for a scalar: strings as they are, true and false in lower case, null as nothing."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_true(value: Text) -> bool:
    return text(value).casefold() == "true"


def moment(value: Text) -> datetime | None:
    """An aware UTC moment, its 0 to 7 fraction digits cut (not rounded) to microseconds; None for anything
    else, and for a local time without offset, which nobody can place.
    """
    found = _MOMENT.match(text(value))
    if found is None:
        return None
    whole, fraction, offset = found.groups()
    zone = "+00:00" if offset == "Z" else offset
    try:
        return datetime.fromisoformat(f"{whole}.{(fraction or '')[:6]:0<6}{zone}").astimezone(UTC)
    except ValueError:
        return None


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The base of every answer."""


class ErrorDetails(Answer, frozen=True, kw_only=True):
    error_code: Text = None
    message: Text = None


class EnvelopeSummary(Answer, frozen=True, kw_only=True):
    envelope_id: str = ""
    status: str = ""
    status_date_time: Text = None
    error_details: ErrorDetails | None = None


class Delegation(Answer, frozen=True, kw_only=True):
    name: Text = None
    email: Text = None


class Recipient(Answer, frozen=True, kw_only=True):
    recipient_id: Text = None
    routing_order: Text = None
    name: Text = None
    email: Text = None
    signer_name: Text = None
    signer_email: Text = None
    host_name: Text = None
    host_email: Text = None
    client_user_id: Text = None
    status: Text = None
    custom_fields: tuple[Text, ...] | None = None
    sent_date_time: Text = None
    delivered_date_time: Text = None
    signed_date_time: Text = None
    declined_date_time: Text = None
    declined_reason: Text = None
    auto_responded_reason: Text = None
    delegated_to: tuple[Delegation, ...] | None = None
    recipient_authentication_status: dict[str, Any] | None = None


class Recipients(Answer, frozen=True, kw_only=True):
    signers: tuple[Recipient, ...] | None = None
    agents: tuple[Recipient, ...] | None = None
    editors: tuple[Recipient, ...] | None = None
    intermediaries: tuple[Recipient, ...] | None = None
    carbon_copies: tuple[Recipient, ...] | None = None
    certified_deliveries: tuple[Recipient, ...] | None = None
    in_person_signers: tuple[Recipient, ...] | None = None
    seals: tuple[Recipient, ...] | None = None
    witnesses: tuple[Recipient, ...] | None = None

    def each(self) -> Iterator[tuple[str, Recipient]]:
        """Every recipient with the name of its array."""
        for name, encoded in _arrays():
            for recipient in getattr(self, name) or ():
                yield encoded, recipient


@functools.cache
def _arrays() -> tuple[tuple[str, str], ...]:
    return tuple((field.name, field.encode_name) for field in msgspec.structs.fields(Recipients))


class TextCustomField(Answer, frozen=True, kw_only=True):
    name: Text = None
    value: Text = None


class CustomFields(Answer, frozen=True, kw_only=True):
    text_custom_fields: tuple[TextCustomField, ...] | None = None


class EnvelopeDocument(Answer, frozen=True, kw_only=True):
    name: Text = None
    type: Text = None


class Envelope(Answer, frozen=True, kw_only=True):
    """An envelope as GET, the list and `envelopeSummary` of Connect show it."""

    envelope_id: str = ""
    status: Text = None
    transaction_id: Text = None
    status_changed_date_time: Text = None
    voided_date_time: Text = None
    voided_reason: Text = None
    expire_enabled: Text = None
    expire_date_time: Text = None
    custom_fields: CustomFields | None = None
    recipients: Recipients | None = None
    envelope_documents: tuple[EnvelopeDocument, ...] | None = None


class TransactionStatus(Answer, frozen=True, kw_only=True):
    envelope_id: Text = None
    status: Text = None
    transaction_id: Text = None


class EnvelopesInformation(Answer, frozen=True, kw_only=True):
    envelopes: tuple[Envelope, ...] | None = None
    envelope_transaction_statuses: tuple[TransactionStatus, ...] | None = None
    end_position: Text = None
    total_set_size: Text = None
    next_uri: Text = None


class ChunkedUpload(Answer, frozen=True, kw_only=True):
    chunked_upload_id: str
    chunked_upload_uri: str = ""
    checksum: Text = None


class IdentityWorkflow(Answer, frozen=True, kw_only=True):
    workflow_id: str
    default_name: Text = None
    is_disabled: Text = None


class IdentityWorkflows(Answer, frozen=True, kw_only=True):
    identity_verification: tuple[IdentityWorkflow, ...] | None = None


class NameValue(Answer, frozen=True, kw_only=True):
    name: Text = None
    value: Text = None


class AuditEvent(Answer, frozen=True, kw_only=True):
    event_fields: tuple[NameValue, ...] | None = None


class AuditEvents(Answer, frozen=True, kw_only=True):
    audit_events: tuple[AuditEvent, ...] | None = None


class ViewUrl(Answer, frozen=True, kw_only=True):
    url: str


class AccountInformation(Answer, frozen=True, kw_only=True):
    account_name: Text = None
    account_id_guid: Text = None
    plan_name: Text = None


class Token(msgspec.Struct, frozen=True):
    """OAuth answers have real numbers and booleans, and names with underscores."""

    access_token: str
    expires_in: float = 3600.0


class UserAccount(msgspec.Struct, frozen=True):
    account_id: str
    base_uri: str
    is_default: Text = None
    account_name: Text = None


class UserInfo(msgspec.Struct, frozen=True):
    accounts: tuple[UserAccount, ...] = ()
    name: Text = None
    email: Text = None


def embedded_errors(body: bytes) -> tuple[ErrorDetails, ...]:
    """Every `errorDetails` inside a 200 or 201 that is an error: success there says null or "SUCCESS"."""
    try:
        decoded = msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        return ()
    return tuple(_errors_in(decoded))


def _errors_in(value: Any) -> Iterator[ErrorDetails]:
    if isinstance(value, dict):
        found = value.get("errorDetails")
        if isinstance(found, dict):
            code = str(found.get("errorCode") or "")
            if code and code.casefold() != "success":
                yield ErrorDetails(error_code=code, message=str(found.get("message") or ""))
        for item in value.values():
            yield from _errors_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _errors_in(item)
