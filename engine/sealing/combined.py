"""The combined download: of one document its sealed file, of several a copy of all pages behind a page that says so.

Joining files cannot keep their signatures, so a joined file never looks as if it had them: its first page names
every document with the hash of its sealed file, the form fields are gone, and the platform seals the copy.
What is proof is the document's own file. Runs apart, as sealing does.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pikepdf

from engine.sealing.completion_facts import DocumentFacts
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.seal import SealedFile, SealOrder, seal_file
from engine.sealing.sheets import Sheets
from engine.sealing.signer import SealingKey
from engine.sealing.signing import SealTools


class CombinedPart(msgspec.Struct, frozen=True):
    file: Path
    facts: DocumentFacts


async def make_combined(
    tools: SealTools,
    key: SealingKey,
    subject: str,
    verify_url: str,
    parts: Sequence[CombinedPart],
    target: Path,
) -> SealedFile:
    """Writes the sealed copy to `target`. Raises SealingFailed."""
    draft = target.with_suffix(".draft")
    _write_cover(tools, subject, verify_url, parts, draft)
    joined = target.with_suffix(".joined")
    try:
        _join(draft, parts, joined)
    except (pikepdf.PdfError, RuntimeError, ValueError) as error:
        raise SealingFailed(
            SealTrouble.DOCUMENT_DAMAGED, f"the documents cannot be joined ({type(error).__name__})"
        ) from error
    order = SealOrder(source=joined, target=target, stamps=(), pictures={}, key=key, reason="Joined copy")
    return await seal_file(tools, order)


def _write_cover(
    tools: SealTools, subject: str, verify_url: str, parts: Sequence[CombinedPart], target: Path
) -> None:
    sheets = Sheets(tools.faces)
    sheets.paragraph("Joined copy", size=20, bold=True)
    sheets.paragraph(
        f"This file shows the pages of {len(parts)} signed documents one after the other. It is a copy for reading: "
        "the signatures are in the documents' own files, which have the hashes below."
    )
    sheets.pair("Subject", subject)
    sheets.pair("Verify at", verify_url)
    for part in parts:
        sheets.heading(part.facts.name)
        sheets.pair("Pages", str(part.facts.page_count))
        sheets.pair("SHA-256 as sealed", part.facts.sealed_sha256)
    with target.open("wb") as file:
        sheets.close("Joined copy, not the signed documents themselves").write(file)


def _join(cover: Path, parts: Sequence[CombinedPart], target: Path) -> None:
    with pikepdf.open(cover) as joined:
        sources = []
        try:
            for part in parts:
                source = pikepdf.open(part.file)
                sources.append(source)
                _drop_fields(source)
                joined.pages.extend(source.pages)
            joined.save(target)
        finally:
            for source in sources:
                source.close()


def _drop_fields(source: pikepdf.Pdf) -> None:
    """What fields show becomes part of the page; a signature that is copied proves nothing and goes."""
    if "/AcroForm" not in source.Root:
        return
    source.flatten_annotations("all")
    if "/AcroForm" in source.Root:  # gone when nothing is left in it
        del source.Root.AcroForm
    for page in source.pages:
        if "/Annots" in page:
            kept = [one for one in page.Annots if one.get("/Subtype") != "/Widget"]
            page.Annots = pikepdf.Array(kept)
