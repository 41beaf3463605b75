"""Has documents examined for tenants whose envelopes may be signed here, and says what became of it.

A document that comes in is processing until it was examined, then ready, or refused with what was found. Other
tenants' documents are not examined: their provider does that. Must never send a document that was refused, or of
which nothing is known yet, and never keeps a password.
"""

import logging
from collections.abc import Mapping
from uuid import UUID

import msgspec

from adapters.kit.port import InProcess
from config.database import Transaction
from config.errors import BlobDamaged, BlobNotFound, StoreUnavailable
from engine.documents.examine import READY, REFUSED, Examination, examine_document
from engine.documents.examiners import ExaminerLost
from engine.documents.findings import describe
from engine.documents.messages import Refusal
from gateway.envelopes.examined import PROCESSING, refusal
from gateway.envelopes.model import StoredDocument
from gateway.envelopes.route import load_routing
from gateway.envelopes.store import load_document
from gateway.routing.policy import Policy, Routing
from gateway.services import Services
from normalizer.document import PDF
from normalizer.errors import ValidationFailed
from normalizer.events import SYSTEM, Event, ResourceType, Source, SourceKind
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

logger = logging.getLogger("countersign.documents")

_SWEPT_AT_ONCE = 20
_GRACE_S = 10.0


class Unlock(msgspec.Struct, frozen=True):
    """What the sender gives along with a closed document, for this one upload."""

    password: str = ""
    remove_restrictions: bool = False

    @property
    def is_asked(self) -> bool:
        return bool(self.password) or self.remove_restrictions

    def __repr__(self) -> str:
        return "Unlock(***)"


async def is_signed_here(services: Services, tenant_id: UUID) -> bool:
    """Whether an envelope of this tenant may go to a provider that runs in this process; from memory."""
    routing = await load_routing(services, tenant_id, from_memory=True)
    choosable = _choosable(routing)
    return any(
        isinstance(services.adapters.get(connection.provider), InProcess)
        for connection in routing.connections
        if connection.active and connection.id in choosable
    )


def _choosable(routing: Routing) -> frozenset[UUID]:
    policy = routing.policy or Policy()
    named = {rule.connection_id for rule in policy.rules} | set(policy.fallback)
    if policy.default_connection_id is None:
        return frozenset(named | {connection.id for connection in routing.connections})
    return frozenset(named | {policy.default_connection_id})


async def settle_document(
    services: Services, tenant_id: UUID, document_id: UUID, unlock: Unlock | None = None
) -> StoredDocument:
    """Examines a document that is processing and writes down what was found. Raises NotFound, ExaminerLost, and the
    blob store's errors; then the document is still processing.
    """
    document = await load_document(services.database, tenant_id, document_id)
    if document.status != PROCESSING:
        return document
    unlock = unlock or Unlock()
    examined = await _examine(services, tenant_id, document, unlock)
    # Opened: from here on the document is what the password opened, and the closed one is named by its digest.
    is_opened = unlock.is_asked and examined.is_ready and examined.sha256 != document.sha256
    async with services.database.transaction(tenant_id) as tx:
        written = await _write(tx, tenant_id, document, examined, is_opened=is_opened)
        if written and is_opened:
            await services.recorder.record(tx, [_opened_event(services, tenant_id, document, examined)])
        await tx.commit()
    if written and is_opened:
        await _forget(services, tenant_id, document)
    return await load_document(services.database, tenant_id, document_id)


async def drop_refused(services: Services, tenant_id: UUID, document: StoredDocument) -> ValidationFailed:
    """Removes a refused document that nobody has seen yet; the error that says why."""
    async with services.database.transaction(tenant_id) as tx:
        await tx.driver.execute(
            "DELETE FROM documents WHERE tenant_id = $1 AND id = $2 AND status = 'refused'"
            " AND envelope_id IS NULL",
            tenant_id,
            document.id,
        )
        await tx.commit()
    await _forget(services, tenant_id, document)
    return refusal(document.findings)


async def settle_due(services: Services) -> int:
    """Takes up examinations that nobody finished; how many. What fails is tried again by the next run."""
    settings = services.settings.document
    rows = await services.hub.fetch(
        "SELECT tenant_id, id FROM documents WHERE status = 'processing'"
        " AND created_at < now() - make_interval(secs => $1) ORDER BY created_at LIMIT $2",
        settings.wall_s + settings.inline_wait_s + _GRACE_S,
        _SWEPT_AT_ONCE,
    )
    for row in rows:
        try:
            await settle_document(services, row["tenant_id"], row["id"])
        except ExaminerLost:
            logger.warning("a document could not be examined: %s", row["id"], exc_info=True)
    return len(rows)


