"""The demo's proof: chains are exported, and other processes check them and the saved files.

The verifier runs isolated (`python -I`), from its one file, so that nothing of the gateway can help it.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

import ledger.verify
from config.database import Database
from config.settings import Settings
from gateway.cli.demo import recheck
from gateway.cli.demo.timeline import DemoFailed
from gateway.cli.stores import urls_of
from ledger.export import export_chain
from normalizer.ids import Kind, read_id


class ExportedHead(msgspec.Struct, frozen=True):
    """The last link of an exported chain; `hash` in hexadecimal."""

    sequence: int
    hash: str


async def export_to(settings: Settings, tenant_id: UUID, chain: str, file: Path) -> ExportedHead:
    """Writes the chain as it is stored now."""
    line = b""
    async with (
        await Database.connect(
            urls_of(settings)["database_url"], application_name="countersign demo"
        ) as database,
        database.transaction(tenant_id) as tx,
    ):
        with file.open("wb") as written:
            async for line in export_chain(tx, tenant_id, chain):
                written.write(line)
    if not line:
        raise DemoFailed(f"the chain {chain} is empty")
    head = json.loads(line)
    return ExportedHead(head["seq"], head["hash"])


def chain_of(envelope_id: str) -> str:
    return f"env:{read_id(Kind.ENVELOPE, envelope_id)}"


async def verify_apart(file: Path, tenant_id: UUID, chain: str, known_head: str) -> dict[str, Any]:
    """The stand-alone verifier's verdict on an export, given a head that the API told."""
    arguments = [str(file), "--tenant", str(tenant_id), "--chain", chain]
    if known_head:
        arguments += ["--head", known_head]
    _, output = await _python(Path(ledger.verify.__file__), *arguments)
    try:
        verdict: dict[str, Any] = json.loads(output)
    except ValueError as error:
        raise DemoFailed(f"the verifier said: {output[:500]}") from error
    return verdict


async def recheck_apart(report: Path) -> tuple[bool, str]:
    """Whether a second process finds every hash as reported, and what it says."""
    status, output = await _python(Path(recheck.__file__), str(report))
    return status == 0, output.strip()


async def _python(script: Path, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(script),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")
