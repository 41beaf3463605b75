"""Facts that have happened: what every change of state records, and what a provider's webhook says.

An Event is written once: as a ledger entry and, where the vocabulary gives it a webhook name, an outbox row.
Personal data goes into `personal` only, where it is sealed under its subject's own key and can be erased.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from normalizer.canonical import Json
from normalizer.envelope import EnvelopeReport
from normalizer.status import EnvelopeStatus, RecipientStatus
from normalizer.vocabulary import EventType, LedgerType


class ActorType(StrEnum):
    USER = "user"  # a DMS user, named by the calling system
    API_KEY = "api_key"
    ADMINISTRATOR = "administrator"
    RECIPIENT = "recipient"
    PROVIDER = "provider"
    SYSTEM = "system"


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it. `credential_id` is the key by which the call was authenticated. Name, e-mail, address and
    user agent are personal data: the ledger seals them.
    """

    type: ActorType
    id: str
    credential_id: str = ""
    name: str = ""
    email: str = ""
    ip_address: str = ""
    user_agent: str = ""


SYSTEM = Actor(type=ActorType.SYSTEM, id="countersign")


class SourceKind(StrEnum):
    API = "api"
    WEBHOOK = "webhook"
    RECONCILE = "reconcile"
    JOB = "job"
    CLI = "cli"
    CEREMONY = "ceremony"
    PORTAL = "portal"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """How it came to us. `raw_sha256` is the digest of a webhook's exact bytes, kept in the inbox."""

    kind: SourceKind
    request_id: str = ""
    provider: str = ""
    provider_event_id: str = ""
    raw_sha256: str = ""


class ResourceType(StrEnum):
    ENVELOPE = "envelope"
    DOCUMENT = "document"
    RECIPIENT = "recipient"
    FIELD = "field"
    TENANT = "tenant"
    USER = "user"
    API_KEY = "api_key"
    CONNECTION = "connection"
    ENDPOINT = "endpoint"
    DELIVERY = "delivery"
    REPLAY = "replay"
    INBOUND = "inbound"
    CERTIFICATE = "certificate"
    TEMPLATE = "template"
    SIGNATURE = "signature"
    NOTICE = "notice"
    SYSTEM = "system"


class Personal(msgspec.Struct, frozen=True):
    """One personal value: `subject` (an e-mail address, lower case) is whose it is and whose key seals it."""

    path: str
    subject: str
    value: str


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """`envelope_id` set: the entry goes into that envelope's chain, else into the tenant's (`tenant_id` None:
    the system's). `facts` is hashed as canonical JSON: no floats, no personal data. `announcement` is the
    webhook's `data` object, needed exactly when the type has a webhook name.
    """

    id: UUID
    type: LedgerType
    tenant_id: UUID | None
    envelope_id: UUID | None
    resource_type: ResourceType
    resource_id: str
    occurred_at: datetime
    actor: Actor
    source: Source
    facts: Mapping[str, Json] = {}
    personal: tuple[Personal, ...] = ()
    announcement: Mapping[str, Json] | None = None


class ReportedDocument(msgspec.Struct, frozen=True):
    """A document as a provider's message names it; `sha256` in hexadecimal where it tells one."""

    name: str
    sha256: str = ""


class ProviderEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a provider's webhook says. `type` None: authentic, but nothing that we act on.

    `dedupe_key` is the same for every redelivery of the same fact. `recipient_*` name who it is about.
    `report` carries the provider's whole view when the message had one. `confirm` True: the message is not
    signed strongly enough for a terminal move, so a GET must confirm it first. `account` and `documents` are what it
    says of them; "" and None: nothing.
    """

    type: EventType | None
    provider_event: str
    dedupe_key: str
    provider_ref: str
    occurred_at: datetime | None
    reference: str = ""
    status: EnvelopeStatus | None = None
    recipient_status: RecipientStatus | None = None
    recipient_email: str = ""
    recipient_ref: str = ""
    recipient_id: UUID | None = None
    new_recipient_email: str = ""
    new_recipient_name: str = ""
    reason: str = ""
    ip_address: str = ""
    report: EnvelopeReport | None = None
    confirm: bool = False
    account: str = ""
    documents: tuple[ReportedDocument, ...] | None = None
