"""Verifies the signatures of one PDF file: reads it in an examiner, asks about revocation, and judges.

The bytes are parsed nowhere but in the examiner process. MUST NOT be called with a transaction open.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from config.clock import Clock
from config.settings import Settings
from engine.documents.examine import limits_of
from engine.documents.examiners import Examiners
from engine.documents.messages import Operation, Task
from engine.verification.report import Report, compose_report, refuse
from engine.verification.revocation import ask_revocations
from engine.verification.verdict import judge_file
from engine.verification.words import LANGUAGE


async def verify_file(
    examiners: Examiners,
    settings: Settings,
    clock: Clock,
    source: Path,
    roots: Sequence[bytes],
    *,
    ask: bool | None = None,
    language: str = LANGUAGE,
) -> Report:
    """`ask` False: nobody is asked about revocation; None: as the settings say. Raises ExaminerLost."""
    now = clock.now()
    sha256, size = await asyncio.to_thread(_digest, source)
    limits = msgspec.structs.replace(
        limits_of(settings.document), file_bytes=settings.verification.file_bytes
    )
    task = Task(operation=Operation.VERIFY, source=str(source), roots=tuple(roots), moment=now, limits=limits)
    if size > limits.file_bytes:
        return refuse("too_large", sha256=sha256, size_bytes=size, now=now, language=language)
    answer = await examiners.run(task)
    if answer.signed is None:
        code = answer.refusals[0].code if answer.refusals else "crashed"
        return refuse(code, sha256=sha256, size_bytes=size, now=now, language=language)
    asked = {}
    if settings.verification.ask_revocation if ask is None else ask:
        asked = await ask_revocations(
            answer.signed.signatures,
            roots,
            timeout_s=settings.verification.revocation_timeout_s,
            loopback=settings.countersign.loopback_allow_list,
        )
    judged = judge_file(answer.signed, asked)
    return compose_report(judged, sha256=sha256, size_bytes=size, now=now, language=language)


def _digest(source: Path) -> tuple[str, int]:
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), source.stat().st_size
