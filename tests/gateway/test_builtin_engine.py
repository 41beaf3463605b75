"""The built-in engine behind the same API: from a draft to signed papers, with a webhook's path in between."""

import dataclasses
from typing import Any
from uuid import UUID

import pytest

from config.settings import Settings
from engine.engine import Engine
from gateway.composition import open_services
from gateway.envelopes.reconcile import reconcile_envelope
from gateway.jobs.inbox import make_processor
from gateway.jobs.kinds import KINDS
from normalizer.ids import Kind, read_id
from tests.conformance.providers.internal import BreakableDatabase, ProviderHand
from tests.engine.envelopes import people
from tests.gateway.bodies import envelope, field, inline, signer
from tests.gateway.world import ADMIN, Tenant, World

ADA, BOB = "ada@example.com", "bob@example.com"


@pytest.fixture
async def tenant(world: World) -> Tenant:
    return await connected(world)


async def connected(world: World) -> Tenant:
    """As an administrator does it: without credentials."""
    made = await world.tenant("House")
    administrator = await world.administrator()
    answer = await administrator.post(
        f"{ADMIN}/tenants/{made.printed}/connections", json={"provider": "internal", "credentials": {}}
    )
    assert answer.status_code == 201, answer.text
    await made.route(read_id(Kind.CONNECTION, answer.json()["id"]))
    return made


class Own:
    """The engine's side of an envelope that was made through the API."""

    def __init__(self, world: World, tenant: Tenant, made: dict[str, Any]) -> None:
        self._world, self._tenant = world, tenant
        self.id: str = made["id"]

    @property
    def engine(self) -> Engine:
        return self._world.services.engine

    async def args(self) -> tuple[Engine, UUID, UUID]:
        ref = await self._world.services.hub.fetchval(
            "SELECT provider_ref FROM envelopes WHERE id = $1", read_id(Kind.ENVELOPE, self.id)
        )
        return self.engine, self._tenant.id, UUID(ref)

    async def sign(self, email: str) -> None:
        await people.sign(*await self.args(), email)

    async def seen(self) -> dict[str, Any]:
        """The envelope as the API shows it, once the inbox is empty."""
        await make_processor(self._world.services).process_due()
        return (await self._tenant.get(f"/envelopes/{self.id}")).json()


async def test_envelope_is_signed_by_all_and_its_papers_come_down(world: World, tenant: Tenant) -> None:
    body = envelope(
        documents=[inline(), inline(name="annex.pdf")],
        recipients=[signer(), signer("Bob Second", routing_order=2)],
        send=True,
    )
    made = await tenant.made(body)
    assert (made["status"], made["provider"]) == ("sent", "internal")
    own = Own(world, tenant, made)
    await people.view(*await own.args(), ADA)
    assert [one["status"] for one in (await own.seen())["recipients"]] == ["delivered", "pending"]
    await own.sign(ADA)
    seen = await own.seen()
    assert (seen["status"], [one["status"] for one in seen["recipients"]]) == (
        "signed",
        ["completed", "sent"],
    )
    await own.sign(BOB)
    assert (await own.seen())["status"] == "signed"  # everybody has, and nothing is sealed yet
    await people.seal(*await own.args())
    seen = await own.seen()
    assert (seen["status"], seen["completed_at"] is not None) == ("completed", True)
    for part, words in (
        ("documents/1", b"sealed contract"),
        ("documents/2", b"sealed annex"),
        ("combined", b"combined"),
        ("certificate", b"certificate"),
    ):
        answer = await tenant.get(f"/envelopes/{own.id}/{part}")
        assert answer.status_code == 200, answer.text
        assert words in answer.content
    addresses = await world.services.hub.fetch(
        "SELECT ip_address FROM recipients WHERE envelope_id = $1", read_id(Kind.ENVELOPE, own.id)
    )
    assert [row["ip_address"] for row in addresses] == ["127.0.0.1", "127.0.0.1"]
    types = await world.ledger_types(tenant, own.id)
    assert types.count("signature_requested") == 2
    assert types.count("recipient_completed") == 2
    assert types.count("envelope_completed") == 1
    history = (await tenant.get(f"/envelopes/{own.id}/provider-history")).json()["records"]
    assert [one["action"] for one in history][-1] == "completed"


async def test_document_that_the_engine_refuses_is_named_to_the_caller(world: World, tenant: Tenant) -> None:
    body = envelope(recipients=[signer(fields=[field(page=0, anchor={"text": "nowhere to be found"})])])
    body["recipients"][0]["fields"][0] = {"type": "signature", "anchor": {"text": "nowhere to be found"}}
    answer = await tenant.post("/envelopes", body | {"send": True})
    assert answer.status_code == 422, answer.text
    assert "nowhere to be found" in answer.text
    listed = (await tenant.get("/envelopes")).json()
    assert [one["status"] for one in listed["envelopes"]] == ["draft"]


