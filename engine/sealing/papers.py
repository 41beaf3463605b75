"""A document whose signers sign with keys of their own: what fields are made first, and what each signer fills.

Pure: no file is opened. Fields are named after the envelope's, so that a place keeps its field whoever stands in it.
"""

from collections.abc import Iterator

from engine.envelopes.level import is_own_signature
from engine.model import EngineDocument, EngineEnvelope, EngineField, EngineRecipient
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.per_signer import SignerFields
from engine.sealing.stamps import TextStamp, stamp_at, stamps_of

_EMPTY = TextStamp("")


def has_own_signatures(envelope: EngineEnvelope, document: EngineDocument) -> bool:
    return any(is_own_signature(field) for field in envelope.fields if field.document_id == document.id)


def fields_to_make(envelope: EngineEnvelope, document: EngineDocument) -> tuple[SignerFields, ...]:
    """Of everybody who signs this document, all of them empty."""
    return tuple(_fields_to_make(envelope, document))


def fields_to_fill(
    envelope: EngineEnvelope, document: EngineDocument, recipient: EngineRecipient
) -> SignerFields | None:
    """What this signer has filled in; None for a document that they do not sign. Raises SealingFailed."""
    place = _own_place(envelope, document, recipient)
    if place is None:
        return None
    own = {field.id for field in envelope.fields_of(recipient.id)}
    stamps = [stamp for stamp in stamps_of(envelope, document) if stamp.field_id in own]
    signature = next((stamp for stamp in stamps if stamp.field_id == place.id), None)
    if signature is None:
        raise SealingFailed(SealTrouble.DOCUMENT_DAMAGED, "a signer's signature is not there")
    values = tuple(stamp for stamp in stamps if stamp is not signature)
    return SignerFields(recipient_id=recipient.id, signature=signature, values=values)


def _fields_to_make(envelope: EngineEnvelope, document: EngineDocument) -> Iterator[SignerFields]:
    for recipient in envelope.recipients:
        place = _own_place(envelope, document, recipient)
        if place is None:
            continue
        others = [
            field
            for field in envelope.fields_of(recipient.id)
            if field.document_id == document.id and field is not place
        ]
        yield SignerFields(
            recipient_id=recipient.id,
            signature=stamp_at(place, _EMPTY),
            values=tuple(stamp_at(field, _EMPTY) for field in others),
        )


def _own_place(
    envelope: EngineEnvelope, document: EngineDocument, recipient: EngineRecipient
) -> EngineField | None:
    """The first required signature field: the one that the key's signature stands in."""
    found = [
        field
        for field in envelope.fields_of(recipient.id)
        if field.document_id == document.id and is_own_signature(field)
    ]
    return min(found, key=lambda one: (one.page, one.y, one.x, one.id), default=None)
