"""Builders with defaults for the adapter's tests: one envelope, one connection, one document."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from adapters.adobe_sign import ADAPTER
from adapters.kit.port import Connection
from normalizer.document import PDF, Document, PageSize
from normalizer.envelope import Envelope, Expiration, Reminders, Sender
from normalizer.field import Anchor, Field, FieldType
from normalizer.recipient import AccessCode, AuthenticationMethod, Phone, Recipient, Role

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
CLIENT_ID = "client-1"
BASE = "https://api.na1.adobesign.com"
A4 = PageSize(595.0, 842.0)
LETTER = PageSize(612.0, 792.0)


def uid(number: int) -> UUID:
    return UUID(int=(7 << 76) | (0b10 << 62) | number)


def connection(**changes) -> Connection:
    raw = {
        "client_id": CLIENT_ID,
        "client_secret": "secret-1",
        "refresh_token": "refresh-1",
        "api_access_point": BASE,
    } | changes.pop("credentials", {})
    return Connection(
        id="con_1",
        tenant_id="ten_1",
        credentials=ADAPTER.decode_credentials(msgspec.json.encode(raw)),
        **changes,
    )


def document(number: int = 1, **changes) -> Document:
    made = Document(
        id=uid(100 + number),
        name=f"Agreement {number}.pdf",
        media_type=PDF,
        size_bytes=1000 + number,
        sha256=f"{number:064x}",
        order=number,
        blob_key=f"blob-{number}",
        pages=(A4, A4),
    )
    return msgspec.structs.replace(made, **changes)


def recipient(number: int = 1, **changes) -> Recipient:
    names = {1: "Ada Signer", 2: "Bob Approver", 3: "Di Delivery", 4: "Cy Copy"}
    emails = {1: "ada@example.com", 2: "bob@example.com", 3: "di@example.com", 4: "cy@example.com"}
    made = Recipient(
        id=uid(200 + number),
        name=names.get(number, f"Person {number}"),
        email=emails.get(number, f"person{number}@example.com"),
        routing_order=number,
    )
    return msgspec.structs.replace(made, **changes)


def field(number: int = 1, **changes) -> Field:
    made = Field(
        id=uid(300 + number),
        document_id=uid(101),
        recipient_id=uid(201),
        type=FieldType.SIGNATURE,
        page=1,
        x=100.0,
        y=600.0,
        width=150.0,
        height=30.0,
    )
    return msgspec.structs.replace(made, **changes)


def anchored(number: int = 1, **changes) -> Field:
    return field(number, page=0, x=0.0, y=0.0, anchor=Anchor("Sign here:", 10.0, 0.0), **changes)


def envelope(**changes) -> Envelope:
    made = Envelope(
        id=uid(1),
        tenant_id=uid(2),
        reference="env_01hxyz.1",
        subject="Agreement",
        message="Please sign",
        documents=(document(),),
        recipients=(recipient(),),
        fields=(),
        sender=Sender(id="user-1", name="Sam Sender", email="sam@example.com"),
    )
    return msgspec.structs.replace(made, **changes)


def canonical_envelope() -> Envelope:
    """Everything at once that one request can carry without coordinates."""
    return envelope(
        recipients=(
            recipient(1, authentication=AuthenticationMethod.SMS, phone=Phone("1", "5551234567")),
            recipient(
                2,
                role=Role.APPROVER,
                authentication=AuthenticationMethod.ACCESS_CODE,
                access_code=AccessCode("k3y-9"),
                routing_order=20,
            ),
            recipient(3, role=Role.CERTIFIED_DELIVERY, routing_order=30),
            recipient(4, role=Role.CARBON_COPY, routing_order=1),
        ),
        fields=(anchored(),),
        reminders=Reminders(first_after_hours=48, every_hours=168),
        expiration=Expiration(at=NOW + timedelta(days=30)),
        language="en",
    )
