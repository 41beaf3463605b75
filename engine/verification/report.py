"""A verification's result as callers see it: the design's keys per signature, and the details behind them."""

from datetime import datetime

import msgspec

from engine.verification.facts import Changes, PathTrouble
from engine.verification.verdict import Judged, JudgedFile, Revocation, Verdict
from engine.verification.words import LANGUAGE, say


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What a signature covers, and what was done after it."""

    entire_file: bool
    entire_revision: bool
    later_changes: Changes
    later_changes_permitted: bool
    added_after: bool


class SignatureReport(msgspec.Struct, frozen=True, kw_only=True):
    """The design's keys first. `signing_time` is the timestamp's where there is a valid one, else the signer's own
    claim. `timestamp_valid` None: there is no timestamp.
    """

    signer: str
    signature_valid: bool
    certificate_valid: bool
    revocation_status: Revocation
    timestamp_valid: bool | None
    signing_time: datetime | None
    reason: str
    location: str
    verdict: Verdict
    summary: str
    field: str
    is_archive_timestamp: bool
    is_certification: bool
    is_development: bool
    signing_time_is_proven: bool
    timestamp_authority: str
    coverage: Coverage
    certificate_problem: PathTrouble
    subject: str
    issuer: str
    serial_number: str
    thumbprint_sha256: str
    not_valid_before: datetime | None
    not_valid_after: datetime | None
    revoked_at: datetime | None


class KnownFile(msgspec.Struct, frozen=True, kw_only=True):
    """What our own records say of exactly these bytes: `kind` is document, certificate, combined or signed."""

    kind: str
    sealed_at: datetime


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`matches_stored` None: we have no such file to compare with. `refusal`: why nothing could be judged."""

    verdict: Verdict
    summary: str
    sha256: str
    size_bytes: int
    signatures: tuple[SignatureReport, ...] = ()
    matches_stored: bool | None = None
    stored: KnownFile | None = None
    ends_cleanly: bool = True
    revisions: int = 0
    refusal: str = ""
    verified_at: datetime


def compose_report(
    judged: JudgedFile, *, sha256: str, size_bytes: int, now: datetime, language: str = LANGUAGE
) -> Report:
    return Report(
        verdict=judged.verdict,
        summary=say(language, f"file_{judged.verdict}"),
        sha256=sha256,
        size_bytes=size_bytes,
        signatures=tuple(_signature(one, language) for one in judged.signatures),
        ends_cleanly=judged.ends_cleanly,
        revisions=judged.revisions,
        verified_at=now,
    )


def refuse(refusal: str, *, sha256: str, size_bytes: int, now: datetime, language: str = LANGUAGE) -> Report:
    """Nothing could be judged: the file is damaged, closed or beyond what is read."""
    is_damaged = refusal in {"damaged", "no_pages", "crashed"}
    verdict = Verdict.DAMAGED if is_damaged else Verdict.CANNOT_BE_JUDGED
    return Report(
        verdict=verdict,
        summary=say(language, f"file_{verdict}"),
        sha256=sha256,
        size_bytes=size_bytes,
        refusal=refusal,
        ends_cleanly=False,
        verified_at=now,
    )


def _signature(one: Judged, language: str) -> SignatureReport:
    facts, stamp = one.facts, one.facts.timestamp
    is_proven = stamp is not None and stamp.is_valid and facts.is_intact
    return SignatureReport(
        signer=facts.signer,
        signature_valid=_is_valid(one),
        certificate_valid=facts.trouble is PathTrouble.NONE
        and not facts.fault
        and one.revocation is not Revocation.REVOKED,
        revocation_status=one.revocation,
        timestamp_valid=None if stamp is None else is_proven,
        signing_time=stamp.moment if stamp is not None and is_proven else facts.claimed_at,
        reason=facts.reason,
        location=facts.location,
        verdict=one.verdict,
        summary=say(language, f"signature_{one.verdict}"),
        field=facts.field,
        is_archive_timestamp=facts.is_timestamp,
        is_certification=facts.certifies,
        is_development=facts.is_development,
        signing_time_is_proven=is_proven,
        timestamp_authority=stamp.authority if stamp is not None else "",
        coverage=Coverage(
            entire_file=facts.covers_file,
            entire_revision=facts.covers_revision,
            later_changes=facts.changes,
            later_changes_permitted=facts.permits_changes,
            added_after=one.added_after,
        ),
        certificate_problem=facts.trouble,
        subject=facts.subject,
        issuer=facts.issuer,
        serial_number=facts.serial,
        thumbprint_sha256=facts.thumbprint_sha256,
        not_valid_before=facts.not_before,
        not_valid_after=facts.not_after,
        revoked_at=facts.revoked_at,
    )


def _is_valid(one: Judged) -> bool:
    """The bytes are what was signed, and nothing was changed that the signature does not permit."""
    return one.verdict not in {Verdict.DAMAGED, Verdict.ALTERED, Verdict.CANNOT_BE_JUDGED}
