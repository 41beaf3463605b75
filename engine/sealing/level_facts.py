"""Which level of signature the certificate of completion claims, and why: never more than was kept.

An advanced signature needs data that the signatory can use under their sole control. A key in this house's vault is
used by this house, so nothing is claimed for it but that it signed.
Source: Regulation (EU) 910/2014, articles 3(10), 3(12), 26(c) and 29(1a).
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from engine.model import EngineEnvelope, SealingMode
from engine.sealing.own_signatures import OwnSignature

_ELSEWHERE = frozenset({"pkcs11", "csc"})
_SEALED = (
    "SES, sealed",
    (
        "Simple electronic signatures of the people named here. The platform's certificate seals the documents: "
        "the seal is the operator's, not a person's signature, and makes none of them advanced or qualified."
    ),
)
_KEPT_HERE = (
    "SES, signed per signer",
    (
        "Each signature was made with a key of that person's own, after they had proved who they are and confirmed "
        "what they sign. The operator keeps at least one of the keys, so that its owner's sole control of it is not "
        "shown: no signature here is claimed to be advanced or qualified."
    ),
)
_KEPT_ELSEWHERE = (
    "AES candidate, signed per signer",
    (
        "Each signature was made with a key of that person's own, which lies in a device or with a signing service "
        "and not with the operator, after they had proved who they are and confirmed what they sign. It is an "
        "advanced signature if that device or service lets nobody but its owner use the key, and if the person was "
        "identified as the certificate says. None is claimed to be qualified."
    ),
)


class OwnCertificateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Whose key signed for a person, where it lies, and by which confirmed intent it was released."""

    subject: str
    issuer: str
    serial: str
    sha256: str
    key_location: str
    intent_sha256: str
    signed_at: datetime | None


def level_of(envelope: EngineEnvelope, own: Mapping[UUID, OwnSignature]) -> tuple[str, str]:
    """The level and its reason."""
    if envelope.sealing_mode is SealingMode.SEAL:
        return _SEALED
    places = {one.key_location for one in own.values() if one.state == "done"}
    return _KEPT_ELSEWHERE if places and places <= _ELSEWHERE else _KEPT_HERE


def own_certificate(own: OwnSignature | None) -> OwnCertificateFacts | None:
    if own is None or own.state != "done":
        return None
    return OwnCertificateFacts(
        subject=own.subject_name,
        issuer=own.issuer_name,
        serial=own.certificate_serial,
        sha256=own.certificate_sha256,
        key_location=own.key_location,
        intent_sha256=own.intent_sha256,
        signed_at=own.signed_at,
    )
