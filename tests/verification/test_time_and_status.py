"""What certificates are worth at which moment: archive timestamps, ended and revoked certificates, words."""

import asyncio
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.clock import FixedClock, SystemClock
from config.settings_sealing import SealLevel
from engine.sealing.sealer import OwnStamps
from engine.sealing.signer import LocalKey
from engine.sealing.signing import SealTools
from engine.sealing.timestamps import Timestamps
from engine.sealing.typefaces import typefaces
from engine.verification.facts import Changes
from engine.verification.verdict import Revocation, Verdict
from engine.verification.words import CATALOGUES
from tests.sealing.authority import root_of, served_authority
from tests.verification.bench import Bench, root_der
from tests.verification.papers import seal_paper, sign_paper

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_signature_outlives_its_certificate_by_its_timestamp(sealed: bytes, bench: Bench) -> None:
    """The authority's own certificates end after a year; the timestamp's then proves nothing more."""
    soon = FixedClock(datetime.now(UTC) + timedelta(days=300))
    assert (await bench.verify(sealed, clock=soon)).verdict is Verdict.DEVELOPMENT
    later = FixedClock(datetime.now(UTC) + timedelta(days=400))
    report = await bench.verify(sealed, clock=later)
    assert report.verdict is Verdict.CERTIFICATE_INVALID
    assert report.signatures[0].timestamp_valid is False


async def test_a_certificate_that_ended_before_it_signed_is_not_valid(authority, bench: Bench) -> None:
    ended = authority.issue("Countersign DEVELOPMENT ended", days=-30)
    key = LocalKey(ended.certificate, (authority.issuing.certificate,), ended.key)
    pdf = await asyncio.to_thread(sign_paper, authority, key=key, timestamp=False)
    report = await bench.verify(pdf)
    assert report.verdict is Verdict.CERTIFICATE_INVALID
    assert report.signatures[0].timestamp_valid is None
    assert not report.signatures[0].signing_time_is_proven


async def test_revocation_is_asked_and_an_archive_timestamp_is_understood(
    tmp_path: Path, bench: Bench
) -> None:
    def make(level: SealLevel, key: LocalKey | None = None) -> bytes:
        stamps = Timestamps([OwnStamps(own)], SystemClock(), rest_s=60, roots=[root_of(own)])
        tools = SealTools(faces=typefaces(), timestamps=stamps, level=level, loopback=("127.0.0.1:*",))
        return seal_paper(own, tmp_path, tools=tools, key=key)

    with served_authority(tmp_path / "authority") as (_, own):
        roots = (root_der(own),)
        issued = own.issue("Countersign DEVELOPMENT revoked later")
        chain = (own.issuing.certificate, own.root.certificate)
        key = LocalKey(issued.certificate, chain, issued.key)
        plain = await asyncio.to_thread(make, SealLevel.B_T, key)
        archived = await asyncio.to_thread(make, SealLevel.B_LTA)

        report = await bench.verify(plain, roots=roots, ask=True)
        assert report.signatures[0].revocation_status is Revocation.GOOD

        report = await bench.verify(archived, roots=roots)
        assert report.verdict is Verdict.DEVELOPMENT, report
        seal, archive = report.signatures
        assert (seal.is_archive_timestamp, archive.is_archive_timestamp) == (False, True)
        assert seal.coverage.later_changes is Changes.PROOFS
        assert seal.revocation_status is Revocation.GOOD  # the file itself proves it

        # Revoked after a proven signature: it stays good. Without a timestamp: it is not.
        bare = await asyncio.to_thread(sign_paper, own, key=key, timestamp=False)
        await asyncio.sleep(1.1)  # revocations have whole seconds: this one is to be after the timestamp
        own.revoke(issued.certificate)
        assert (await bench.verify(bare, roots=roots, ask=True)).verdict is Verdict.CERTIFICATE_INVALID
        report = await bench.verify(plain, roots=roots, ask=True)
        assert report.verdict is Verdict.DEVELOPMENT, report
    # Nobody answers any more: the status is unknown, and no error.
    report = await bench.verify(plain, roots=roots, ask=True)
    assert report.signatures[0].revocation_status is Revocation.UNKNOWN


async def test_every_language_says_everything() -> None:
    def holes(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    english = CATALOGUES["en"]
    for language, words in CATALOGUES.items():
        assert words.keys() == english.keys(), language
        for key, text in words.items():
            assert holes(text) == holes(english[key]), key
    for verdict in Verdict:
        assert f"file_{verdict}" in english
