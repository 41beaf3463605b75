"""Examines a stored document once per content: whether it may be signed, and in which cleaned form.

The bytes go through a spool folder to an examiner process (engine/documents/examiner.py); nothing of them is
parsed here. What was found is kept per tenant and digest. Must not be called with a transaction open, and never
keeps a password, nor what a password opened under the digest of the closed document.
"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import msgspec

from config.blobs import StoredBlob
from config.database import Transaction
from config.settings_documents import DocumentSettings
from engine.documents.findings import describe
from engine.documents.messages import Answer, Limits, Operation, Task
from engine.engine import Engine
from engine.record import record
from normalizer.document import PageSize
from normalizer.errors import Finding
from normalizer.events import SYSTEM, Event, ResourceType, Source, SourceKind
from normalizer.vocabulary import LedgerType

RULES = 1  # counts up when the examiner finds or removes something else than before
READY, REFUSED = "ready", "refused"
_PIECE = 256 * 1024
_POINTS_PER_INCH = 72
# What another call may answer otherwise: not kept.
_PASSING = frozenset({"needs_password", "wrong_password", "restricted", "out_of_time", "out_of_memory"})


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is "ready" or "refused". `removed`: what was taken out of the document, in words; then `blob_key`,
    `sha256`, `size_bytes` and `pages` are the cleaned document's, else those that were asked about.
    """

    state: str
    findings: tuple[Finding, ...] = ()
    removed: tuple[str, ...] = ()
    blob_key: str
    sha256: str
    size_bytes: int
    page_count: int = 0
    pages: tuple[PageSize, ...] = ()
    is_signed: bool = False

    @property
    def is_ready(self) -> bool:
        return self.state == READY


_decoder = msgspec.json.Decoder(Examination)


async def examine_document(
    engine: Engine,
    tenant_id: UUID,
    blob_key: str,
    sha256: str,
    *,
    password: str = "",
    remove_restrictions: bool = False,
) -> Examination:
    """What is known about this content, examined now unless it was before.

    Raises ExaminerLost when nothing could be found out, BlobNotFound, BlobDamaged, StoreUnavailable.
    """
    known = await _load(engine, tenant_id, blob_key, sha256)
    if known is not None:
        return known
    with tempfile.TemporaryDirectory(prefix="countersign-") as folder:
        source, target = Path(folder, "source.pdf"), Path(folder, "cleaned.pdf")
        size = await spool_blob(engine, tenant_id, blob_key, source)
        answer = await engine.examiners.run(
            Task(
                operation=Operation.EXAMINE,
                source=str(source),
                target=str(target),
                password=password,
                remove_restrictions=remove_restrictions,
                limits=limits_of(engine.settings.document),
            )
        )
        cleaned = await engine.blobs.put(tenant_id, _pieces(target)) if answer.is_changed else None
    return await _keep(engine, tenant_id, StoredBlob(blob_key, sha256, size), answer, cleaned)


def limits_of(settings: DocumentSettings) -> Limits:
    return Limits(
        pages=settings.pages,
        page_side=settings.page_side_inches * _POINTS_PER_INCH,
        file_bytes=settings.file_bytes,
        stream_bytes=settings.stream_bytes,
        image_pixels=settings.image_pixels,
        memory_bytes=settings.memory_bytes,
        cpu_s=settings.cpu_s,
        wall_s=settings.wall_s,
    )


async def spool_blob(engine: Engine, tenant_id: UUID, blob_key: str, target: Path) -> int:
    """Writes a stored document into a file for an examiner; its size."""
    size = 0
    with target.open("wb") as spool:
        async for frame in engine.blobs.open(tenant_id, blob_key):
            spool.write(frame)
            size += len(frame)
    return size