async def note_examinations(
    services: Services, tenant_id: UUID, examined: Mapping[UUID, Examination]
) -> None:
    """Writes to new documents' rows what their examination said beside that they are ready. It is for readers only:
    a store that is away leaves it out, and raises nothing.
    """
    worth_it = {one: what for one, what in examined.items() if what.removed or what.is_signed}
    if not worth_it:
        return
    try:
        async with services.database.transaction(tenant_id) as tx:
            for document_id, what in worth_it.items():
                await tx.driver.execute(
                    "UPDATE documents SET removed = $3, is_signed = $4 WHERE tenant_id = $1 AND id = $2",
                    tenant_id,
                    document_id,
                    list(what.removed),
                    what.is_signed,
                )
            await tx.commit()
    except StoreUnavailable:
        logger.warning("what was removed from %d documents was not noted", len(worth_it))


async def _examine(
    services: Services, tenant_id: UUID, document: StoredDocument, unlock: Unlock
) -> Examination:
    try:
        return await examine_document(
            services.engine,
            tenant_id,
            document.blob_key,
            document.sha256,
            password=unlock.password,
            remove_restrictions=unlock.remove_restrictions,
        )
    except (BlobNotFound, BlobDamaged):
        # A later try would find the same.
        logger.exception("a document's bytes cannot be read: %s", document.id)
        return Examination(
            state=REFUSED,
            findings=(describe(Refusal("damaged", detail="what was stored cannot be read")),),
            blob_key=document.blob_key,
            sha256=document.sha256,
            size_bytes=document.size_bytes,
        )


async def _write(
    tx: Transaction, tenant_id: UUID, document: StoredDocument, examined: Examination, *, is_opened: bool
) -> bool:
    """Whether the document was still waiting for this. A cleaned document stays beside the one that came in: the
    engine signs the cleaned one, and keeps both digests.
    """
    pages = [(page.width, page.height) for page in examined.pages]
    done = await tx.driver.execute(
        "UPDATE documents SET status = $3, findings = $4::jsonb, removed = $5, is_signed = $6, page_count = $7,"
        " pages = $8::jsonb WHERE tenant_id = $1 AND id = $2 AND status = 'processing'",
        tenant_id,
        document.id,
        READY if examined.is_ready else REFUSED,
        msgspec.json.encode(examined.findings).decode(),
        list(examined.removed),
        examined.is_signed,
        examined.page_count or None,
        msgspec.json.encode(pages).decode(),
    )
    if done == "UPDATE 1" and is_opened:
        await tx.driver.execute(
            "UPDATE documents SET blob_key = $3, sha256 = $4, size_bytes = $5, source_media_type = media_type,"
            " source_sha256 = $6 WHERE tenant_id = $1 AND id = $2",
            tenant_id,
            document.id,
            examined.blob_key,
            examined.sha256,
            examined.size_bytes,
            document.sha256,
        )
    return bool(done == "UPDATE 1")


async def examine_new(
    services: Services, tenant_id: UUID, media_type: str, blob_key: str, sha256: str
) -> Examination | None:
    """For bytes that came inside a request and have no row yet; None for what is no PDF. Raises ValidationFailed
    with the findings when they are refused.
    """
    if media_type != PDF:
        return None
    examined = await examine_document(services.engine, tenant_id, blob_key, sha256)
    if not examined.is_ready:
        raise refusal(examined.findings)
    return examined


def _opened_event(
    services: Services, tenant_id: UUID, document: StoredDocument, examined: Examination
) -> Event:
    return Event(
        id=services.ids.new(),
        type=LedgerType.DOCUMENT_MODIFIED,
        tenant_id=tenant_id,
        envelope_id=document.envelope_id,
        resource_type=ResourceType.DOCUMENT,
        resource_id=print_id(Kind.DOCUMENT, document.id),
        occurred_at=services.clock.now(),
        actor=SYSTEM,
        source=Source(kind=SourceKind.JOB),
        facts={
            "from_sha256": document.sha256,
            "document_sha256": examined.sha256,
            "change": "decrypted at the sender's request",
        },
    )


async def _forget(services: Services, tenant_id: UUID, document: StoredDocument) -> None:
    try:
        await services.blobs.delete(tenant_id, document.blob_key)
    except Exception:  # the bytes belong to nobody any more: no error of the caller's
        logger.warning("bytes without a document may remain: %s", document.blob_key, exc_info=True)
