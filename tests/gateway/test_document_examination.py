"""Documents of tenants who sign here: examined when they come in, by upload or inside an envelope."""

import asyncio
import hashlib
from typing import Any

import httpx
import msgspec
import pytest

from config.settings import Settings
from config.settings_documents import DocumentSettings
from engine.documents.examiners import Examiners
from engine.documents.messages import Answer, Task
from gateway.app import create_app
from gateway.envelopes.examination import settle_due
from gateway.http.background import drain
from normalizer.ids import Kind, read_id
from tests.engine.documents import hostile
from tests.gateway import papers
from tests.gateway.bodies import envelope, inline
from tests.gateway.fake_provider import FakeProvider
from tests.gateway.world import API, Tenant, World, open_world
from tests.webhooks.inbound.listen import listen

UPLOAD = f"{API}/documents"


@pytest.fixture
async def house(world: World) -> Tenant:
    made = await world.tenant("House")
    await made.route(await made.connect("internal", {}))
    return made


async def upload(tenant: Tenant, content: bytes, **given: Any) -> Any:
    return await tenant.client.post(UPLOAD, content=content, **given)


async def test_an_upload_with_active_content_is_ready_and_says_what_will_be_removed(house: Tenant) -> None:
    content = hostile.script_nested()
    answer = await upload(house, content)
    document = answer.json()
    assert (answer.status_code, document["status"], document["findings"]) == (201, "ready", [])
    assert (document["removed"], document["page_count"]) == (["JavaScript"], 1)
    assert document["sha256"] == hashlib.sha256(content).hexdigest()
    assert (await house.get(f"/documents/{document['id']}")).json() == document


@pytest.mark.parametrize("make", [hostile.dynamic_xfa, hostile.many_pages, papers.broken_pdf])
async def test_a_hostile_upload_is_refused_with_what_was_found_and_nothing_is_kept(
    world: World, house: Tenant, make: Any
) -> None:
    answer = await upload(house, make())
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "document_refused")
    (finding,) = problem["findings"]
    assert finding["where"] == "document"
    assert finding["problem"]
    assert finding["remedy"]
    assert await world.services.hub.fetchval("SELECT count(*) FROM documents") == 0


async def test_an_upload_of_another_providers_tenant_is_not_examined(world: World, acme: Tenant) -> None:
    document = (await upload(acme, hostile.script_nested())).json()
    assert (document["status"], document["removed"]) == ("ready", [])
    assert await world.services.hub.fetchval("SELECT count(*) FROM document_examinations") == 0


async def test_a_closed_upload_opens_with_its_password_and_goes_on_without_it(
    world: World, house: Tenant
) -> None:
    content = hostile.closed()
    assert (await upload(house, content)).json()["code"] == "document_refused"
    answer = await upload(house, content, headers={"x-document-password": "open%20sesame"})
    document = answer.json()
    assert (answer.status_code, document["status"]) == (201, "ready")
    assert document["source_sha256"] == hashlib.sha256(content).hexdigest()
    back = (await house.get(f"/documents/{document['id']}/content")).content
    assert hashlib.sha256(back).hexdigest() == document["sha256"]
    assert b"/Encrypt" not in back
    types = [one["event_type"] for one in (await house.get("/audit/events")).json()["entries"]]
    assert "document_modified" in types
    sent = await house.post("/envelopes", envelope(documents=[{"document_id": document["id"]}], send=True))
    assert sent.status_code == 201, sent.text


async def test_a_restricted_upload_needs_the_senders_word(house: Tenant) -> None:
    refused = (await upload(house, hostile.restricted())).json()
    assert "remove_restrictions" in refused["findings"][0]["remedy"]
    taken = await upload(house, hostile.restricted(), params={"remove_restrictions": "true"})
    assert (taken.status_code, taken.json()["removed"]) == (201, ["encryption"])


