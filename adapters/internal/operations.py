"""The port's operations, each a call of the engine's and its answer as a report."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import cast
from uuid import UUID

from adapters.internal.troubles import answering
from adapters.kit.exchange import Exchange, SavedBlob
from adapters.kit.port import ChangePage, Connection, Created, CredentialHealth, Part, RecipientCorrection
from engine.engine import Engine
from engine.envelopes import correct, create, look, resend, send, signing, void
from engine.envelopes.report import report_of
from engine.model import EngineEnvelope, EngineStatus
from engine.store import load_envelope
from normalizer.envelope import AuditRecord, Envelope, EnvelopeReport
from normalizer.errors import InvalidTransition, NotFound
from normalizer.recipient import Recipient

_FIRST_BYTES = 64
_PDF = "application/pdf"


async def create_envelope(
    engine: Engine, exchange: Exchange, connection: Connection, envelope: Envelope, *, is_sent: bool
) -> Created:
    with answering():
        own = await create.create_envelope(engine, UUID(connection.id), envelope, send=is_sent)
    await exchange.learned(str(own))
    with answering():
        made = await load_envelope(engine.database, tenant_of(connection), own)
    return Created(str(own), report_of(made))


async def send_draft(engine: Engine, connection: Connection, provider_ref: str) -> EnvelopeReport:
    with answering():
        sent = await send.send_envelope(engine, tenant_of(connection), _engine_id(provider_ref))
    return report_of(sent)


async def discard_draft(engine: Engine, connection: Connection, provider_ref: str) -> None:
    with answering():
        await void.discard_draft(engine, tenant_of(connection), _engine_id(provider_ref))


async def find_envelopes(
    engine: Engine, connection: Connection, reference: str
) -> tuple[EnvelopeReport, ...]:
    with answering():
        return await look.find_envelopes(engine, tenant_of(connection), UUID(connection.id), reference)


async def get_envelope(engine: Engine, connection: Connection, provider_ref: str) -> EnvelopeReport:
    return report_of(await _load(engine, connection, provider_ref))


async def list_changes(engine: Engine, connection: Connection, since: datetime, cursor: str) -> ChangePage:
    with answering():
        page = await look.list_changes(engine, tenant_of(connection), UUID(connection.id), since, cursor)
    return ChangePage(page.reports, page.cursor)


async def void_envelope(
    engine: Engine, connection: Connection, provider_ref: str, reason: str
) -> EnvelopeReport:
    with answering():
        voided = await void.void_envelope(engine, tenant_of(connection), _engine_id(provider_ref), reason)
    return report_of(voided)


async def ask_again(
    engine: Engine, connection: Connection, provider_ref: str, recipients: Sequence[Recipient], note: str
) -> None:
    places = [one.id for one in recipients]
    with answering():
        await resend.resend(engine, tenant_of(connection), _engine_id(provider_ref), places, note)


async def correct_recipient(
    engine: Engine, connection: Connection, provider_ref: str, correction: RecipientCorrection
) -> None:
    with answering():
        await correct.correct_recipient(
            engine,
            tenant_of(connection),
            _engine_id(provider_ref),
            correction.recipient.id,
            name=correction.name,
            email=correction.email,
        )


async def download(
    engine: Engine, connection: Connection, provider_ref: str, part: Part, number: int
) -> SavedBlob:
    """The file stays where it is: the engine's blobs are the gateway's."""
    envelope = await _load(engine, connection, provider_ref)
    with answering():
        key, sha256, size = _file(envelope, part, number)
        first = await _first_bytes(engine, envelope.tenant_id, key)
    return SavedBlob(key=key, sha256=sha256, size_bytes=size, media_type=_PDF, first_bytes=first)


async def audit_trail(engine: Engine, connection: Connection, provider_ref: str) -> tuple[AuditRecord, ...]:
    return look.history_of(await _load(engine, connection, provider_ref))


async def signing_url(
    engine: Engine,
    connection: Connection,
    provider_ref: str,
    recipient: Recipient,
    return_url: str,
    origins: tuple[str, ...],
) -> str:
    with answering():
        return await signing.make_signing_url(
            engine,
            tenant_of(connection),
            _engine_id(provider_ref),
            recipient.id,
            origins=origins,
            return_url=return_url,
        )


async def check_credentials(engine: Engine, connection: Connection) -> CredentialHealth:
    """There are none to be wrong; what can be wrong is the store."""
    with answering():
        async with engine.database.transaction(tenant_of(connection)) as tx:
            open_envelopes = await tx.driver.fetchval(
                "SELECT count(*) FROM engine_envelopes WHERE tenant_id = $1 AND connection_id = $2"
                " AND status IN ('sent', 'sealing')",
                tenant_of(connection),
                UUID(connection.id),
            )
    return CredentialHealth(
        account="built-in engine", detail=f"It answers; {open_envelopes} of its envelopes are under way."
    )


def tenant_of(connection: Connection) -> UUID:
    return UUID(connection.tenant_id)


async def _load(engine: Engine, connection: Connection, provider_ref: str) -> EngineEnvelope:
    with answering():
        return await load_envelope(engine.database, tenant_of(connection), _engine_id(provider_ref))


def _engine_id(provider_ref: str) -> UUID:
    """Raises NotFound for what no envelope of the engine's can be called."""
    try:
        return UUID(provider_ref)
    except ValueError as error:
        raise NotFound("envelope", provider_ref) from error


def _file(envelope: EngineEnvelope, part: Part, number: int) -> tuple[str, str, int]:
    """(key, sha256, size): the sealed file, or of an open envelope the document as it is shown."""
    is_sealed = envelope.status is EngineStatus.COMPLETED
    if part is Part.DOCUMENT:
        if not 1 <= number <= len(envelope.documents):
            raise NotFound("document", str(number))
        document = envelope.documents[number - 1]
        if is_sealed:
            return document.sealed_blob_key, document.sealed_sha256, document.sealed_size
        return document.blob_key, document.sha256, document.size_bytes
    if part is Part.COMBINED and not is_sealed and len(envelope.documents) == 1:
        return _file(envelope, Part.DOCUMENT, 1)
    if not is_sealed:
        detail = f"The {part} exists once everybody has signed and the documents are sealed."
        raise InvalidTransition(envelope.status, "downloaded", detail)
    if part is Part.COMBINED:
        return envelope.combined_blob_key, envelope.combined_sha256, envelope.combined_size
    return envelope.certificate_blob_key, envelope.certificate_sha256, envelope.certificate_size


async def _first_bytes(engine: Engine, tenant_id: UUID, key: str) -> bytes:
    opened = cast("AsyncGenerator[bytes, None]", engine.blobs.open(tenant_id, key))
    async with aclosing(opened) as chunks:
        async for chunk in chunks:
            return bytes(chunk[:_FIRST_BYTES])
    return b""
