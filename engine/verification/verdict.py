"""What the facts of a file come to: one verdict per signature and one for the file, the worst of them.

Never "valid" from integrity alone: the last signature must cover the file to its end (but for proofs added
later, archive timestamps among them), nothing may stand behind it, and nothing that a reader shows may have
changed. Pure.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from engine.verification.facts import Changes, FileFacts, PathTrouble, SignatureFacts


class Verdict(StrEnum):
    """From good to bad: the file's verdict is its worst signature's."""

    VALID = "valid"
    DEVELOPMENT = "development"
    CANNOT_BE_JUDGED = "cannot_be_judged"
    UNTRUSTED = "untrusted"
    CERTIFICATE_INVALID = "certificate_invalid"
    ALTERED = "altered"
    DAMAGED = "damaged"
    UNSIGNED = "unsigned"


class Revocation(StrEnum):
    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


_ORDER = tuple(Verdict)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """`revocation` for the moment of the signature; `added_after`: to what this, a last one, no longer covers."""

    facts: SignatureFacts
    verdict: Verdict
    revocation: Revocation
    added_after: bool = False


class JudgedFile(msgspec.Struct, frozen=True, kw_only=True):
    verdict: Verdict
    signatures: tuple[Judged, ...]
    ends_cleanly: bool
    revisions: int


def judge_file(facts: FileFacts, asked: dict[str, datetime | None]) -> JudgedFile:
    """`asked`: certificates, by SHA-256, whose status was asked for just now; when each was revoked, if it was."""
    ends = _ends(facts)
    judged = tuple(
        judge_signature(one, asked, added_after=number in ends and _adds_to(facts, one))
        for number, one in enumerate(facts.signatures)
    )
    verdict = max((one.verdict for one in judged), key=_ORDER.index, default=Verdict.UNSIGNED)
    if not any(not one.facts.is_timestamp for one in judged):
        verdict = max(verdict, Verdict.UNSIGNED, key=_ORDER.index)
    return JudgedFile(
        verdict=verdict, signatures=judged, ends_cleanly=facts.ends_cleanly, revisions=facts.revisions
    )


def judge_signature(
    one: SignatureFacts, asked: dict[str, datetime | None], *, added_after: bool = False
) -> Judged:
    revocation = _revocation(one, asked)
    return Judged(
        facts=one,
        verdict=_verdict(one, revocation, added_after=added_after),
        revocation=revocation,
        added_after=added_after,
    )


def _ends(facts: FileFacts) -> set[int]:
    """Behind whom nothing but proofs may stand: the last of all, and the last by which somebody signed. A timestamp
    says when a change was there, and not that anybody wanted it.
    """
    people = [number for number, one in enumerate(facts.signatures) if not one.is_timestamp]
    return {len(facts.signatures) - 1, *people[-1:]}


def _adds_to(facts: FileFacts, last: SignatureFacts) -> bool:
    """Whether anything but proofs stands behind the last signature."""
    if not facts.ends_cleanly:
        return True
    return not last.covers_file and last.changes is not Changes.PROOFS


def _verdict(one: SignatureFacts, revocation: Revocation, *, added_after: bool) -> Verdict:
    if one.fault == "unknown_kind":
        return Verdict.CANNOT_BE_JUDGED
    if one.fault or not one.is_intact:
        return Verdict.DAMAGED
    if not one.covers_revision or one.changes in {Changes.OTHER, Changes.ANNOTATIONS}:
        return Verdict.ALTERED
    if added_after or not one.permits_changes:
        return Verdict.ALTERED
    if one.timestamp is not None and not one.timestamp.is_intact:
        return Verdict.DAMAGED
    if revocation is Revocation.REVOKED:
        return Verdict.CERTIFICATE_INVALID
    match one.trouble:
        case PathTrouble.UNTRUSTED:
            return Verdict.UNTRUSTED
        case PathTrouble.EXPIRED | PathTrouble.NOT_YET | PathTrouble.REVOKED | PathTrouble.UNSUITABLE:
            return Verdict.CERTIFICATE_INVALID
    stamped = one.timestamp is not None and one.timestamp.is_valid and one.timestamp.is_development
    return Verdict.DEVELOPMENT if one.is_development or stamped else Verdict.VALID


def _revocation(one: SignatureFacts, asked: dict[str, datetime | None]) -> Revocation:
    """A certificate that was revoked after the signature was proven to exist made a good one."""
    if one.trouble is PathTrouble.REVOKED:
        return Revocation.REVOKED
    if one.thumbprint_sha256 in asked:
        revoked_at = asked[one.thumbprint_sha256]
        if revoked_at is None or (
            one.judged_at is not None and not one.judged_now and revoked_at > one.judged_at
        ):
            return Revocation.GOOD
        return Revocation.REVOKED
    return Revocation.GOOD if one.revocation_embedded else Revocation.UNKNOWN
