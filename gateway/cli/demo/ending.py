"""How the demo ends: files saved, seals verified, webhooks counted, chains proved, everything computed again."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec

from gateway.cli.demo.client import PATIENCE_S, Dms
from gateway.cli.demo.proof import chain_of, export_to, recheck_apart, verify_apart
from gateway.cli.demo.receiver import Receiver
from gateway.cli.demo.report import EnvelopeReport, Report
from gateway.cli.demo.sealed import verify_sealed
from gateway.cli.demo.timeline import DemoFailed, Timeline
from gateway.cli.house import House

ROOT_FILE = "development-root.pem"


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What the whole story is told with."""

    house: House
    dms: Dms
    receiver: Receiver
    timeline: Timeline
    report: Report

    @property
    def folder(self) -> Path:
        return Path(self.report.folder)


async def download(scene: Scene, number: int, envelope: EnvelopeReport) -> None:
    with scene.timeline.step("API", "signed PDF and certificate saved:") as added:
        signed = scene.folder / f"{number}-{envelope.provider}-signed.pdf"
        certificate = scene.folder / f"{number}-{envelope.provider}-certificate.pdf"
        envelope.signed_sha256 = await scene.dms.save(f"/envelopes/{envelope.id}/combined", signed)
        await scene.dms.save(f"/envelopes/{envelope.id}/certificate", certificate)
        envelope.signed_pdf, envelope.certificate_pdf = str(signed), str(certificate)
        added.append(signed.name)


async def count_deliveries(scene: Scene) -> None:
    with scene.timeline.step("receiver", "every webhook delivered and verified in both ways:") as added:
        deliveries = await _all_delivered(scene)
        succeeded = {one["event_id"] for one in deliveries if one["state"] == "succeeded"}

        def all_here() -> bool:
            return succeeded <= {one.id for one in scene.receiver.received}

        if not await scene.receiver.wait_for(all_here, PATIENCE_S):
            raise DemoFailed("some webhooks count as delivered that the receiver never saw")
        received = scene.receiver.received
        problems = [problem for one in received for problem in one.problems]
        scene.report.deliveries = {
            "sent": len(deliveries),
            "verified_standard": len({one.id for one in received if one.by_standard}),
            "verified_seed": len({one.id for one in received if one.by_design}),
            "standard_library": scene.receiver.standard_library or "the rule, written out",
        }
        if problems:
            raise DemoFailed(f"{len(problems)} webhooks did not verify, the first: {problems[0]}")
        added.append(str(len(deliveries)))


async def _all_delivered(scene: Scene) -> list[dict[str, Any]]:
    ends_at = asyncio.get_running_loop().time() + PATIENCE_S
    while waiting := await scene.dms.get("/deliveries", state="undelivered"):
        if asyncio.get_running_loop().time() > ends_at:
            raise DemoFailed(f"{len(waiting)} webhooks are not delivered: {waiting[0]['explanation']}")
        await asyncio.sleep(0.05)
    found: list[dict[str, Any]] = []
    while page := await scene.dms.get("/deliveries", limit="200", before=found[-1]["id"] if found else ""):
        found += page
    return found


async def prove(scene: Scene) -> None:
    tenant_id = scene.house.development.tenant_id
    for envelope in scene.report.envelopes:
        with scene.timeline.step(
            "ledger", f"chain of {envelope.id} verified by the API and by a second"
        ) as added:
            trail = await scene.dms.get(f"/envelopes/{envelope.id}/audit-trail")
            envelope.events = [entry["event_type"] for entry in trail["entries"]]
            told = trail["entries"][-1]
            chain, file = chain_of(envelope.id), scene.folder / f"{envelope.id}.ledger.jsonl"
            head = await export_to(scene.house.settings, tenant_id, chain, file)
            envelope.ledger_head, envelope.ledger_sequence = head.hash, head.sequence
            envelope.ledger_file = str(file)
            pinned = f"{told['sequence']}:{told['hash']}"
            verdict = await verify_apart(file, tenant_id, chain, pinned)
            envelope.ledger_verified = bool(trail["integrity"]["valid"] and verdict["valid"])
            if not envelope.ledger_verified:
                raise DemoFailed(f"the ledger of {envelope.id} does not verify: {json.dumps(verdict)[:500]}")
            added.append(f"process ({verdict['events_verified']} entries)")
    with scene.timeline.step("ledger", "all chains of the tenant verified") as added:
        whole = await scene.dms.get("/audit/verify")
        chain, file = f"tenant:{tenant_id}", scene.folder / "tenant.ledger.jsonl"
        head = await export_to(scene.house.settings, tenant_id, chain, file)
        verdict = await verify_apart(file, tenant_id, chain, "")
        verified = bool(whole["valid"] and verdict["valid"])
        scene.report.tenant_ledger = {
            "tenant": scene.house.development.tenant,
            "ledger_head": head.hash,
            "ledger_file": str(file),
            "ledger_verified": verified,
            "events_verified": whole["events_verified"],
        }
        if not verified:
            raise DemoFailed(f"the tenant's ledger does not verify: {json.dumps(whole)[:500]}")
        added.append(f"({whole['events_verified']} entries)")
    with scene.timeline.step("recheck", "a second process:") as added:
        file = scene.folder / "report.json"
        file.write_bytes(msgspec.json.format(msgspec.json.encode(scene.report), indent=2))
        fits, said = await recheck_apart(file)
        scene.report.recheck = said
        added.append(said)
        if not fits:
            raise DemoFailed(f"a second process does not agree: {said}")


async def verify_seals(scene: Scene, envelope: EnvelopeReport) -> None:
    """Both files of the built-in engine. The root is kept beside them: by it anybody can repeat this."""
    root = scene.folder / ROOT_FILE
    shutil.copyfile(scene.house.settings.countersign.data_dir / "authority" / "root.pem", root)
    with scene.timeline.step(
        "verification", "sealed PDF and certificate of completion, here and in a"
    ) as added:
        files = (Path(envelope.signed_pdf), Path(envelope.certificate_pdf))
        envelope.sealed = await asyncio.gather(
            *(verify_sealed(scene.dms, file, root, scene.folder) for file in files)
        )
        added.append(f"second process: {envelope.sealed[0].summary}")
