"""The demo's story: four envelopes, three providers, two switches while envelopes are open, and the proof.

Every change is caused through the public API, by a signer at a provider's sandbox, or by a signer on the pages of
the built-in engine; what is waited for is always the tenant's own webhook, so the whole way is shown: provider,
webhook, inbox, ledger, outbox, receiver.
"""

from typing import Any

import httpx
import msgspec

from adapters.kit.registry import adapters
from gateway.cli.demo.client import PATIENCE_S, Administrator
from gateway.cli.demo.ending import Scene, count_deliveries, download, prove, verify_seals
from gateway.cli.demo.people import PEOPLE, AtTheEngine, Ceremony, Person, Signer
from gateway.cli.demo.report import FIRST, SECOND, THIRD, EnvelopeReport
from gateway.cli.demo.timeline import DemoFailed
from gateway.cli.sample import Place

ADA = Signer(name="Ada Lovelace", email="ada@example.com")
CHARLES = Signer(name="Charles Babbage", email="charles@example.com")
ALAN = Signer(name="Alan Turing", email="alan@example.com")
# At the built-in engine they prove who they are: by a mailed code, and by a code told on the telephone.
ADA_TYPES = msgspec.structs.replace(ADA, authentication="email_otp")
CHARLES_DRAWS = msgspec.structs.replace(
    CHARLES, authentication="access_code", access_code="Difference Engine 2", draws=True
)


class Story:
    def __init__(self, scene: Scene, client: httpx.AsyncClient, ceremony: Ceremony) -> None:
        development, house = scene.house.development, scene.house
        self._scene = scene
        self._house = house
        self._dms = scene.dms
        self._receiver = scene.receiver
        self._timeline = scene.timeline
        self._report = scene.report
        self._administrator = Administrator(
            client, house.url, development.administrator_key, development.tenant
        )
        self._people: dict[str, Person] = {
            name: at(client, house.sandboxes[name].url)
            for name, at in PEOPLE.items()
            if name in house.sandboxes
        }
        self._people[THIRD] = AtTheEngine(client, house.outside.url, ceremony)

    async def tell(self, document: bytes, name: str, places: tuple[Place, Place]) -> None:
        """Fills the report. Raises DemoFailed at the first step that does not come."""
        await self._subscribe()
        self._document, self._document_name = document, name
        first = await self._send(
            FIRST, "First contract", [(ADA, 1, places[0]), (CHARLES, 2, places[1])], copy_to=ALAN
        )
        await self._sign(first, ADA, CHARLES)
        second = await self._send(FIRST, "Second contract", [(ADA, 1, places[0])])
        await self._switch(FIRST, SECOND, second)
        third = await self._send(SECOND, "Third contract", [(ADA, 1, places[0]), (CHARLES, 2, places[1])])
        await self._switch(SECOND, THIRD, third)
        fourth = await self._send(
            THIRD, "Fourth contract", [(ADA_TYPES, 1, places[0]), (CHARLES_DRAWS, 2, places[1])]
        )
        await self._sign(fourth, ADA_TYPES, CHARLES_DRAWS)
        await self._sign(third, ADA, CHARLES)
        await self._sign(second, ADA)
        for number, envelope in enumerate(self._report.envelopes, 1):
            await download(self._scene, number, envelope)
        await verify_seals(self._scene, fourth)
        await count_deliveries(self._scene)
        await prove(self._scene)

    async def _subscribe(self) -> None:
        with self._timeline.step("tenant", f"webhook endpoint registered at {self._receiver.url}"):
            endpoint = await self._dms.post("/webhooks", {"url": self._receiver.url}, once="endpoint")
            self._receiver.trust(endpoint["secret"], endpoint["standard_secret"])

    async def _send(
        self,
        expected: str,
        name: str,
        signers: list[tuple[Signer, int, Place]],
        *,
        copy_to: Signer | None = None,
    ) -> EnvelopeReport:
        recipients: list[dict[str, Any]] = [
            {
                **person.as_recipient(),
                "routing_order": order,
                "fields": [{"type": "signature", "page": place.page, "x": place.x, "y": place.y}],
            }
            for person, order, place in signers
        ]
        if copy_to is not None:
            recipients.append(
                {**copy_to.as_recipient(), "role": "carbon_copy", "routing_order": len(signers) + 1}
            )
        with self._timeline.step("API", f"{self._document_name} uploaded") as added:
            uploaded = await self._dms.upload(self._document, self._document_name)
            added.append(f"({uploaded['size_bytes']} bytes, {uploaded['page_count']} pages)")
        body = {
            "name": name,
            "send": True,
            "documents": [{"document_id": uploaded["id"]}],
            "recipients": recipients,
        }
        people = " then ".join(person.first_name for person, *_ in signers)
        copied = f", copy to {copy_to.first_name}" if copy_to else ""
        title = title_of(expected)
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

    async def _sign(self, envelope: EnvelopeReport, *signers: Signer) -> None:
        title, person = title_of(envelope.provider), self._people[envelope.provider]
        stored = await self._dms.get(f"/envelopes/{envelope.id}")
        where = title.split()[0] if person.way == "sandbox" else "ceremony"
        for signer in signers:
            with self._timeline.step(where, self._deed(signer, person, stored["name"])):
                await person.sign(stored["provider_ref"], signer)
        envelope.signed_by = person.way
        what = f"the tenant's webhook envelope.completed of {stored['name']}"
        with self._timeline.step(
            "receiver",
            f"{stored['name']} completed: event from {title} taken in, webhook to the tenant verified",
        ):

            def has_completed() -> bool:
                return any(one.type == "envelope.completed" for one in self._receiver.of(envelope.id))

            if not await self._receiver.wait_for(has_completed, PATIENCE_S):
                raise DemoFailed(f"{what} did not come: {await self._dms.explain(envelope.id)}")
            stored = await self._dms.get(f"/envelopes/{envelope.id}")
        envelope.status = stored["status"]
        if envelope.status != "completed" or stored["provider"] != envelope.provider:
            raise DemoFailed(f"{envelope.id} is {envelope.status} at {stored['provider']}")

    @staticmethod
    def _deed(signer: Signer, person: Person, name: str) -> str:
        if person.way == "sandbox":
            return f"{signer.name} opened and signed {name}"
        proof = "the mailed code" if signer.authentication == "email_otp" else "the access code"
        if person.way == "http":
            return f"{signer.name} followed the mail, gave {proof}, and signed {name} by plain forms"
        how = "drew" if signer.draws else "typed"
        return f"{signer.name} followed the mail, gave {proof}, and {how} the signature in a browser"

    async def _switch(self, former: str, to: str, still_open: EnvelopeReport) -> None:
        target = self._house.development.connection(to)
        with self._timeline.step("administrator", f"switched the tenant to {title_of(to)};") as added:
            health = await self._administrator.check(target)
            if not health["ok"]:
                raise DemoFailed(f"the credentials of {to} do not work: {health['problem']}")
            switch = await self._administrator.switch(target, "The demo changes the provider.")
            in_flight = sum(switch["in_flight"].values())
            added.append(f"{in_flight} envelope in flight stays where it is")
        told = {
            "id": switch["id"],
            "from": former,
            "to": to,
            "at": switch["created_at"],
            "reason": switch["reason"],
            "in_flight": switch["in_flight"],
            "open_envelope": still_open.id,
        }
        self._report.switches = [*self._report.switches, told]
        self._report.switch = self._report.switches[0]
        if in_flight != 1:
            raise DemoFailed(f"one envelope should have been open at the switch, not {in_flight}")


def title_of(provider: str) -> str:
    return adapters()[provider].title
