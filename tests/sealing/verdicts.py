"""What independent readers say about a sealed file: pyHanko's difference analysis, pdfsig and qpdf."""

import asyncio
import io
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from engine.development.authority_keys import Authority
from tests.sealing.authority import root_of


@dataclass(frozen=True)
class Verdict:
    intact: bool
    trusted: bool
    coverage: str
    changes: str
    has_timestamp: bool
    docmdp_ok: bool

    @property
    def is_good(self) -> bool:
        return self.intact and self.trusted and self.has_timestamp and self.docmdp_ok


def judge(pdf: bytes, authority: Authority, *, strict: bool = True) -> list[Verdict]:
    """pyHanko's verdict on each ordinary signature."""

    async def run() -> list[Verdict]:
        reader = PdfFileReader(io.BytesIO(pdf), strict=strict)
        found = []
        for signature in reader.embedded_regular_signatures:
            context = ValidationContext(
                trust_roots=[root_of(authority)], allow_fetching=False, revocation_mode="soft-fail"
            )
            status = await async_validate_pdf_signature(signature, context, ts_validation_context=context)
            found.append(
                Verdict(
                    intact=status.intact and status.valid,
                    trusted=status.trusted,
                    coverage=status.coverage.name,
                    changes=status.modification_level.name if status.modification_level else "NONE",
                    has_timestamp=status.timestamp_validity is not None and status.timestamp_validity.valid,
                    docmdp_ok=bool(status.docmdp_ok),
                )
            )
        return found

    return asyncio.run(run())


def has_pdfsig() -> bool:
    return shutil.which("pdfsig") is not None


def pdfsig(path: Path) -> str:
    return subprocess.run(
        ["pdfsig", str(path)], capture_output=True, text=True, timeout=60, check=False
    ).stdout