@asynccontextmanager
async def spooled(engine: Engine, tenant_id: UUID, blob_key: str) -> AsyncIterator[str]:
    """The path of a stored document's bytes while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="countersign-") as folder:
        path = Path(folder, "source.pdf")
        await spool_blob(engine, tenant_id, blob_key, path)
        yield str(path)


async def _load(engine: Engine, tenant_id: UUID, blob_key: str, sha256: str) -> Examination | None:
    async with engine.database.transaction(tenant_id) as tx:
        return await _read(tx, tenant_id, blob_key, sha256)


async def _read(tx: Transaction, tenant_id: UUID, blob_key: str, sha256: str) -> Examination | None:
    row = await tx.driver.fetchval(
        "SELECT to_jsonb(e) FROM document_examinations e"
        " WHERE tenant_id = $1 AND source_sha256 = $2 AND rules = $3",
        tenant_id,
        sha256,
        RULES,
    )
    if row is None:
        return None
    kept = _decoder.decode(row)
    return kept if kept.blob_key else msgspec.structs.replace(kept, blob_key=blob_key)


async def _keep(
    engine: Engine, tenant_id: UUID, source: StoredBlob, answer: Answer, cleaned: StoredBlob | None
) -> Examination:
    made = _examination(answer, cleaned or source)
    if not made.is_ready and any(one.code in _PASSING for one in answer.refusals):
        return made
    async with engine.database.transaction(tenant_id) as tx:
        # What a password opened is known under its own digest only: whoever has the closed file needs the password.
        if answer.is_unlocked and cleaned is not None:
            opened = msgspec.structs.replace(made, removed=())
            await _insert(tx, tenant_id, cleaned.sha256, opened, blob_key="")
        else:
            await _insert(tx, tenant_id, source.sha256, made, blob_key=cleaned.key if cleaned else "")
        await record(engine, tx, [_event(engine, tenant_id, source, made, answer)])
        await tx.commit()
    if answer.is_unlocked:
        return made
    # Whoever was first is the one whose cleaned bytes count.
    first = await _load(engine, tenant_id, source.key, source.sha256)
    if first is not None and cleaned is not None and first.blob_key != cleaned.key:
        await engine.blobs.delete(tenant_id, cleaned.key)
    return first or made


async def _insert(tx: Transaction, tenant_id: UUID, sha256: str, made: Examination, *, blob_key: str) -> None:
    await tx.driver.execute(
        "INSERT INTO document_examinations AS e (tenant_id, source_sha256, rules, state, findings, removed,"
        " blob_key, sha256, size_bytes, page_count, pages, is_signed)"
        " VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, $10, $11::jsonb, $12)"
        " ON CONFLICT (tenant_id, source_sha256) DO UPDATE SET rules = excluded.rules, state = excluded.state,"
        " findings = excluded.findings, removed = excluded.removed, blob_key = excluded.blob_key,"
        " sha256 = excluded.sha256, size_bytes = excluded.size_bytes, page_count = excluded.page_count,"
        " pages = excluded.pages, is_signed = excluded.is_signed, examined_at = now()"
        " WHERE e.rules < excluded.rules",
        tenant_id,
        sha256,
        RULES,
        made.state,
        msgspec.json.encode(made.findings).decode(),
        list(made.removed),
        blob_key,
        made.sha256,
        made.size_bytes,
        made.page_count,
        msgspec.json.encode(made.pages).decode(),
        made.is_signed,
    )


def _examination(answer: Answer, stored: StoredBlob) -> Examination:
    return Examination(
        state=REFUSED if answer.refusals else READY,
        findings=tuple(describe(refusal) for refusal in answer.refusals),
        removed=answer.removed,
        blob_key=stored.key,
        sha256=stored.sha256,
        size_bytes=stored.size,
        page_count=answer.page_count,
        pages=answer.pages,
        is_signed=answer.is_signed,
    )


def _event(engine: Engine, tenant_id: UUID, source: StoredBlob, made: Examination, answer: Answer) -> Event:
    """The content's digest names it: the same document may be uploaded under many ids."""
    return Event(
        id=engine.ids.new(),
        type=LedgerType.DOCUMENT_EXAMINED,
        tenant_id=tenant_id,
        envelope_id=None,
        resource_type=ResourceType.DOCUMENT,
        resource_id=f"sha256:{source.sha256}",
        occurred_at=engine.clock.now(),
        actor=SYSTEM,
        source=Source(kind=SourceKind.JOB),
        facts={
            "from_sha256": source.sha256,
            "document_sha256": made.sha256,
            "state": made.state,
            "found": [refusal.code for refusal in answer.refusals],
            "removed": list(made.removed),
        },
    )


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as cleaned:
        while piece := cleaned.read(_PIECE):
            yield piece
