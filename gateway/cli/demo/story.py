"""The demo's story: three envelopes, two providers, one switch while an envelope is open, and the proof.

Every change is caused through the public API or by a signer at a provider's sandbox; what is waited for is
always the tenant's own webhook, so the whole way is shown: provider, webhook, inbox, ledger, outbox, receiver.
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec

from gateway.cli.demo.client import PATIENCE_S, Administrator, Dms
from gateway.cli.demo.people import PEOPLE
from gateway.cli.demo.proof import chain_of, export_to, recheck_apart, verify_apart
from gateway.cli.demo.receiver import Receiver
from gateway.cli.demo.timeline import DemoFailed, Timeline
from gateway.cli.house import House
from gateway.cli.sample import Place

FIRST, SECOND = "docusign", "adobe_sign"
ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
CHARLES = {"name": "Charles Babbage", "email": "charles@example.com"}
ALAN = {"name": "Alan Turing", "email": "alan@example.com"}


class EnvelopeReport(msgspec.Struct, kw_only=True):
    """One envelope in the report; filled as the story goes on."""

    id: str
    provider: str
    status: str
    input_sha256: str
    signed_pdf: str = ""
    signed_sha256: str = ""
    certificate_pdf: str = ""
    ledger_head: str = ""
    ledger_sequence: int = 0
    ledger_file: str = ""
    ledger_verified: bool = False
    events: list[str] = []


class Report(msgspec.Struct, kw_only=True):
    """What `--json` prints. `problem` says what did not come when `ok` is false."""

    ok: bool = False
    problem: str = ""
    envelopes: list[EnvelopeReport] = []
    deliveries: dict[str, int | str] = {}
    switch: dict[str, Any] = {}
    tenant_ledger: dict[str, Any] = {}
    recheck: str = ""
    folder: str = ""
    seconds: float = 0.0


class Story:
    def __init__(
        self, house: House, client: httpx.AsyncClient, receiver: Receiver, timeline: Timeline, report: Report
    ) -> None:
        development = house.development
        self._house = house
        self._receiver = receiver
        self._timeline = timeline
        self._report = report
        self._folder = Path(report.folder)
        self._dms = Dms(client, house.url, development.tenant_key)
        self._administrator = Administrator(
            client, house.url, development.administrator_key, development.tenant
        )
        self._people = {
            name: at(client, house.sandboxes[name].url)
            for name, at in PEOPLE.items()
            if name in house.sandboxes
        }

    async def tell(self, document: bytes, name: str, places: tuple[Place, Place]) -> None:
        """Fills the report. Raises DemoFailed at the first step that does not come."""
        await self._subscribe()
        self._document, self._document_name = document, name
        first = await self._send(
            FIRST, "First contract", [(ADA, 1, places[0]), (CHARLES, 2, places[1])], copy_to=ALAN
        )
        await self._sign(first, ADA, CHARLES)
        second = await self._send(FIRST, "Second contract", [(ADA, 1, places[0])])
        await self._switch(second)
        third = await self._send(SECOND, "Third contract", [(ADA, 1, places[0]), (CHARLES, 2, places[1])])
        await self._sign(third, ADA, CHARLES)
        await self._sign(second, ADA)
        for number, envelope in enumerate(self._report.envelopes, 1):
            await self._download(number, envelope)
        await self._count_deliveries()
        await self._prove()

    async def _subscribe(self) -> None:
        with self._timeline.step("tenant", f"webhook endpoint registered at {self._receiver.url}"):
            endpoint = await self._dms.post("/webhooks", {"url": self._receiver.url}, once="endpoint")
            self._receiver.trust(endpoint["secret"], endpoint["standard_secret"])

    async def _send(
        self,
        expected: str,
        name: str,
        signers: list[tuple[dict[str, str], int, Place]],
        *,
        copy_to: dict[str, str] | None = None,
    ) -> EnvelopeReport:
        recipients: list[dict[str, Any]] = [
            {
                **person,
                "routing_order": order,
                "fields": [{"type": "signature", "page": place.page, "x": place.x, "y": place.y}],
            }
            for person, order, place in signers
        ]
        if copy_to is not None:
            recipients.append({**copy_to, "role": "carbon_copy", "routing_order": len(signers) + 1})
        with self._timeline.step("API", f"{self._document_name} uploaded") as added:
            uploaded = await self._dms.upload(self._document, self._document_name)
            added.append(f"({uploaded['size_bytes']} bytes, {uploaded['page_count']} pages)")
        body = {
            "name": name,
            "send": True,
            "documents": [{"document_id": uploaded["id"]}],
            "recipients": recipients,
        }
        people = " then ".join(person["name"].split()[0] for person, *_ in signers)
        copied = f", copy to {copy_to['name'].split()[0]}" if copy_to else ""
        title = self._house.sandboxes[expected].title
        with self._timeline.step(
            "API", f"{name} created and sent through {title} to {people}{copied}:"
        ) as added:
            envelope = await self._dms.post("/envelopes", body, once=name)
            envelope = await self._dms.until_status(
                envelope["id"], {"sent", "delivered"}, f"the sending of {name}"
            )
            added.append(envelope["id"])
        if envelope["provider"] != expected:
            raise DemoFailed(f"{name} went to {envelope['provider']}, not to {expected}")
        report = EnvelopeReport(
            id=envelope["id"],
            provider=envelope["provider"],
            status=envelope["status"],
            input_sha256=envelope["documents"][0]["sha256"],
        )
        self._report.envelopes = [*self._report.envelopes, report]
        return report

    async def _sign(self, envelope: EnvelopeReport, *people: dict[str, str]) -> None:
        title = self._house.sandboxes[envelope.provider].title
        stored = await self._dms.get(f"/envelopes/{envelope.id}")
        for person in people:
            with self._timeline.step(
                title.split()[0], f"{person['name']} opened and signed {stored['name']}"
            ):
                await self._people[envelope.provider].sign(stored["provider_ref"], person["email"])
        what = f"the tenant's webhook envelope.completed of {stored['name']}"
        with self._timeline.step(
            "receiver",
            f"{stored['name']} completed: webhook from {title} taken in, webhook to the tenant verified",
        ):

            def has_completed() -> bool:
                return any(one.type == "envelope.completed" for one in self._receiver.of(envelope.id))

            if not await self._receiver.wait_for(has_completed, PATIENCE_S):
                raise DemoFailed(f"{what} did not come: {await self._dms.explain(envelope.id)}")
            stored = await self._dms.get(f"/envelopes/{envelope.id}")
        envelope.status = stored["status"]
        if envelope.status != "completed" or stored["provider"] != envelope.provider:
            raise DemoFailed(f"{envelope.id} is {envelope.status} at {stored['provider']}")

    async def _switch(self, still_open: EnvelopeReport) -> None:
        target = self._house.development.connection(SECOND)
        with self._timeline.step(
            "administrator", f"switched the tenant to {self._house.sandboxes[SECOND].title};"
        ) as added:
            health = await self._administrator.check(target)
            if not health["ok"]:
                raise DemoFailed(f"the credentials of {SECOND} do not work: {health['problem']}")
            switch = await self._administrator.switch(target, "The demo changes the provider.")
            in_flight = sum(switch["in_flight"].values())
            added.append(f"{in_flight} envelope in flight stays where it is")
        self._report.switch = {
            "id": switch["id"],
            "from": FIRST,
            "to": SECOND,
            "at": switch["created_at"],
            "reason": switch["reason"],
            "in_flight": switch["in_flight"],
            "open_envelope": still_open.id,
        }
        if in_flight != 1:
            raise DemoFailed(f"one envelope should have been open at the switch, not {in_flight}")

    async def _download(self, number: int, envelope: EnvelopeReport) -> None:
        with self._timeline.step("API", "signed PDF and certificate saved:") as added:
            signed = self._folder / f"{number}-{envelope.provider}-signed.pdf"
            certificate = self._folder / f"{number}-{envelope.provider}-certificate.pdf"
            envelope.signed_sha256 = await self._dms.save(f"/envelopes/{envelope.id}/combined", signed)
            await self._dms.save(f"/envelopes/{envelope.id}/certificate", certificate)
            envelope.signed_pdf, envelope.certificate_pdf = str(signed), str(certificate)
            added.append(signed.name)

    async def _count_deliveries(self) -> None:
        with self._timeline.step("receiver", "every webhook delivered and verified in both ways:") as added:
            deliveries = await self._all_delivered()
            succeeded = {one["event_id"] for one in deliveries if one["state"] == "succeeded"}

            def all_here() -> bool:
                return succeeded <= {one.id for one in self._receiver.received}

            if not await self._receiver.wait_for(all_here, PATIENCE_S):
                raise DemoFailed("some webhooks count as delivered that the receiver never saw")
            received = self._receiver.received
            problems = [problem for one in received for problem in one.problems]
            self._report.deliveries = {
                "sent": len(deliveries),
                "verified_standard": len({one.id for one in received if one.by_standard}),
                "verified_seed": len({one.id for one in received if one.by_design}),
                "standard_library": self._receiver.standard_library or "the rule, written out",
            }
            if problems:
                raise DemoFailed(f"{len(problems)} webhooks did not verify, the first: {problems[0]}")
            added.append(str(len(deliveries)))

    async def _all_delivered(self) -> list[dict[str, Any]]:
        ends_at = asyncio.get_running_loop().time() + PATIENCE_S
        while waiting := await self._dms.get("/deliveries", state="undelivered"):
            if asyncio.get_running_loop().time() > ends_at:
                raise DemoFailed(f"{len(waiting)} webhooks are not delivered: {waiting[0]['explanation']}")
            await asyncio.sleep(0.05)
        found: list[dict[str, Any]] = []
        while page := await self._dms.get(
            "/deliveries", limit="200", before=found[-1]["id"] if found else ""
        ):
            found += page
        return found

    async def _prove(self) -> None:
        tenant_id = self._house.development.tenant_id
        for envelope in self._report.envelopes:
            with self._timeline.step(
                "ledger", f"chain of {envelope.id} verified by the API and by a second"
            ) as added:
                trail = await self._dms.get(f"/envelopes/{envelope.id}/audit-trail")
                envelope.events = [entry["event_type"] for entry in trail["entries"]]
                told = trail["entries"][-1]
                chain, file = chain_of(envelope.id), self._folder / f"{envelope.id}.ledger.jsonl"
                head = await export_to(self._house.settings, tenant_id, chain, file)
                envelope.ledger_head, envelope.ledger_sequence = head.hash, head.sequence
                envelope.ledger_file = str(file)
                pinned = f"{told['sequence']}:{told['hash']}"
                verdict = await verify_apart(file, tenant_id, chain, pinned)
                envelope.ledger_verified = bool(trail["integrity"]["valid"] and verdict["valid"])
                if not envelope.ledger_verified:
                    raise DemoFailed(
                        f"the ledger of {envelope.id} does not verify: {json.dumps(verdict)[:500]}"
                    )
                added.append(f"process ({verdict['events_verified']} entries)")
        with self._timeline.step("ledger", "all chains of the tenant verified") as added:
            whole = await self._dms.get("/audit/verify")
            chain, file = f"tenant:{tenant_id}", self._folder / "tenant.ledger.jsonl"
            head = await export_to(self._house.settings, tenant_id, chain, file)
            verdict = await verify_apart(file, tenant_id, chain, "")
            verified = bool(whole["valid"] and verdict["valid"])
            self._report.tenant_ledger = {
                "tenant": self._house.development.tenant,
                "ledger_head": head.hash,
                "ledger_file": str(file),
                "ledger_verified": verified,
                "events_verified": whole["events_verified"],
            }
            if not verified:
                raise DemoFailed(f"the tenant's ledger does not verify: {json.dumps(whole)[:500]}")
            added.append(f"({whole['events_verified']} entries)")
        with self._timeline.step("recheck", "a second process:") as added:
            file = self._folder / "report.json"
            file.write_bytes(msgspec.json.format(msgspec.json.encode(self._report), indent=2))
            fits, said = await recheck_apart(file)
            self._report.recheck = said
            added.append(said)
            if not fits:
                raise DemoFailed(f"a second process does not agree: {said}")


def judge(report: Report) -> str:
    """What is missing to a good end; empty when nothing is."""
    counted = report.deliveries
    if [one.provider for one in report.envelopes] != [FIRST, FIRST, SECOND]:
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
