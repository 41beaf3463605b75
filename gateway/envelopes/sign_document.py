"""Signs a stored document outside an envelope: PAdES with a timestamp, by a certificate of the store.

The result is a document of its own; the one it was made from stays as it was. Everything that takes processor time
runs in a thread. Must never sign with a certificate that is not valid now, and never without a timestamp.
"""

from uuid import UUID

import msgspec

from config.blobs import StoredBlob
from engine.certificates.model import Purpose, StoredCertificate, common_name, thumbprint
from engine.certificates.open_key import get_signing_certificate, open_key
from engine.certificates.store import load_certificate, personal_owner
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.files import fetch_file, private_folder, store_file
from engine.sealing.seal import SealedFile, SealOrder, seal_file
from engine.sealing.sealer import sealer_of
from engine.sealing.signing import run_apart
from engine.sealing.stamps import Stamp, TextStamp
from gateway.envelopes.documents import drop_document
from gateway.envelopes.model import StoredDocument
from gateway.envelopes.store import load_document
from gateway.services import Caller, Services
from normalizer.canonical import Json
from normalizer.document import PDF
from normalizer.errors import (
    CountersignError,
    Finding,
    InvalidTransition,
    ProviderUnavailable,
    ValidationFailed,
)
from normalizer.events import Event, ResourceType
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

_PASSING = frozenset(
    {
        SealTrouble.TIMESTAMP_UNAVAILABLE,
        SealTrouble.TIMESTAMP_REJECTED,
        SealTrouble.REVOCATION_UNAVAILABLE,
        SealTrouble.KEY_UNAVAILABLE,
        SealTrouble.STORE_UNAVAILABLE,
    }
)
_AGAIN_S = 30.0


class SignPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the signature is seen: `page` from 1, the rest in points from the top left of the displayed page."""

    page: int
    x: float
    y: float
    width: float
    height: float


class SignInput(msgspec.Struct, frozen=True, kw_only=True):
    """`certificate_id` names one certificate; else the best of `user_id`'s ("" for the tenant's own) signs."""

    certificate_id: UUID | None = None
    user_id: str = ""
    reason: str = ""
    location: str = ""
    place: SignPlace | None = None


class Signed(msgspec.Struct, frozen=True):
    document: StoredDocument
    certificate: StoredCertificate
    sealed: SealedFile


async def sign_document(services: Services, caller: Caller, document_id: UUID, given: SignInput) -> Signed:
    """Raises NotFound, ValidationFailed (what cannot be signed, or with what), ProviderUnavailable when the time or
    the key cannot be had now.
    """
    source = await load_document(services.database, caller.tenant_id, document_id)
    if source.media_type != PDF:
        raise ValidationFailed("Only PDF documents are signed with a certificate.")
    if source.status != "ready":
        raise InvalidTransition(source.status, "signed", f"The document is {source.status}.")
    try:
        certificate = await _choose(services, caller.tenant_id, given)
        sealed, blob = await _sign(services, source, certificate, given)
    except SealingFailed as failed:
        raise refusal_of(failed) from failed
    document = msgspec.structs.replace(
        source,
        id=services.ids.new(),
        envelope_id=None,
        position=0,
        created_at=services.clock.now(),
        findings=(),
        removed=(),
        name=_signed_name(source.name),
        size_bytes=blob.size,
        sha256=blob.sha256,
        blob_key=blob.key,
        source_media_type="",
        source_sha256="",
        is_signed=True,
    )
    try:
        await _write(services, caller, source, document, certificate, sealed)
    except CountersignError:
        await drop_document(services, caller.tenant_id, blob.key)
        raise
    return Signed(document, certificate, sealed)


def refusal_of(failed: SealingFailed) -> CountersignError:
    """What a sealing's trouble is to a caller who waits for it."""
    if failed.trouble in _PASSING:
        return ProviderUnavailable("signing", f"Nothing was signed: {failed.detail}.", retry_after_s=_AGAIN_S)
    if failed.trouble in {
        SealTrouble.CERTIFICATE_MISSING,
        SealTrouble.CERTIFICATE_EXPIRED,
        SealTrouble.CERTIFICATE_UNSUITABLE,
    }:
        return ValidationFailed(f"Nothing was signed: {failed.detail}.", code="certificate_unusable")
    return ValidationFailed(f"The document cannot be signed: {failed.detail}.", code="document_refused")


async def _choose(services: Services, tenant_id: UUID, given: SignInput) -> StoredCertificate:
    if given.certificate_id is not None:
        named = await load_certificate(services.engine, tenant_id, given.certificate_id)
        if named.purpose is not Purpose.SIGN:
            raise _unusable("The certificate seals envelopes; it does not sign documents.")
        if named.user_id and named.user_id.lower() != given.user_id.strip().lower():
            raise _unusable("The certificate is a person's: say with user_id on whose behalf is signed.")
        return named
    return await get_signing_certificate(services.engine, tenant_id, given.user_id)


def _unusable(detail: str) -> ValidationFailed:
    return ValidationFailed(detail, code="certificate_unusable")


