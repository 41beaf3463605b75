"""Whether the engine can give the level of signature that an envelope asks for; a lower one is never given instead.

Advanced: every signer has a certificate with a key of their own in the store, and signs whatever is filled in. What
nobody signs for, or what others signed before, cannot be part of it.
Source: Regulation (EU) 910/2014, articles 26 and 29(1a).
"""

from collections.abc import Iterator, Sequence

from engine.certificates.open_key import get_signing_certificate
from engine.engine import Engine
from engine.model import EngineDocument, EngineField, SealingMode
from engine.sealing.errors import SealingFailed
from normalizer.envelope import Envelope, SignatureLevel
from normalizer.errors import Finding, ValidationFailed
from normalizer.field import FieldType
from normalizer.recipient import Recipient

_REMEDY = "Import a certificate for this e-mail address (user_id), or ask for signature_level ses."


async def choose_mode(
    engine: Engine, envelope: Envelope, documents: Sequence[EngineDocument], fields: Sequence[EngineField]
) -> SealingMode:
    """Raises ValidationFailed, code "signature_level_unavailable", which names who or what stands against it."""
    if envelope.signature_level is SignatureLevel.SES:
        return SealingMode.SEAL
    if envelope.signature_level is SignatureLevel.QES:
        remedy = "Ask for aes or ses; the level is never lowered for you."
        raise _refused(
            (Finding("/signature_level", "No qualified trust service provider is connected.", remedy),)
        )
    faults = [*_document_faults(documents), *_field_faults(envelope, documents, fields)]
    for place, recipient in enumerate(envelope.recipients):
        if recipient.role.signs:
            faults += await _certificate_faults(engine, envelope, place, recipient)
    if faults:
        raise _refused(tuple(faults))
    return SealingMode.PER_SIGNER


def is_own_signature(field: EngineField) -> bool:
    """Whether the field is one that its signer's key may fill: it cannot be left empty."""
    return field.type is FieldType.SIGNATURE and field.required


def _document_faults(documents: Sequence[EngineDocument]) -> Iterator[Finding]:
    for place, document in enumerate(documents):
        if document.is_signed:
            problem = f"Others have signed {document.name} already: no fields can be made in it."
            yield Finding(f"/documents/{place}", problem, "Send it with signature_level ses, or unsigned.")


def _field_faults(
    envelope: Envelope, documents: Sequence[EngineDocument], fields: Sequence[EngineField]
) -> Iterator[Finding]:
    """Everything that is filled in is signed for by the key of whoever fills it in."""
    signed = {(one.document_id, one.recipient_id) for one in fields if is_own_signature(one)}
    names = {document.id: document.name for document in documents}
    people = {one.id: (place, one) for place, one in enumerate(envelope.recipients)}
    for wanted in dict.fromkeys((one.document_id, one.recipient_id) for one in fields):
        place, recipient = people[wanted[1]]
        if wanted in signed and recipient.role.signs:
            continue
        problem = f"{recipient.name} has fields in {names[wanted[0]]}, but no required signature field there."
        yield Finding(
            f"/recipients/{place}/fields", problem, "Place a required signature field, or remove them."
        )
    for place, recipient in enumerate(envelope.recipients):
        if recipient.role.signs and all(one.recipient_id != recipient.id for one in fields):
            problem = f"{recipient.name} signs and has no signature field."
            yield Finding(f"/recipients/{place}/fields", problem, "Place a required signature field.")


async def _certificate_faults(
    engine: Engine, envelope: Envelope, place: int, recipient: Recipient
) -> tuple[Finding, ...]:
    try:
        await get_signing_certificate(engine, envelope.tenant_id, recipient.email.lower())
    except SealingFailed as failed:
        problem = f"{recipient.name} cannot sign with a key of their own: {failed.detail}."
        return (Finding(f"/recipients/{place}", problem, _REMEDY),)
    return ()


def _refused(faults: tuple[Finding, ...]) -> ValidationFailed:
    said = " ".join(one.problem for one in faults)
    return ValidationFailed(
        f"The signature level that is asked for cannot be given. {said}",
        faults,
        code="signature_level_unavailable",
    )
