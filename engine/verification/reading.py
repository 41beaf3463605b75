"""Reads a PDF's signatures, inside an examiner process: integrity, coverage, later changes, chain and timestamps.

Newest first: what a later, trusted archive timestamp covers is proven to have existed then, so an older one is
judged for that moment and not for today. Nothing is fetched here: an examiner has no network.
Must only run in an examiner: it reads hostile bytes, and its limits are the process's.
Source: ISO 32000-2 section 12.8; ETSI EN 319 102-1 section 5.6 (past signatures); RFC 5280 section 6.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from datetime import datetime
from typing import IO, Any

from asn1crypto import x509
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.validation import (
    KeyUsageConstraints,
    async_validate_pdf_signature,
    async_validate_pdf_timestamp,
)
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.errors import NoDSSFoundError, SignatureValidationError
from pyhanko.sign.validation.status import SignatureCoverageLevel

from engine.documents.inspection import measure
from engine.documents.messages import Limits, Refused
from engine.verification.facts import Changes, FileFacts, SignatureFacts, TimestampFacts
from engine.verification.paths import Proofs, common_name, is_development, judge_path
from engine.verification.ranges import leaves_out_itself_only

_USAGE = KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"}, match_all_key_usages=False)
_CHANGES = {
    ModificationLevel.NONE: Changes.NONE,
    ModificationLevel.LTA_UPDATES: Changes.PROOFS,
    ModificationLevel.FORM_FILLING: Changes.FORM,
    ModificationLevel.ANNOTATIONS: Changes.ANNOTATIONS,
    ModificationLevel.OTHER: Changes.OTHER,
}
_FAULTS = (PdfError, SignatureValidationError, ValueError, KeyError, TypeError, IndexError, AttributeError)
_MOST_SIGNATURES = 200


def read_signatures(source: str, roots: Sequence[bytes], now: datetime, limits: Limits) -> FileFacts:
    """Raises Refused for what is no PDF, is closed, or is over the limits."""
    logging.disable(logging.CRITICAL)  # an examiner has nobody who reads its log
    measure(source, "", limits)
    with open(source, "rb") as file:
        try:
            reader = PdfFileReader(file, strict=False)
            if reader.encrypted:
                raise Refused("needs_password")
            found = list(reader.embedded_signatures)
            filled = sum(1 for _ in enumerate_sig_fields(reader, filled_status=True))
        except _FAULTS as error:
            raise Refused("damaged", detail=type(error).__name__) from error
        if filled > _MOST_SIGNATURES:
            raise Refused("too_complex", detail=f"{filled} signatures")
        proofs = _proofs(reader, [x509.Certificate.load(one) for one in roots])
        judged = asyncio.run(_judge_all(found, proofs, now))
        strange = tuple(SignatureFacts(field="", fault="unknown_kind") for _ in range(filled - len(found)))
        return FileFacts(
            signatures=(*judged, *strange),
            ends_cleanly=_ends_cleanly(reader, file),
            revisions=reader.xrefs.total_revisions,
        )


def _proofs(reader: Any, roots: list[Any]) -> Proofs:
    """What the file itself brings: certificates, answers about their status, lists."""
    try:
        store = DocumentSecurityStore.read_dss(reader)
    except NoDSSFoundError:
        return Proofs(roots=roots)
    except _FAULTS:
        return Proofs(roots=roots)
    try:
        context = store.as_validation_context({"trust_roots": roots, "revocation_mode": "soft-fail"})
        ocsps, crls = list(context.ocsps), list(context.crls)
        return Proofs(roots=roots, certificates=list(store.load_certs()), ocsps=ocsps, crls=crls)
    except _FAULTS:
        return Proofs(roots=roots)


async def _judge_all(found: Sequence[Any], proofs: Proofs, now: datetime) -> list[SignatureFacts]:
    """In the file's order."""
    proven, facts = now, []
    for one in reversed(found):
        judged = await _judge(one, proofs, proven, now)
        if judged.is_timestamp and judged.timestamp is not None and _counts(judged):
            proven = min(proven, judged.timestamp.moment)
        facts.append(judged)
    return facts[::-1]


def _counts(one: SignatureFacts) -> bool:
    """Proves that what stands before it existed: it covers all of that."""
    return one.is_intact and one.covers_revision and one.timestamp is not None and one.timestamp.is_valid


async def _judge(one: Any, proofs: Proofs, proven: datetime, now: datetime) -> SignatureFacts:
    """What cannot even be read is a finding, not an end: other signatures are judged all the same."""
    field = _text(one.field_name)[:200]
    is_timestamp = one.sig_object_type == "/DocTimeStamp"
    try:
        if is_timestamp:
            return await _judge_archive(one, field, proofs, proven, now)
        return await _judge_signature(one, field, proofs, proven, now)
    except RecursionError:
        return SignatureFacts(field=field, is_timestamp=is_timestamp, fault="too_complex")
    except _FAULTS as error:
        return SignatureFacts(field=field, is_timestamp=is_timestamp, fault=type(error).__name__)