async def test_person_out_of_turn_gets_no_page_of_theirs(world: World, tenant: Tenant) -> None:
    first, second = signer(embedded=True), signer("Bob Second", routing_order=2, embedded=True)
    made = await tenant.made(envelope(recipients=[first, second], send=True))
    asked = {"return_url": "https://dms.example/back"}
    bob = next(one["id"] for one in made["recipients"] if one["email"] == BOB)
    answer = await tenant.post(f"/envelopes/{made['id']}/recipients/{bob}/signing-url", asked)
    assert answer.status_code == 409, answer.text


async def test_decline_ends_it_with_the_reason_and_void_is_refused_then(world: World, tenant: Tenant) -> None:
    made = await tenant.made(envelope(send=True))
    own = Own(world, tenant, made)
    await people.decline(*await own.args(), ADA, "Wrong price")
    seen = await own.seen()
    assert (seen["status"], seen["reason"]) == ("declined", "Wrong price")
    assert seen["recipients"][0]["status"] == "declined"
    refused = await tenant.post(f"/envelopes/{own.id}/void", {"reason": "Too late"})
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")


async def test_delegate_stands_in_the_recipients_place(world: World, tenant: Tenant) -> None:
    made = await tenant.made(envelope(send=True))
    own = Own(world, tenant, made)
    await people.delegate(*await own.args(), ADA, name="Dora Deputy", to="dora@example.com")
    seen = await own.seen()
    place = seen["recipients"][0]
    assert (place["id"], place["email"], place["status"]) == (
        made["recipients"][0]["id"],
        "dora@example.com",
        "sent",
    )
    await own.sign("dora@example.com")
    assert (await own.seen())["recipients"][0]["status"] == "completed"
    assert "signature_delegated" in await world.ledger_types(tenant, own.id)


async def test_nobody_reports_for_the_engine_over_http(world: World, tenant: Tenant) -> None:
    made = await tenant.made(envelope(send=True))
    own = Own(world, tenant, made)
    administrator = await world.administrator()
    listed = (await administrator.get(f"{ADMIN}/tenants/{tenant.printed}/connections")).json()
    rows = listed if isinstance(listed, list) else listed["items"]
    path = await world.services.hub.fetchval("SELECT path_key FROM connections")
    assert rows
    answer = await administrator.post(f"/webhooks/signatures/internal/{path}", json={"engine": "message.v1"})
    assert answer.status_code in {403, 404}
    assert (await own.seen())["status"] == "sent"


async def test_deadline_that_has_passed_ends_the_envelope_by_the_job(world: World, tenant: Tenant) -> None:
    made = await tenant.made(envelope(send=True))
    own = Own(world, tenant, made)
    _, tenant_id, engine_id = await own.args()
    await world.services.hub.execute(
        "UPDATE engine_envelopes SET expires_at = now() - interval '1 minute' WHERE tenant_id = $1 AND id = $2",
        tenant_id,
        engine_id,
    )
    await KINDS["expire_envelopes"].run(world.services, {})
    assert (await own.seen())["status"] == "expired"


@pytest.mark.parametrize(("kind", "tries"), [("reset_after", 1), ("reset_before", 2)])
async def test_create_whose_commit_was_not_answered_ends_as_one_envelope(
    gateway_settings: Settings, kind: str, tries: int
) -> None:
    hand = ProviderHand("")
    breakable = BreakableDatabase.on_demand(gateway_settings.database.url)
    breakable.hand = hand
    async with open_services(gateway_settings, name="test") as services, breakable:
        engine = dataclasses.replace(services.engine, database=breakable)
        bound = services.adapters["internal"].bind(engine)
        services = dataclasses.replace(services, adapters={**services.adapters, "internal": bound})
        async with World(services) as world:
            tenant = await connected(world)
            await hand.break_next(kind, "create")
            answer = await tenant.post("/envelopes", envelope(send=True))
            assert (answer.status_code, answer.json()["status"]) == (202, "processing"), answer.text
            own = read_id(Kind.ENVELOPE, answer.json()["id"])
            for _ in range(6):
                await reconcile_envelope(services, tenant.id, own)
            await make_processor(services).process_due()
            seen = (await tenant.get(f"/envelopes/{answer.json()['id']}")).json()
            assert seen["status"] == "sent"
            rows = await services.hub.fetch("SELECT reference, status FROM engine_envelopes")
            assert [(row["reference"][-1], row["status"]) for row in rows] == [(str(tries), "sent")]
            letters = await services.hub.fetchval("SELECT count(*) FROM engine_notices")
            assert letters == 1
