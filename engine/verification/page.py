"""A report as the public page shows it, in the reader's language."""

from datetime import UTC, datetime

from engine.ceremony.verify_view import SignatureVerdict, Tone, VerdictRow, VerifyPage
from engine.verification.facts import Changes, PathTrouble
from engine.verification.known import PublicFacts
from engine.verification.report import Report, SignatureReport
from engine.verification.verdict import Revocation, Verdict
from engine.verification.words import say

TONES = {
    Verdict.VALID: Tone.GOOD,
    Verdict.DEVELOPMENT: Tone.WARNING,
    Verdict.CANNOT_BE_JUDGED: Tone.UNKNOWN,
    Verdict.UNTRUSTED: Tone.WARNING,
    Verdict.CERTIFICATE_INVALID: Tone.BAD,
    Verdict.ALTERED: Tone.BAD,
    Verdict.DAMAGED: Tone.BAD,
    Verdict.UNSIGNED: Tone.UNKNOWN,
}
_REVOCATION_TONES = {
    Revocation.GOOD: Tone.GOOD,
    Revocation.REVOKED: Tone.BAD,
    Revocation.UNKNOWN: Tone.UNKNOWN,
}


def report_page(report: Report, language: str, *, development: bool, largest_bytes: int) -> VerifyPage:
    rows = []
    if report.stored is not None:
        detail = _moment(report.stored.sealed_at)
        rows.append(_row(language, "stored", "same", Tone.GOOD, detail))
    elif report.signatures:
        rows.append(_row(language, "stored", "other", Tone.UNKNOWN))
    if report.signatures and not report.ends_cleanly:
        rows.append(_row(language, "end", "bad", Tone.BAD))
    return VerifyPage(
        language=language,
        development=development,
        verdict=report.summary,
        tone=TONES[report.verdict],
        facts=((say(language, "fact_file"), report.sha256),),
        rows=tuple(rows),
        signatures=tuple(_signature(one, language) for one in report.signatures),
        largest_bytes=largest_bytes,
    )


def facts_page(
    facts: PublicFacts, code: str, language: str, *, development: bool, largest_bytes: int
) -> VerifyPage:
    """What is known of an envelope. It is no verdict: the reader's own file was not looked at."""
    return VerifyPage(
        language=language,
        development=development,
        code=code,
        verdict=say(language, "code_verdict"),
        tone=Tone.UNKNOWN,
        summary=say(language, "code_summary"),
        facts=_facts(facts, language),
        largest_bytes=largest_bytes,
    )


def _facts(facts: PublicFacts, language: str) -> tuple[tuple[str, str], ...]:
    rows = [(say(language, "fact_status"), say(language, f"status_{facts.status}"))]
    ended_at = None if facts.completed_at is not None else facts.ended_at
    for name, at in (("created", facts.created_at), ("completed", facts.completed_at), ("ended", ended_at)):
        if at is not None:
            rows.append((say(language, f"fact_{name}"), _moment(at)))
    parts = sorted(facts.parts, key=lambda one: (one.part != "document", one.part, one.number))
    rows += [(say(language, f"fact_{part.part}", number=str(part.number)), part.sha256) for part in parts]
    for part in facts.parts[:1]:
        rows.append((say(language, "fact_seal"), part.certificate_serial))
        if part.stamped_at is not None:
            said = f"{_moment(part.stamped_at)}, {part.timestamp_authority}"
            rows.append((say(language, "fact_timestamp"), said))
    return tuple(rows)


def _signature(one: SignatureReport, language: str) -> SignatureVerdict:
    signer = one.signer or say(language, "nobody")
    kind = "title_archive" if one.is_archive_timestamp else "title_signature"
    is_read = bool(one.thumbprint_sha256)
    rows = [_integrity(one, language)]
    if is_read:
        rows += [_coverage(one, language), _changes(one, language), _chain(one, language)]
        finding = say(language, f"revocation_{one.revocation_status}")
        tone = _REVOCATION_TONES[one.revocation_status]
        rows.append(VerdictRow(title=say(language, "row_revocation"), finding=finding, tone=tone))
        rows.append(_time(one, language))
    return SignatureVerdict(
        title=say(language, kind, signer=signer), tone=TONES[one.verdict], rows=tuple(rows)
    )


def _integrity(one: SignatureReport, language: str) -> VerdictRow:
    if one.verdict is Verdict.DAMAGED:
        return _row(language, "integrity", "bad", Tone.BAD)
    if one.verdict is Verdict.CANNOT_BE_JUDGED:
        finding = say(language, "signature_cannot_be_judged")
        return VerdictRow(title=say(language, "row_integrity"), finding=finding, tone=Tone.UNKNOWN)
    return _row(language, "integrity", "good", Tone.GOOD)


def _coverage(one: SignatureReport, language: str) -> VerdictRow:
    if one.coverage.added_after or not one.coverage.entire_revision:
        return _row(language, "coverage", "added", Tone.BAD)
    if one.coverage.entire_file:
        return _row(language, "coverage", "whole", Tone.GOOD)
    if one.coverage.later_changes is Changes.PROOFS:
        return _row(language, "coverage", "proofs", Tone.GOOD)
    return _row(language, "coverage", "signed_later", Tone.GOOD)


def _changes(one: SignatureReport, language: str) -> VerdictRow:
    changes = one.coverage.later_changes
    if changes in {Changes.OTHER, Changes.ANNOTATIONS}:
        return _row(language, "changes", changes, Tone.BAD, say(language, "changes_hint"))
    if changes is Changes.FORM and not one.coverage.later_changes_permitted:
        return _row(language, "changes", "form_forbidden", Tone.BAD, say(language, "changes_hint"))
    return _row(language, "changes", changes, Tone.GOOD)


def _chain(one: SignatureReport, language: str) -> VerdictRow:
    detail = f"{one.subject} / {one.issuer} / {one.serial_number}"
    if one.certificate_problem is not PathTrouble.NONE:
        tone = Tone.WARNING if one.certificate_problem is PathTrouble.UNTRUSTED else Tone.BAD
        return _row(language, "chain", one.certificate_problem, tone, detail)
    if one.is_development:
        return _row(language, "chain", "development", Tone.WARNING, detail)
    return _row(language, "chain", "", Tone.GOOD, detail)


def _time(one: SignatureReport, language: str) -> VerdictRow:
    title = say(language, "row_time")
    if one.timestamp_valid is False:
        return VerdictRow(title=title, finding=say(language, "time_bad"), tone=Tone.BAD)
    if one.signing_time is None:
        return VerdictRow(title=title, finding=say(language, "time_none"), tone=Tone.UNKNOWN)
    kind, tone = ("proven", Tone.GOOD) if one.signing_time_is_proven else ("claimed", Tone.UNKNOWN)
    moment = _moment(one.signing_time)
    finding = say(language, f"time_{kind}", moment=moment, authority=one.timestamp_authority)
    return VerdictRow(title=title, finding=finding, tone=tone)


def _row(language: str, what: str, finding: str, tone: Tone, detail: str = "") -> VerdictRow:
    return VerdictRow(
        title=say(language, f"row_{what}"),
        finding=say(language, f"{what}_{finding}"),
        tone=tone,
        detail=detail,
    )


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