async def _judge_signature(
    one: Any, field: str, proofs: Proofs, proven: datetime, now: datetime
) -> SignatureFacts:
    context = proofs.context(proven, one.other_embedded_certs)
    status = await async_validate_pdf_signature(one, context, context, key_usage_settings=_USAGE)
    stamped = status.timestamp_validity
    timestamp = await _timestamp(stamped, proofs, proven, one.other_embedded_certs) if stamped else None
    moment = timestamp.moment if timestamp is not None and timestamp.is_valid else proven
    certificate = one.signer_cert
    judged = await judge_path(certificate, one.other_embedded_certs, proofs, moment, _USAGE)
    signature = one.sig_object
    return SignatureFacts(
        field=field,
        is_intact=bool(status.intact and status.valid),
        **_coverage(one, status),
        permits_changes=status.docmdp_ok is not False,
        certifies=one.docmdp_level is not None and _certifies(one),
        **_names(certificate),
        trouble=judged.trouble,
        revocation_embedded=judged.is_proven,
        revoked_at=judged.revoked_at,
        is_development=is_development(certificate),
        judged_at=moment,
        judged_now=moment == now,
        claimed_at=one.self_reported_timestamp,
        timestamp=timestamp,
        reason=_text(signature.get("/Reason", ""))[:500],
        location=_text(signature.get("/Location", ""))[:500],
        path=tuple(step.dump() for step in judged.path),
    )


async def _judge_archive(
    one: Any, field: str, proofs: Proofs, proven: datetime, now: datetime
) -> SignatureFacts:
    status = await async_validate_pdf_timestamp(one, proofs.context(proven, one.other_embedded_certs))
    timestamp = await _timestamp(status, proofs, proven, one.other_embedded_certs)
    certificate = one.signer_cert
    return SignatureFacts(
        field=field,
        is_timestamp=True,
        is_intact=bool(status.intact and status.valid),
        **_coverage(one, status),
        **_names(certificate),
        trouble=timestamp.trouble,
        is_development=timestamp.is_development,
        judged_at=proven,
        judged_now=proven == now,
        timestamp=timestamp,
    )


async def _timestamp(status: Any, proofs: Proofs, moment: datetime, others: Sequence[Any]) -> TimestampFacts:
    judged = await judge_path(
        status.signing_cert, [*others, *_certificates_beside(status)], proofs, moment, None
    )
    return TimestampFacts(
        moment=status.timestamp,
        authority=common_name(status.signing_cert),
        is_intact=bool(status.intact and status.valid),
        trouble=judged.trouble,
        is_development=is_development(status.signing_cert),
    )


def _coverage(one: Any, status: Any) -> dict[str, Any]:
    """The library's word, where the place of the signature bears it out."""
    if not leaves_out_itself_only(one):
        return {"covers_file": False, "covers_revision": False, "changes": Changes.OTHER}
    covers_file = status.coverage is SignatureCoverageLevel.ENTIRE_FILE
    changes = _CHANGES.get(status.modification_level, Changes.OTHER)
    return {
        "covers_file": covers_file,
        "covers_revision": status.coverage >= SignatureCoverageLevel.ENTIRE_REVISION,
        "changes": Changes.NONE if covers_file else changes,
    }


def _certificates_beside(status: Any) -> list[Any]:
    path = status.validation_path
    return list(path.iter_certs(include_root=False)) if path is not None else []


def _names(certificate: Any) -> dict[str, Any]:
    return {
        "signer": common_name(certificate),
        "subject": certificate.subject.human_friendly,
        "issuer": certificate.issuer.human_friendly,
        "serial": f"{certificate.serial_number:x}",
        "thumbprint_sha256": certificate.sha256.hex(),
        "not_before": certificate.not_valid_before,
        "not_after": certificate.not_valid_after,
    }


def _certifies(one: Any) -> bool:
    references = one.sig_object.get("/Reference", ())
    return any(step.get_object().get("/TransformMethod") == "/DocMDP" for step in references)


def _text(value: object) -> str:
    return "".join(letter for letter in str(value) if letter.isprintable())


def _ends_cleanly(reader: Any, file: IO[bytes]) -> bool:
    """Whether the file ends where its last revision does. Readers look for the end from behind and pass over what
    follows it.
    """
    place = int(reader.last_startxref)
    file.seek(max(0, place))
    ends = re.search(rb"startxref\s+%d\s+%%%%EOF(\r\n|\r|\n)?" % place, tail := file.read())
    return ends is not None and ends.end() == len(tail)