async def _sign(
    services: Services, source: StoredDocument, certificate: StoredCertificate, given: SignInput
) -> tuple[SealedFile, StoredBlob]:
    key = await open_key(services.engine, certificate)
    sealer = sealer_of(services.engine)
    tenant_id = certificate.tenant_id
    async with private_folder() as folder:
        order = SealOrder(
            source=folder / "source.pdf",
            target=folder / "signed.pdf",
            stamps=_stamps(services, source, certificate, given),
            pictures={},
            key=key,
            reason=given.reason,
            location=given.location,
            # Not certified: whoever gets it may sign it too.
            is_signed=True,
        )
        await fetch_file(services.blobs, tenant_id, source.blob_key, source.sha256, order.source)
        sealed = await run_apart(lambda: seal_file(sealer.tools, order))
        return sealed, await store_file(services.blobs, tenant_id, order.target)


def _stamps(
    services: Services, source: StoredDocument, certificate: StoredCertificate, given: SignInput
) -> tuple[Stamp, ...]:
    place = given.place
    if place is None:
        return ()
    if not 1 <= place.page <= len(source.pages):
        raise _misplaced("page", f"The document has {len(source.pages)} pages.")
    width, height = source.pages[place.page - 1]
    if place.width <= 0 or place.height <= 0 or min(place.x, place.y) < 0:
        raise _misplaced("width", "A place has a size, and lies on the page.")
    if place.x + place.width > width or place.y + place.height > height:
        raise _misplaced("x", f"It reaches over the page, which measures {width:g} x {height:g} points.")
    moment = f"{services.clock.now():%Y-%m-%d %H:%M:%S} UTC"
    lines = (common_name(certificate.certificate.subject), given.reason, given.location, moment)
    return (
        Stamp(
            page=place.page,
            x=place.x / width,
            y=place.y / height,
            width=place.width / width,
            height=place.height / height,
            field_id=services.ids.new(),
            content=TextStamp("\n".join(line for line in lines if line)),
        ),
    )


async def _write(
    services: Services,
    caller: Caller,
    source: StoredDocument,
    document: StoredDocument,
    certificate: StoredCertificate,
    sealed: SealedFile,
) -> None:
    async with services.database.transaction(caller.tenant_id) as tx:
        await tx.driver.execute(
            "INSERT INTO documents (tenant_id, id, name, media_type, size_bytes, sha256, page_count, pages,"
            " blob_key, source_media_type, source_sha256, status, is_signed)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, '', '', 'ready', true)",
            caller.tenant_id,
            document.id,
            document.name,
            document.media_type,
            document.size_bytes,
            document.sha256,
            document.page_count,
            msgspec.json.encode(document.pages).decode(),
            document.blob_key,
        )
        await tx.driver.execute(
            "INSERT INTO document_signatures (tenant_id, document_id, source_document_id, source_sha256, sha256,"
            " certificate_id, level, timestamp_authority, signed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            caller.tenant_id,
            document.id,
            source.id,
            source.sha256,
            document.sha256,
            certificate.id,
            sealed.level.value,
            sealed.token.authority[:300],
            sealed.token.moment,
        )
        await services.recorder.record(tx, _events(services, caller, source, document, certificate, sealed))
        await tx.commit()


def _events(
    services: Services,
    caller: Caller,
    source: StoredDocument,
    document: StoredDocument,
    certificate: StoredCertificate,
    sealed: SealedFile,
) -> list[Event]:
    used: dict[str, Json] = {
        "sha256": thumbprint(certificate.certificate),
        "purpose": "sign",
        "signatures": 1,
    }
    signed: dict[str, Json] = {
        "from_document": print_id(Kind.DOCUMENT, source.id),
        "from_sha256": source.sha256,
        "document_sha256": document.sha256,
        "level": sealed.level.value,
        "timestamp_serial": sealed.token.serial,
        "certificate_sha256": thumbprint(certificate.certificate),
    }
    rows = (
        (LedgerType.CERTIFICATE_USED, ResourceType.CERTIFICATE, Kind.CERTIFICATE, certificate.id, used),
        (LedgerType.DOCUMENT_SIGNED, ResourceType.DOCUMENT, Kind.DOCUMENT, document.id, signed),
    )
    return [
        Event(
            id=services.ids.new(),
            type=kind,
            tenant_id=caller.tenant_id,
            envelope_id=None,
            resource_type=resource,
            resource_id=print_id(id_kind, own),
            occurred_at=services.clock.now(),
            actor=caller.actor,
            source=caller.source,
            facts=facts,
            personal=personal_owner(certificate.user_id),
        )
        for kind, resource, id_kind, own, facts in rows
    ]


def _misplaced(where: str, problem: str) -> ValidationFailed:
    return ValidationFailed("The signature has no place there.", (Finding(f"/place/{where}", problem),))


def _signed_name(name: str) -> str:
    stem = name[:-4] if name.lower().endswith(".pdf") else name
    return f"{stem[:180]} (signed).pdf"
