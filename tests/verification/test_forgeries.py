"""What was made to look untouched is called altered all the same."""

import asyncio

import pytest

from engine.development.authority_keys import Authority
from engine.verification.facts import Changes
from engine.verification.verdict import Verdict
from tests.verification import forgeries, papers
from tests.verification.bench import Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_signature_repeated_behind_an_overlay_does_not_cover_it(sealed: bytes, bench: Bench) -> None:
    forged = forgeries.repeat_signature_behind(papers.overlay(sealed))
    report = await bench.verify(forged)
    assert report.verdict is Verdict.ALTERED, report
    (one,) = report.signatures
    assert not one.signature_valid
    assert not one.coverage.entire_file


async def test_a_value_changed_after_the_last_signature_is_not_saved_by_a_timestamp_over_it(
    authority: Authority, bench: Bench
) -> None:
    signed = await asyncio.to_thread(forgeries.form_signed_with, "ten", authority)
    assert (await bench.verify(signed)).verdict is Verdict.DEVELOPMENT
    changed = forgeries.change_value(signed, "ten thousand")
    forged = await asyncio.to_thread(forgeries.stamp, changed, authority)
    report = await bench.verify(forged)
    assert report.verdict is Verdict.ALTERED, report
    signature, archive = report.signatures
    assert signature.coverage.later_changes is Changes.FORM
    assert signature.coverage.added_after
    assert not signature.signature_valid
    assert archive.signature_valid


async def test_a_timestamp_behind_a_signature_leaves_it_valid(
    authority: Authority, signed: bytes, bench: Bench
) -> None:
    report = await bench.verify(await asyncio.to_thread(forgeries.stamp, signed, authority))
    assert report.verdict is Verdict.DEVELOPMENT, report
