"""The files that signers added: what the certificate of completion says of each, and which it carries within.

All of them are carried when they are small together; else each is named by its hash and kept with the envelope.
"""

from collections.abc import Sequence

import msgspec

from config.blobs import BlobStore
from engine.ceremony.attach import Attachment
from engine.model import EngineEnvelope
from engine.sealing.files import fetch_file, private_folder
from normalizer.ids import Kind, print_id

MOST_CARRIED_BYTES = 5 * 1024 * 1024


class AttachmentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`carried_as` is the name inside the certificate's PDF; empty for a file that is too large for it."""

    field: str
    label: str
    recipient: str
    name: str
    media_type: str
    sha256: str
    size_bytes: int
    carried_as: str


def attachment_facts(
    envelope: EngineEnvelope, attachments: Sequence[Attachment]
) -> tuple[AttachmentFacts, ...]:
    is_carried = sum(one.size_bytes for one in attachments) < MOST_CARRIED_BYTES
    fields = {field.id: field for field in envelope.fields}
    return tuple(
        AttachmentFacts(
            field=print_id(Kind.FIELD, one.field_id),
            label=fields[one.field_id].label,
            recipient=print_id(Kind.RECIPIENT, fields[one.field_id].recipient_id),
            name=one.name,
            media_type=one.media_type,
            sha256=one.sha256,
            size_bytes=one.size_bytes,
            carried_as=f"attachment-{number}-{one.name}" if is_carried else "",
        )
        for number, one in enumerate(attachments, start=1)
    )


async def fetch_carried(
    blobs: BlobStore,
    envelope: EngineEnvelope,
    attachments: Sequence[Attachment],
    facts: Sequence[AttachmentFacts],
) -> dict[str, bytes]:
    """The files by their names inside. Raises SealingFailed for one that is gone or is not what was uploaded."""
    found: dict[str, bytes] = {}
    async with private_folder() as folder:
        for one, told in zip(attachments, facts, strict=True):
            if told.carried_as:
                file = folder / "attachment"
                await fetch_file(blobs, envelope.tenant_id, one.blob_key, one.sha256, file)
                found[told.carried_as] = file.read_bytes()
    return found
