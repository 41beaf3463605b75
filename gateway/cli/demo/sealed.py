"""Whether what the built-in engine sealed holds: asked of the gateway, and of a process that has only the file."""

import asyncio
import hashlib
import json
import sys
from pathlib import Path

from gateway.cli.demo.client import Dms
from gateway.cli.demo.report import SealReport, complaint_of
from gateway.cli.demo.timeline import DemoFailed

KEYS = (
    "signer",
    "signature_valid",
    "certificate_valid",
    "revocation_status",
    "timestamp_valid",
    "signing_time",
    "reason",
    "location",
    "summary",
)


async def verify_sealed(dms: Dms, file: Path, root: Path, folder: Path) -> SealReport:
    """The two verdicts. Raises DemoFailed unless both are good and agree."""
    content = await asyncio.to_thread(file.read_bytes)
    told = await dms.verify(content)
    sealed = SealReport(
        file=str(file),
        sha256=hashlib.sha256(content).hexdigest(),
        verdict=told["verdict"],
        summary=told["summary"],
        signatures=[{key: one[key] for key in KEYS} for one in told["signatures"]],
        matches_stored=told["matches_stored"] is True,
        verdict_apart=await _verify_apart(file, root, folder),
    )
    if problem := complaint_of(sealed):
        raise DemoFailed(f"{file.name}: {problem}")
    return sealed


async def _verify_apart(file: Path, root: Path, folder: Path) -> str:
    """The verdict of `countersign verify`, run where no installation lies and nothing is set."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli.main", "verify", str(file)),
        *("--json", "--offline", "--trust", str(root)),
        cwd=folder,
        env={},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    try:
        return str(json.loads(output)["verdict"])
    except (ValueError, KeyError) as error:
        raise DemoFailed(f"countersign verify said: {output.decode(errors='replace')[:500]}") from error