async def test_a_document_inside_an_envelope_is_examined_before_the_envelope_is_made(
    world: World, house: Tenant
) -> None:
    refused = await house.post("/envelopes", envelope(documents=[inline(hostile.dynamic_xfa())]))
    assert (refused.status_code, refused.json()["code"]) == (422, "document_refused")
    assert await world.services.hub.fetchval("SELECT count(*) FROM envelopes") == 0
    made = await house.made(envelope(documents=[inline(hostile.launch())], send=True))
    (document,) = (await house.get(f"/envelopes/{made['id']}")).json()["documents"]
    assert (document["page_count"], document["removed"]) == (1, ["actions that start programs"])
    row = await world.services.hub.fetchrow(
        "SELECT source_sha256, sha256 FROM engine_documents WHERE id = $1",
        read_id(Kind.DOCUMENT, document["id"]),
    )
    assert row["source_sha256"] == document["sha256"] != row["sha256"]


class Held(Examiners):
    """Waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def run(self, task: Task) -> Answer:
        await self.gate.wait()
        return await super().run(task)


async def test_a_document_that_is_still_being_examined_is_not_sent(gateway_settings: Settings) -> None:
    settings = msgspec.structs.replace(gateway_settings, document=DocumentSettings(inline_wait_s=0.01))
    async with open_world(settings, FakeProvider("alpha")) as world:
        house = await world.tenant("House")
        await house.route(await house.connect("internal", {}))
        held = Held()
        object.__setattr__(world.services.engine, "examiners", held)
        answer = await upload(house, papers.pdf())
        document = answer.json()
        assert (answer.status_code, document["status"], document["page_count"]) == (201, "processing", None)
        body = envelope(documents=[{"document_id": document["id"]}], send=True)
        early = await house.post("/envelopes", body)
        assert (early.status_code, early.json()["code"]) == (409, "document_processing")
        held.gate.set()
        await drain(20)
        assert (await house.get(f"/documents/{document['id']}")).json()["status"] == "ready"
        assert (await house.post("/envelopes", body)).status_code == 201
        await held.aclose()


async def test_an_examination_that_nobody_finished_is_taken_up_and_a_refused_document_is_not_sent(
    world: World, house: Tenant
) -> None:
    document = (await upload(house, papers.pdf())).json()
    own = read_id(Kind.DOCUMENT, document["id"])
    blob = await world.services.blobs.put(house.id, _once(hostile.portfolio()))
    await world.services.hub.execute(
        "UPDATE documents SET status = 'processing', blob_key = $2, sha256 = $3,"
        " created_at = now() - interval '1 hour' WHERE id = $1",
        own,
        blob.key,
        blob.sha256,
    )
    assert await settle_due(world.services) == 1
    seen = (await house.get(f"/documents/{document['id']}")).json()
    assert seen["status"] == "refused"
    assert "portfolio" in seen["findings"][0]["problem"]
    body = envelope(documents=[{"document_id": document["id"]}], send=True)
    answer = await house.post("/envelopes", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "document_refused")
    assert answer.json()["findings"][0]["where"] == "/documents/0: document"
    assert await settle_due(world.services) == 0


async def _once(content: bytes) -> Any:
    yield content


async def test_a_hostile_upload_over_a_real_connection_is_refused_and_the_next_one_taken(
    world: World, house: Tenant
) -> None:
    async with (
        listen(create_app(world.services)) as base,
        httpx.AsyncClient(base_url=base, timeout=60) as client,
    ):
        client.headers["authorization"] = f"Bearer {house.key}"
        refused = await client.post(UPLOAD, content=hostile.two_layer_bomb())
        assert (refused.status_code, refused.json()["code"]) == (422, "document_refused")
        assert "unpacks to far more" in refused.json()["detail"]
        assert "save or print it anew" in refused.json()["remedy"]
        taken = await client.post(UPLOAD, content=hostile.filled_form())
        assert (taken.status_code, taken.json()["status"]) == (201, "ready")
