"""Verifies bytes as the gateway does: through an examiner process, with roots of the test's choice."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from config.clock import Clock, SystemClock
from config.settings import GeneralSettings, Settings
from engine.development.authority_keys import Authority
from engine.documents.examiners import Examiners
from engine.verification.report import Report
from engine.verification.verify import verify_file


@dataclass
class Bench:
    examiners: Examiners
    folder: Path
    roots: tuple[bytes, ...]
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def verify(
        self,
        pdf: bytes,
        *,
        roots: tuple[bytes, ...] | None = None,
        clock: Clock | None = None,
        settings: Settings | None = None,
        ask: bool = False,
        language: str = "en",
    ) -> Report:
        path = self.folder / f"{next(self.numbers)}.pdf"
        path.write_bytes(pdf)
        return await verify_file(
            self.examiners,
            settings or Settings(countersign=GeneralSettings(loopback_allow_list=("127.0.0.1:*",))),
            clock or SystemClock(),
            path,
            self.roots if roots is None else roots,
            ask=ask,
            language=language,
        )


@asynccontextmanager
async def open_bench(authority: Authority, folder: Path) -> AsyncIterator[Bench]:
    examiners = Examiners()
    try:
        yield Bench(examiners, folder, (root_der(authority),))
    finally:
        await examiners.aclose()


def root_der(authority: Authority) -> bytes:
    return authority.root.certificate.public_bytes(Encoding.DER)
