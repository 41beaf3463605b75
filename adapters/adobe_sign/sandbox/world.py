"""The sandbox's state as plain structs, so that a snapshot is one JSON document. No behaviour lives here."""

from datetime import datetime
from typing import Any

import msgspec

JsonObject = dict[str, Any]


class Member(msgspec.Struct, kw_only=True):
    """One person of a participant set."""

    id: str
    email: str
    user_id: str
    name: str = ""
    company: str = ""
    status: str = "ACTIVE"
    authentication: str = "NONE"
    phone_info: JsonObject | None = None
    failed_attempts: int = 0
    viewed: bool = False


class ParticipantSet(msgspec.Struct, kw_only=True):
    """One step of the routing; any one of its members acts for the set."""

    id: str
    order: int
    role: str
    members: list[Member]
    status: str = "NOT_YET_VISIBLE"
    name: str = ""
    label: str = ""
    private_message: str = ""
    visible_pages: list[str] = []
    completed_by: str = ""
    completed_at: datetime | None = None


class Document(msgspec.Struct, kw_only=True):
    """One uploaded file; `pdf` is the blob of its PDF form once it is processed."""

    id: str
    name: str
    mime_type: str
    source: str
    label: str = ""
    pdf: str = ""
    num_pages: int = 0
    first_page: int = 1


class Stamp(msgspec.Struct, kw_only=True):
    """Visible text of one signing, in points of the displayed page, origin bottom-left."""

    page: int
    left: float
    bottom: float
    width: float
    height: float
    lines: list[str]


class AgreementEvent(msgspec.Struct, kw_only=True):
    """One row of the agreement's history."""

    id: str
    date: datetime
    type: str
    description: str
    participant_email: str = ""
    participant_id: str = ""
    participant_role: str = ""
    acting_email: str = ""
    acting_ip: str = ""
    comment: str = ""
    version_id: str = ""


class Reminder(msgspec.Struct, kw_only=True):
    """A reminder, sent once or repeatedly."""

    id: str
    participant_ids: list[str]
    status: str = "ACTIVE"
    note: str = ""
    frequency: str = "ONCE"
    first_delay_h: int = 0
    counter_from: str = "REMINDER_CREATION"
    next_sent: datetime | None = None
    last_sent: datetime | None = None


class Agreement(msgspec.Struct, kw_only=True):
    """One agreement with everything that belongs to it."""

    id: str
    name: str
    owner: str
    wanted: str
    created: datetime
    signature_type: str
    info: JsonObject  # the optional attributes of AgreementInfo exactly as they were sent
    participant_sets: list[ParticipantSet]
    documents: list[Document]
    status: str = "DOCUMENTS_NOT_YET_PROCESSED"
    external_id: str = ""
    expiration: datetime | None = None
    fields: list[JsonObject] = []
    values: dict[str, str] = {}
    stamps: list[Stamp] = []
    events: list[AgreementEvent] = []
    reminders: list[Reminder] = []
    hidden: list[str] = []
    documents_deleted: bool = False
    deleted: bool = False
    version: int = 1


class Transient(msgspec.Struct, kw_only=True):
    """An uploaded file before it is used; valid for seven days."""

    id: str
    name: str
    mime_type: str
    blob: str
    created: datetime


class LibraryDocument(msgspec.Struct, kw_only=True):
    """A template: a file and its fields, each assigned to the n-th participant set of the agreement."""

    id: str
    name: str
    blob: str
    fields: list[JsonObject]
    modified: datetime


class AccessToken(msgspec.Struct, kw_only=True):
    """A bearer token of one hour."""

    expires: datetime
    client_id: str
    scopes: list[str]


class RefreshToken(msgspec.Struct, kw_only=True):
    """A refresh token; it is not rotated and dies after sixty days without use."""

    client_id: str
    scopes: list[str]
    last_used: datetime
    revoked: bool = False


class Notification(msgspec.Struct, kw_only=True):
    """One webhook message that waits in its webhook's queue."""

    id: str
    event: str
    body: str
    not_before: datetime
    attempts: int = 0


class Webhook(msgspec.Struct, kw_only=True):
    """A registered webhook and its single queue."""

    id: str
    name: str
    scope: str
    owner: str
    client_id: str
    url: str
    events: list[str]
    created: datetime
    modified: datetime
    status: str = "ACTIVE"
    resource_type: str = ""
    resource_id: str = ""
    conditional: JsonObject = {}
    problem_emails: list[str] = []
    application_name: str = ""
    queue: list[Notification] = []
    disabled_by: str = ""


class World(msgspec.Struct, kw_only=True):
    """Everything that a restart must keep."""

    clock_offset_s: float = 0.0
    agreements: dict[str, Agreement] = {}
    transients: dict[str, Transient] = {}
    library: dict[str, LibraryDocument] = {}
    access_tokens: dict[str, AccessToken] = {}
    refresh_tokens: dict[str, RefreshToken] = {}
    codes: dict[str, datetime] = {}
    webhooks: dict[str, Webhook] = {}
    sent: int = 0
