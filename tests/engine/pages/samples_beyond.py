"""Samples of the pages beyond the ceremony: verifying a document, and placing a draft's fields."""

from collections.abc import Mapping

import msgspec

from engine.ceremony.prepare_view import (
    FieldKind,
    PrepareField,
    PreparePage,
    PrepareRecipient,
    PrepareStartPage,
)
from engine.ceremony.verify_view import SignatureVerdict, Tone, VerdictRow, VerifyPage
from normalizer.field import DEFAULT_SIZE
from tests.engine.pages.samples_shared import ACME, LONG_NAME, document

VERIFIED = VerifyPage(
    language="en",
    development=False,
    code="K7QF-2M9X-TT4D",
    verdict="Genuine and unchanged",
    tone=Tone.GOOD,
    summary="The file is exactly the one that was sealed on November 22, 2026.",
    facts=(("Document", "Lease agreement.pdf"), ("Sealed", "November 22, 2026, 14:09 UTC"), ("Signers", "2")),
    rows=(
        VerdictRow(
            title="Bytes", finding="the same as sealed", tone=Tone.GOOD, detail=f"SHA-256 {'9f' * 32}"
        ),
        VerdictRow(
            title="Later changes",
            finding="none",
            tone=Tone.GOOD,
            detail="The signature covers the whole file.",
        ),
    ),
    signatures=(
        SignatureVerdict(
            title="Nordwind Versicherung AG (seal)",
            tone=Tone.WARNING,
            rows=(
                VerdictRow(title="Signature", finding="intact", tone=Tone.GOOD),
                VerdictRow(
                    title="Certificate",
                    finding="of a development authority",
                    tone=Tone.WARNING,
                    detail="Nobody else trusts it.",
                ),
                VerdictRow(title="Time stamp", finding="2026-11-22 14:09:12 UTC", tone=Tone.GOOD),
            ),
        ),
    ),
    largest_bytes=52_428_800,
)

PREPARE = PreparePage(
    base="/prepare/s/sample",
    csrf="sample-csrf",
    language="en",
    brand=ACME,
    development=False,
    subject="Lease agreement, Harbour Street 12",
    documents=(document(),),
    recipients=(
        PrepareRecipient(
            id="r1", number=1, name="Adaeze Okafor", email="a@x.example", role="signer", signs=True
        ),
        PrepareRecipient(
            id="r2", number=2, name=LONG_NAME, email="b@x.example", role="approver", signs=False
        ),
    ),
    fields=(
        PrepareField(
            id="p1",
            document=1,
            recipient_id="r1",
            type="signature",
            page=1,
            x=110,
            y=300,
            width=160,
            height=40,
        ),
        PrepareField(
            id="p2",
            document=1,
            recipient_id="r2",
            type="text",
            page=1,
            x=110,
            y=200,
            width=160,
            height=18,
            label="Cost centre",
        ),
    ),
    kinds=tuple(
        FieldKind(type=kind, width=width, height=height, is_signing=kind in {"signature", "initials"})
        for kind, (width, height) in DEFAULT_SIZE.items()
    ),
    return_url="https://dms.example/drafts/1",
)

BEYOND: Mapping[str, VerifyPage | PreparePage | PrepareStartPage] = {
    "verify": VerifyPage(language="en", development=False, largest_bytes=52_428_800),
    "verify-good": VERIFIED,
    "verify-bad": VerifyPage(
        language="de",
        development=True,
        verdict="Nicht unverändert",
        tone=Tone.BAD,
        summary="Nach dem Versiegeln wurde etwas über Seite 1 gelegt.",
        rows=(VerdictRow(title="Spätere Änderungen", finding="gefunden", tone=Tone.BAD),),
    ),
    "prepare-start": PrepareStartPage(
        post_url="/prepare/sample", language="de", brand=ACME, development=False, subject="Lease agreement"
    ),
    "prepare": PREPARE,
    "prepare-over": msgspec.structs.replace(PREPARE, problem="prepare.not_found"),
}
