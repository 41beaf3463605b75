"""What the demo reports: one struct per envelope, the whole, and the judgement whether it is a good end."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from gateway.cli.demo.timeline import DemoFailed

FIRST, SECOND, THIRD = "docusign", "adobe_sign", "internal"
PROVIDERS = (FIRST, FIRST, SECOND, THIRD)


class SealReport(msgspec.Struct, kw_only=True, frozen=True):
    """One sealed file's verdict: the gateway's, which knows what it stored, and that of a process apart, which has
    nothing but the file and the root. `signatures` has the design's keys for each.
    """

    file: str
    sha256: str
    verdict: str
    summary: str
    signatures: list[dict[str, Any]]
    matches_stored: bool
    verdict_apart: str


class EnvelopeReport(msgspec.Struct, kw_only=True):
    """One envelope in the report; filled as the story goes on.

    `signed_by`: "sandbox" (at a provider's), "browser" or "http" (in the ceremony of the built-in engine).
    `sealed`: the verdicts on what the built-in engine sealed; a sandbox's file bears no seal of ours.
    """

    id: str
    provider: str
    status: str
    input_sha256: str
    signed_by: str = ""
    signed_pdf: str = ""
    signed_sha256: str = ""
    certificate_pdf: str = ""
    ledger_head: str = ""
    ledger_sequence: int = 0
    ledger_file: str = ""
    ledger_verified: bool = False
    events: list[str] = []
    sealed: list[SealReport] = []


class Report(msgspec.Struct, kw_only=True):
    """What `--json` prints. `problem` says what did not come when `ok` is false. `switch` is the first of
    `switches`; `no_browser` says why the ceremony was not held in one.
    """

    ok: bool = False
    problem: str = ""
    envelopes: list[EnvelopeReport] = []
    deliveries: dict[str, int | str] = {}
    switch: dict[str, Any] = {}
    switches: list[dict[str, Any]] = []
    no_browser: str = ""
    tenant_ledger: dict[str, Any] = {}
    recheck: str = ""
    folder: str = ""
    seconds: float = 0.0


def judge(report: Report) -> str:
    """What is missing to a good end; empty when nothing is."""
    counted = report.deliveries
    if tuple(one.provider for one in report.envelopes) != PROVIDERS:
        return "the envelopes went to other providers than they should have"
    if not all(one.status == "completed" and one.ledger_verified for one in report.envelopes):
        return "an envelope is not completed or its ledger is not verified"
    if (
        not counted.get("sent")
        or len({counted[name] for name in ("sent", "verified_standard", "verified_seed")}) > 1
    ):
        return f"sent and verified webhooks differ: {counted}"
    if not report.tenant_ledger.get("ledger_verified"):
        return "the tenant's ledger is not verified"
    sealed = report.envelopes[-1].sealed
    if len(sealed) != len({"document", "certificate"}) or any(complaint_of(one) for one in sealed):
        return "a file of the built-in engine is not sealed as it should be"
    return ""


def complaint_of(sealed: SealReport) -> str:
    """Why a sealed file is not good; empty when it is. The demo's seals are a development authority's, and MUST be
    called that.
    """
    if not sealed.signatures:
        return "it bears no signature"
    for one in sealed.signatures:
        missing = [name for name in ("signature_valid", "certificate_valid") if not one[name]]
        if one["timestamp_valid"] is not True:
            missing.append("timestamp_valid")
        if missing:
            return f"{one['signer']}: {', '.join(missing)} is not so ({one['summary']})"
    if not sealed.matches_stored:
        return "it is not the file that the gateway has stored"
    for verdict in (sealed.verdict, sealed.verdict_apart):
        if verdict != "development":
            return f"the verdict is {verdict}"
    return ""


def new_folder(parent: Path) -> Path:
    """A folder named after the moment, which did not exist before."""
    name = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for attempt in range(100):
        folder = parent / (name if attempt == 0 else f"{name}-{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise DemoFailed(f"{parent} has no room for another folder")
