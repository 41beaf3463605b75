"""Builders with defaults for the DocuSign adapter's tests: an envelope, its people, a connection, a key."""

import hashlib
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import pypdfium2
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.docusign.credentials import Credentials, decode_credentials
from adapters.kit.port import Connection
from config.secret import Secret
from normalizer.document import PDF, Document
from normalizer.envelope import Envelope, Expiration, Reminders, Sender
from normalizer.field import Anchor, Field, FieldType
from normalizer.recipient import AccessCode, AuthenticationMethod, Phone, Recipient, Role

NOW = datetime(2026, 3, 5, 10, 15, 30, tzinfo=UTC)
ACCOUNT = "11111111-1111-4111-8111-111111111111"
ENVELOPE_REF = "33333333-3333-4333-8333-333333333333"
WORKFLOWS = {"Phone Authentication": "wf-phone", "DocuSign ID Verification": "wf-id"}


def uid(number: int) -> UUID:
    return UUID(int=(0x018F << 112) | (7 << 76) | (0b10 << 62) | number)


@cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def private_key_pem() -> str:
    return (
        private_key()
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        .decode()
    )


def credentials(**changes: Any) -> Credentials:
    given = {
        "integration_key": "5a0b0c5a-0000-4000-8000-00000000d0c1",
        "user_id": "22222222-2222-4222-8222-222222222222",
        "account_id": ACCOUNT,
        "private_key_pem": private_key_pem(),
        "environment": "demo",
    }
    return decode_credentials(msgspec.json.encode(given | changes))


def connection(**changes: Any) -> Connection:
    given: dict[str, Any] = {
        "id": "con_1",
        "tenant_id": "ten_1",
        "credentials": credentials(),
        "webhook_url": "https://gateway.example.com/webhooks/signatures/docusign/c1",
        "webhook_keys": (Secret("connect-test-key-one/A+b="),),
    }
    return Connection(**(given | changes))


@cache
def pdf(pages: int = 1) -> bytes:
    document = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        document.new_page(595, 842).close()
    out = io.BytesIO()
    document.save(out)
    document.close()
    return out.getvalue()


def document(number: int = 1, body: bytes | None = None, **changes: Any) -> Document:
    body = pdf() if body is None else body
    given: dict[str, Any] = {
        "id": uid(100 + number),
        "name": f"Agreement {number}.pdf",
        "media_type": PDF,
        "size_bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "order": number,
        "blob_key": f"blob-{number}",
    }
    return Document(**(given | changes))


def recipient(number: int = 1, **changes: Any) -> Recipient:
    given: dict[str, Any] = {
        "id": uid(200 + number),
        "name": f"Person {number}",
        "email": f"person{number}@example.com",
        "routing_order": number,
    }
    return Recipient(**(given | changes))


def field(number: int = 1, person: int = 1, **changes: Any) -> Field:
    given: dict[str, Any] = {
        "id": uid(300 + number),
        "document_id": uid(101),
        "recipient_id": uid(200 + person),
        "type": FieldType.SIGNATURE,
        "page": 1,
        "x": 100.4,
        "y": 600.5,
    }
    return Field(**(given | changes))


def envelope(**changes: Any) -> Envelope:
    """One signer, one document, one signature."""
    given: dict[str, Any] = {
        "id": uid(1),
        "tenant_id": uid(2),
        "reference": "env_01hxyz.1",
        "subject": "Please sign: Agreement",
        "message": "Two signers, then a copy.",
        "documents": (document(),),
        "recipients": (recipient(),),
        "fields": (field(),),
        "sender": Sender(id="u1", name="Ada Sender", email="sender@example.com"),
    }
    return Envelope(**(given | changes))


def rich_envelope() -> Envelope:
    """Every role, several proofs, every field type, anchors, reminders and an expiry."""
    people = (
        recipient(1, authentication=AuthenticationMethod.SMS, phone=Phone("1", "5551234567"), embedded=True),
        recipient(
            2,
            role=Role.APPROVER,
            authentication=AuthenticationMethod.ACCESS_CODE,
            access_code=AccessCode("k3y-9"),
        ),
        recipient(3, role=Role.CARBON_COPY, language="pt-BR"),
        recipient(4, role=Role.CERTIFIED_DELIVERY, routing_order=3, note="Please open."),
        recipient(5, role=Role.IN_PERSON, host_name="Hal Host", host_email="hal@example.com"),
        recipient(6, role=Role.REVIEWER, authentication=AuthenticationMethod.KNOWLEDGE),
    )
    kinds = [kind for kind in FieldType if kind is not FieldType.RADIO]
    fields = [
        field(
            number,
            type=kind,
            y=40.0 * number,
            label=f"{kind}_{number}",
            required=number % 2 == 0,
            read_only=number % 5 == 0,
            options=("red", "green") if kind is FieldType.DROPDOWN else (),
            value="green" if kind is FieldType.DROPDOWN else "",
        )
        for number, kind in enumerate(kinds, start=1)
    ]
    fields += [
        field(
            40 + n, type=FieldType.RADIO, group="plan", label=name, x=20.0 * n, value="true" if n == 1 else ""
        )
        for n, name in enumerate(("basic", "full"))
    ]
    fields += [
        field(50, person=5, anchor=Anchor("Sign here:", 4.0, -2.0), page=0, x=0, y=0),
        field(51, person=5, document_id=uid(102), type=FieldType.INITIALS),
        field(52, person=2, type=FieldType.TEXT, label="po_number", width=120.0, height=20.0),
    ]
    return envelope(
        documents=(document(1), document(2, pdf(2))),
        recipients=people,
        fields=tuple(fields),
        reminders=Reminders(first_after_hours=36, every_hours=72),
        expiration=Expiration(at=NOW + timedelta(days=29, hours=1), warn_days=3),
    )


class MemoryBlobs:
    """A BlobSource of one test."""

    def __init__(self, **blobs: bytes) -> None:
        self.blobs = {key.replace("_", "-"): body for key, body in blobs.items()}

    async def read(self, key: str, offset: int = 0) -> AsyncIterator[bytes]:
        yield self.blobs[key][offset:]

    async def write(self, chunks: AsyncIterator[bytes]) -> tuple[str, str, int]:
        body = b"".join([chunk async for chunk in chunks])
        digest = hashlib.sha256(body).hexdigest()
        self.blobs[digest] = body
        return digest, digest, len(body)
