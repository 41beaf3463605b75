"""Verifies a file that came in, or a stored document, and says so in the tenant's ledger."""

from pathlib import Path
from uuid import UUID

import msgspec

from engine.documents.examine import spooled
from engine.verification.known import find_known
from engine.verification.report import Report
from engine.verification.trust import trusted_roots
from engine.verification.verify import verify_file
from engine.verification.words import LANGUAGE
from gateway.envelopes.store import load_document
from gateway.services import Caller, Services
from normalizer.document import PDF
from normalizer.errors import ValidationFailed
from normalizer.events import Event, ResourceType
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType


async def verify_upload(
    services: Services, path: Path, *, tenant_id: UUID | None = None, language: str = LANGUAGE
) -> Report:
    """Compared with what this tenant's records hold; None: with everybody's. Raises ExaminerLost."""
    engine = services.engine
    roots = trusted_roots(services.settings)
    report = await verify_file(
        engine.examiners, services.settings, services.clock, path, roots, language=language
    )
    known = await find_known(services.hub, report.sha256, tenant_id)
    return msgspec.structs.replace(report, stored=known, matches_stored=True if known else None)


async def verify_sent(services: Services, caller: Caller, path: Path) -> Report:
    """A tenant's own question, recorded. Raises ExaminerLost."""
    report = await verify_upload(services, path, tenant_id=caller.tenant_id)
    await _record(services, caller, report, f"sha256:{report.sha256}", None)
    return report


async def verify_stored(services: Services, caller: Caller, document_id: UUID) -> Report:
    """A document that is stored here, compared with the digest that was taken when it came.

    Raises NotFound, ValidationFailed for what is no PDF, BlobNotFound, BlobDamaged, ExaminerLost.
    """
    document = await load_document(services.database, caller.tenant_id, document_id)
    if document.media_type != PDF:
        raise ValidationFailed("Only PDF documents bear signatures that can be verified.")
    async with spooled(services.engine, caller.tenant_id, document.blob_key) as path:
        report = await verify_upload(services, Path(path), tenant_id=caller.tenant_id)
    report = msgspec.structs.replace(report, matches_stored=report.sha256 == document.sha256)
    await _record(services, caller, report, print_id(Kind.DOCUMENT, document_id), document.envelope_id)
    return report


async def _record(
    services: Services, caller: Caller, report: Report, resource_id: str, envelope_id: UUID | None
) -> None:
    event = Event(
        id=services.ids.new(),
        type=LedgerType.CERTIFICATE_VERIFIED,
        tenant_id=caller.tenant_id,
        envelope_id=envelope_id,
        resource_type=ResourceType.DOCUMENT,
        resource_id=resource_id,
        occurred_at=report.verified_at,
        actor=caller.actor,
        source=caller.source,
        facts={
            "document_sha256": report.sha256,
            "verdict": report.verdict.value,
            "signatures": len(report.signatures),
            "certificates": [one.thumbprint_sha256 for one in report.signatures],
        },
    )
    async with services.database.transaction(caller.tenant_id) as tx:
        await services.recorder.record(tx, [event])
        await tx.commit()
