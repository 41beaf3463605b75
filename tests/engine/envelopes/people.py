"""How the people of a test act in the built-in engine: by the engine's own functions, as its pages do."""

from collections.abc import AsyncIterator
from uuid import UUID

from engine.engine import Engine
from engine.envelopes.act import (
    complete_recipient,
    decline_recipient,
    delegate_recipient,
    view_recipient,
)
from engine.envelopes.end import SealedDocument, StoredFile, complete_envelope
from engine.envelopes.visitor import Visitor
from engine.model import EngineEnvelope, EngineRecipient, EngineStatus
from engine.store import load_envelope, lock_envelope

VISITOR = Visitor(ip_address="127.0.0.1", user_agent="a browser", request_id="req_1")


async def view(engine: Engine, tenant_id: UUID, engine_id: UUID, email: str) -> None:
    async with engine.database.transaction(tenant_id) as tx:
        envelope = await lock_envelope(tx, tenant_id, engine_id)
        await view_recipient(engine, tx, envelope, who(envelope, email), VISITOR)
        await tx.commit()


async def sign(engine: Engine, tenant_id: UUID, engine_id: UUID, email: str) -> EngineEnvelope:
    async with engine.database.transaction(tenant_id) as tx:
        envelope = await lock_envelope(tx, tenant_id, engine_id)
        recipient = who(envelope, email)
        after = await complete_recipient(
            engine,
            tx,
            envelope,
            recipient,
            VISITOR,
            signed_name=recipient.name,
            meaning="",
            geolocation="",
            time_zone="Europe/Berlin",
        )
        await tx.commit()
    return after


async def decline(engine: Engine, tenant_id: UUID, engine_id: UUID, email: str, reason: str) -> None:
    async with engine.database.transaction(tenant_id) as tx:
        envelope = await lock_envelope(tx, tenant_id, engine_id)
        await decline_recipient(engine, tx, envelope, who(envelope, email), VISITOR, reason)
        await tx.commit()


async def delegate(
    engine: Engine, tenant_id: UUID, engine_id: UUID, email: str, *, name: str, to: str
) -> UUID:
    async with engine.database.transaction(tenant_id) as tx:
        envelope = await lock_envelope(tx, tenant_id, engine_id)
        own = await delegate_recipient(
            engine, tx, envelope, who(envelope, email), VISITOR, name=name, email=to, reason="On leave"
        )
        await tx.commit()
    return own


async def seal(engine: Engine, tenant_id: UUID, engine_id: UUID) -> None:
    """Ends what everybody has signed with papers that are not sealed at all: sealing has tests of its own."""
    envelope = await load_envelope(engine.database, tenant_id, engine_id)
    if envelope.status is not EngineStatus.SEALING:
        return
    papers = [
        SealedDocument(document_id=one.id, **await _keep(engine, tenant_id, f"sealed {one.name}"))
        for one in envelope.documents
    ]
    certificate = StoredFile(**await _keep(engine, tenant_id, "certificate"))
    combined = StoredFile(**await _keep(engine, tenant_id, "combined"))
    async with engine.database.transaction(tenant_id) as tx:
        locked = await lock_envelope(tx, tenant_id, engine_id)
        await complete_envelope(engine, tx, locked, papers, certificate, combined)
        await tx.commit()


def who(envelope: EngineEnvelope, email: str) -> EngineRecipient:
    return next(one for one in reversed(envelope.recipients) if one.email == email)


async def _keep(engine: Engine, tenant_id: UUID, words: str) -> dict:
    async def chunks() -> AsyncIterator[bytes]:
        yield f"%PDF-1.7\n{words}".encode()

    kept = await engine.blobs.put(tenant_id, chunks())
    return {"blob_key": kept.key, "sha256": kept.sha256, "size_bytes": kept.size}


NO_FILES = (StoredFile(blob_key="", sha256="", size_bytes=0),) * 2
