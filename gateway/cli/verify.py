"""`countersign verify file.pdf`: every signature of a file, judged here, without a database or a server.

Status 0: valid, also by a development authority that is trusted; 1: anything else; 2: the file cannot be had.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from config.clock import SystemClock
from config.settings_source import load_settings
from engine.documents.examiners import ExaminerLost, Examiners
from engine.verification.page import report_page
from engine.verification.report import Report
from engine.verification.trust import trusted_roots
from engine.verification.verdict import Verdict
from engine.verification.verify import verify_file
from gateway.cli.printing import print_json

_GOOD = frozenset({Verdict.VALID, Verdict.DEVELOPMENT})


def verify(options: argparse.Namespace) -> int:
    file = Path(options.file)
    if not file.is_file():
        print(f"countersign: there is no file {options.file}.", file=sys.stderr)
        return 2
    try:
        report = asyncio.run(_verify(file, options))
    except ExaminerLost as error:
        print(f"countersign: the file could not be looked at: {error}.", file=sys.stderr)
        return 2
    if options.json:
        print_json(report)
    else:
        _print(report, options.language)
    return 0 if report.verdict in _GOOD else 1


async def _verify(file: Path, options: argparse.Namespace) -> Report:
    settings = load_settings()
    roots = trusted_roots(settings, Path(options.trust) if options.trust else None)
    examiners = Examiners(1)
    try:
        return await verify_file(
            examiners,
            settings,
            SystemClock(),
            file.resolve(),
            roots,
            ask=False if options.offline else None,
            language=options.language,
        )
    finally:
        await examiners.aclose()


def _print(report: Report, language: str) -> None:
    """What the public page says, in lines. Nothing is compared with stored files: there is no database here."""
    page = report_page(report, language, development=False, largest_bytes=0)
    print(page.verdict)
    print(f"SHA-256 {report.sha256}")
    for signature in page.signatures:
        print(f"\n{signature.title}")
        for row in signature.rows:
            print(f"  {row.title}: {row.finding}" + (f" [{row.detail}]" if row.detail else ""))
    if report.signatures and not report.ends_cleanly:
        print(f"\n{page.rows[-1].finding}")
