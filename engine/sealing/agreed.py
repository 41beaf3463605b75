"""Whether what is about to be sealed is what the signers put their names to, documents, values and pictures alike.

Each finish wrote down what it was for (`intents`), and the hash of that stands in the audit chain: a value, a
picture or a document that was changed in the database afterwards differs from it, and is never sealed.
Source: 21 CFR 11.70 (signatures are linked to their records and cannot be transferred).
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec

from config.database import Transaction
from engine.model import EngineEnvelope, EngineRecipient
from engine.sealing.errors import SealingFailed, SealTrouble
from ledger.read import ReadEntry
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType


async def check_agreed(tx: Transaction, envelope: EngineEnvelope, entries: Sequence[ReadEntry]) -> None:
    """`entries` are the envelope's, from a chain that was found unbroken. Raises SealingFailed."""
    rows = await tx.driver.fetch(
        "SELECT recipient_id, content FROM intents WHERE tenant_id = $1 AND engine_id = $2",
        envelope.tenant_id,
        envelope.id,
    )
    kept = {row["recipient_id"]: row["content"] for row in rows}
    files = await tx.driver.fetch(
        "SELECT blob_key, sha256 FROM attachments WHERE tenant_id = $1 AND engine_id = $2",
        envelope.tenant_id,
        envelope.id,
    )
    attached = {row["blob_key"]: row["sha256"] for row in files}
    confirmed = {
        entry.resource_id: str(entry.facts.get("content_sha256", ""))
        for entry in entries
        if entry.event_type is LedgerType.INTENT_CONFIRMED
    }
    for recipient in envelope.recipients:
        digest = confirmed.get(print_id(Kind.RECIPIENT, recipient.id))
        content = kept.get(recipient.id)
        if digest is None and content is None:
            continue
        if digest is None or content is None or not _is_of(content, digest):
            raise _changed("the record of what a recipient signed for is not the one in the audit chain")
        _compare(envelope, recipient, msgspec.json.decode(content), attached)


def _compare(
    envelope: EngineEnvelope, recipient: EngineRecipient, signed_for: dict[str, Any], attached: dict[str, str]
) -> None:
    shown = {one["document_id"]: one["sha256"] for one in signed_for["documents"]}
    if shown != {print_id(Kind.DOCUMENT, one.id): one.sha256 for one in envelope.documents}:
        raise _changed("a document is not the one that a recipient signed")
    pictures = {mark.id: mark.sha256 for mark in envelope.signatures}
    values = {
        print_id(Kind.FIELD, field.id): (
            field.type.value,
            field.value,
            pictures.get(field.signature_id) if field.signature_id else None,
            attached.get(field.attachment_blob_key),
        )
        for field in envelope.fields_of(recipient.id)
    }
    if values != {
        one["field_id"]: (one["type"], one["value"], one["signature_sha256"], one["attachment_sha256"])
        for one in signed_for["fields"]
    }:
        raise _changed("a field does not hold what its recipient signed for")
    if (signed_for["signed_name"], signed_for["meaning"]) != (recipient.signed_name, recipient.meaning):
        raise _changed("a signature's name or meaning is not the one that was signed")


def _is_of(content: str, digest: str) -> bool:
    return hmac.compare_digest(hashlib.sha256(content.encode()).hexdigest(), digest)


def _changed(detail: str) -> SealingFailed:
    return SealingFailed(SealTrouble.DOCUMENT_CHANGED, detail)
