"""What the Acrobat Sign REST v6 API answers and posts: the attributes that are read.

Tolerant of everything else: absent attributes, new ones, and the empty strings of trimmed messages. Must
never let an undocumented answer pass as a success.
Source: Acrobat Sign REST v6 swagger 1.2 (2018-08); developer guide of 2026-04-29, which wins over it.
"""

from typing import TypeVar

import msgspec

from adapters.kit.exchange import ProviderResponse
from adapters.kit.outcome import Interruption, Unknown

T = TypeVar("T")


class Received(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The base of everything we read."""


class TokenAnswer(Received, frozen=True):
    """The one answer with snake-case names: it is OAuth's."""

    access_token: str = msgspec.field(name="access_token")
    expires_in: int = msgspec.field(default=3600, name="expires_in")


class BaseUris(Received, frozen=True):
    api_access_point: str


class TransientDocument(Received, frozen=True):
    transient_document_id: str


class CreatedId(Received, frozen=True):
    id: str


class ExternalIdSeen(Received, frozen=True):
    id: str = ""


class Agreement(Received, frozen=True):
    """GET /agreements/{id}: the attributes that are read."""

    id: str
    status: str = ""
    name: str = ""
    external_id: ExternalIdSeen | None = None
    last_event_date: str = ""


class Member(Received, frozen=True):
    id: str = ""
    email: str = ""
    name: str = ""
    status: str = ""


class ParticipantSet(Received, frozen=True):
    """`order` is a number, or an empty string in a trimmed message."""

    id: str = ""
    member_infos: tuple[Member, ...] = ()
    order: int | str = 0
    role: str = ""
    status: str = ""
    name: str = ""
    private_message: str = ""


class Members(Received, frozen=True):
    participant_sets: tuple[ParticipantSet, ...] = ()


class ListedAgreement(Received, frozen=True):
    id: str
    status: str = ""
    name: str = ""
    display_date: str = ""


class Page(Received, frozen=True):
    next_cursor: str | None = None


class AgreementList(Received, frozen=True):
    user_agreement_list: tuple[ListedAgreement, ...] = ()
    page: Page | None = None


class AgreementEvent(Received, frozen=True):
    type: str = ""
    date: str = ""
    description: str = ""
    participant_email: str = ""
    acting_user_email: str = ""
    acting_user_ip_address: str = ""
    comment: str = ""


class Events(Received, frozen=True):
    events: tuple[AgreementEvent, ...] = ()


class DocumentSeen(Received, frozen=True):
    id: str
    label: str = ""
    name: str = ""


class Documents(Received, frozen=True):
    documents: tuple[DocumentSeen, ...] = ()


class FieldSeen(Received, frozen=True):
    name: str = ""


class FormFields(Received, frozen=True):
    fields: tuple[msgspec.Raw, ...] = ()


class SigningUrl(Received, frozen=True):
    email: str = ""
    esign_url: str = ""


class SigningUrlSet(Received, frozen=True):
    signing_url_set_name: str = ""
    signing_urls: tuple[SigningUrl, ...] = ()


class SigningUrls(Received, frozen=True):
    signing_url_set_infos: tuple[SigningUrlSet, ...] = ()


class User(Received, frozen=True):
    id: str = ""
    email: str = ""
    account_id: str = ""
    status: str = ""


class ErrorAnswer(Received, frozen=True):
    """The API's {code, message, retryAfter}, and the token endpoint's {error, error_description}."""

    code: str = ""
    message: str = ""
    retry_after: int | float | None = None
    error: str = ""
    error_description: str = msgspec.field(default="", name="error_description")


class Comment(Received, frozen=True):
    comment: str = ""


class NotifiedAgreement(Received, frozen=True):
    """The agreement inside a notification; all but id, name and status may be trimmed away."""

    id: str = ""
    name: str = ""
    status: str = ""
    external_id: ExternalIdSeen | None = None
    participant_sets_info: Members | None = None
    documents_info: Documents | None = None


class Notification(Received, frozen=True):
    """A webhook's body. The list of applicable users was removed in 2025-06 and is not read."""

    event: str = ""
    sub_event: str = ""
    event_date: str = ""
    event_resource_type: str = ""
    webhook_notification_id: str = ""
    participant_user_email: str = ""
    acting_user_email: str = ""
    acting_user_ip_address: str = ""
    agreement: NotifiedAgreement | None = None
    agreement_cancellation_info: Comment | None = None
    agreement_expiration_info: Comment | None = None


def decode(response: ProviderResponse, kind: type[T]) -> T:
    """Ends the operation as Unknown when the answer is not what the documentation says: the provider has
    done something, and we cannot tell what.
    """
    try:
        return msgspec.json.decode(response.body, type=kind)
    except msgspec.MsgspecError as error:
        raise Interruption(Unknown(f"undocumented answer, no {kind.__name__}: {error}")) from error


def decode_error(body: bytes) -> ErrorAnswer:
    """What an error answer says; empty for HTML and for bodies that are not the documented shape."""
    try:
        return msgspec.json.decode(body, type=ErrorAnswer)
    except msgspec.MsgspecError:
        return ErrorAnswer()
