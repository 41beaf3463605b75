"""The inbox over HTTP: what came, how it was proved, where it is and why; replay, release, drop; what is forgotten."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from adapters.adobe_sign import ADAPTER as ADOBE_SIGN
from adapters.docusign import ADAPTER as DOCUSIGN
from config.clock import FixedClock
from config.settings import Settings
from gateway.http import health
from gateway.jobs.kinds import KINDS
from normalizer.ids import Kind, print_id
from normalizer.status import EnvelopeStatus
from tests.gateway.world import ADMIN, API, Tenant, World, open_world
from tests.webhooks.inbound.house import House, Placed, TrustedProvider, connect_message, signed
from tests.webhooks.inbound.keeping import keep, sender_of
from webhooks.inbound.refusals import Refusals

ODD = {"envelopeDocuments": [{"documentId": "1", "name": "Another.pdf", "type": "content"}]}
PEOPLE = {
    "emailSubject": "The secret merger",
    "sender": {"userName": "Sam Sender", "email": "sam@example.com"},
    "recipients": {
        "signers": [
            {
                "recipientId": "1",
                "email": "ada@example.com",
                "name": "Ada Signer",
                "status": "sent",
                "ipAddress": "192.0.2.7",
            }
        ]
    },
}


class Desk:
    """A tenant with an account at a provider, an envelope there, and an administrator."""

    def __init__(
        self, world: World, house: House, tenant: Tenant, placed: Placed, admin: httpx.AsyncClient
    ) -> None:
        self.world, self.house, self.tenant, self.placed, self.admin = world, house, tenant, placed, admin
        self.base = f"{ADMIN}/tenants/{tenant.printed}/inbox"

    async def keep(self, *bodies: bytes) -> list[str]:
        kept = await keep(self.house, self.placed, *bodies)
        await self.house.processor.process_due()
        return [print_id(Kind.MESSAGE, one.id) for one in kept]

    async def quarantined(self) -> tuple[str, str]:
        """(message, envelope's id at the provider)"""
        ref = await self.house.envelope(self.placed, "docusign", None, "Contract.pdf")
        (message,) = await self.keep(connect_message("envelope-sent", ref, summary=ODD))
        return message, ref

    async def get(self, path: str = "", **params: Any) -> Any:
        answer = await self.admin.get(self.base + path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        return await self.admin.post(self.base + path, json=body)


@pytest_asyncio.fixture
async def desk(gateway_settings: Settings) -> AsyncIterator[Desk]:
    adobe, connect = TrustedProvider(ADOBE_SIGN), TrustedProvider(DOCUSIGN)
    fakes: Any = (adobe, connect)
    async with open_world(gateway_settings, *fakes) as world:
        house = House(world.services, adobe, connect)
        tenant = await world.tenant("Acme")
        placed = await house.docusign(tenant.id)
        yield Desk(world, house, tenant, placed, await world.administrator())


async def test_message_is_shown_with_its_proof_and_with_what_came_of_it(desk: Desk) -> None:
    ref = await desk.house.envelope(desk.placed)
    body = connect_message("envelope-sent", ref)
    (message,) = await desk.keep(body)
    await keep(desk.house, desk.placed, body)
    shown = await desk.get(f"/{message}")
    assert (shown["state"], shown["explanation"], shown["duplicates"]) == ("done", "It had its effect.", 1)
    assert (shown["verdict"]["scheme"], shown["verdict"]["client_address"]) == ("hmac_sha256", "203.0.113.9")
    assert shown["envelope_id"] == print_id(Kind.ENVELOPE, await desk.house.envelope_id(ref))
    assert shown["consequences"] == [{"event_type": "envelope_sent", "sequence": 1}]
    own = await desk.tenant.get(f"/inbound/{message}")
    assert own.json() == shown


async def test_list_is_filtered_by_state_connection_and_envelope_and_paged(desk: Desk) -> None:
    ref = await desk.house.envelope(desk.placed)
    done, parked, odd = await desk.keep(
        connect_message("envelope-sent", ref),
        connect_message("envelope-sent", "00000000-0000-0000-0000-00000000004d"),
        b"not json",
    )
    assert ids(await desk.get()) == [odd, parked, done]
    assert ids(await desk.get(state="parked")) == [parked]
    assert ids(await desk.get(state="trouble")) == [odd, parked]
    assert ids(await desk.get(provider_ref=ref)) == [done]
    assert ids(await desk.get(connection_id=print_id(Kind.CONNECTION, desk.placed.id), limit=2)) == [
        odd,
        parked,
    ]
    assert ids(await desk.get(before=parked)) == [done]
    assert ids((await desk.tenant.get("/inbound")).json()) == [odd, parked, done]
    wrong = await desk.admin.get(desk.base, params={"state": "lost"})
    assert (wrong.status_code, wrong.json()["findings"][0]["where"]) == (422, "?state")


async def test_summary_counts_states_duplicates_and_refusals_by_connection(desk: Desk) -> None:
    other = await desk.house.docusign(desk.tenant.id)
    unknown = connect_message("envelope-sent", "00000000-0000-0000-0000-00000000004d")
    await desk.keep(unknown, unknown, b"not json")
    await keep(desk.house, other, b"waits")
    await refuse(desk, 7)
    await desk.house.services.hub.execute(
        "UPDATE inbox_messages SET received_at = now() - interval '1 year' WHERE state = 'unprocessable'"
    )
    summary = await desk.get("/summary")
    counts = {
        one["connection_id"]: {
            state["state"]: (state["messages"], state["duplicates"]) for state in one["states"]
        }
        for one in summary["connections"]
    }
    ours, theirs = (print_id(Kind.CONNECTION, one.id) for one in (desk.placed, other))
    assert counts == {ours: {"parked": (1, 1), "unprocessable": (1, 0)}, theirs: {"received": (1, 0)}}
    assert {one["connection_id"]: one["refused"] for one in summary["connections"]} == {ours: 7, theirs: 0}
    own = (await desk.tenant.get("/inbound/summary")).json()
    assert own["connections"] == summary["connections"]


async def test_refusals_are_shown_with_their_networks_also_those_of_no_connection(desk: Desk) -> None:
    await refuse(desk, 2)
    (row,) = await desk.get("/refusals")
    assert (row["reason"], row["source"], row["refused"]) == ("forged", "203.0.113.0/24", 2)
    nobody = await desk.admin.get(f"{ADMIN}/tenants/system/inbox/refusals")
    assert [(one["connection_id"], one["refused"]) for one in nobody.json()] == [(None, 1)]


async def test_body_is_shown_to_administrators_with_everything_personal_masked_and_recorded(
    desk: Desk,
) -> None:
    ref = await desk.house.envelope(desk.placed)
    (message,) = await desk.keep(connect_message("envelope-sent", ref, summary=PEOPLE))
    answer = await desk.admin.get(f"{desk.base}/{message}/body")
    shown = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert (shown["event"], shown["data"]["envelopeId"]) == ("envelope-sent", ref)
    signer = shown["data"]["envelopeSummary"]["recipients"]["signers"][0]
    assert signer == {
        "recipientId": "1", "email": "[masked]", "name": "[masked]", "status": "sent", "ipAddress": "[masked]",
    }  # fmt: skip
    for word in ("ada", "Signer", "merger", "Sam", "192.0.2.7"):
        assert word not in answer.text
    assert len(await desk.house.bodies("inbound_opened")) == 1
    assert (await desk.tenant.get(f"/inbound/{message}/body")).status_code == 404


async def test_body_that_is_no_json_is_not_shown(desk: Desk) -> None:
    (message,) = await desk.keep(b"<xml>ada@example.com</xml>")
    answer = await desk.admin.get(f"{desk.base}/{message}/body")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "ada" not in answer.text
    assert await desk.house.bodies("inbound_opened") == []


async def test_messages_are_replayed_one_by_one_and_by_filter(desk: Desk) -> None:
    ref = "00000000-0000-0000-0000-00000000004d"
    one, two = await desk.keep(
        connect_message("envelope-sent", ref), connect_message("envelope-completed", ref)
    )
    await desk.house.envelope(desk.placed, "docusign", ref)
    answer = await desk.post(f"/{one}/replay")
    assert (answer.status_code, answer.json()["state"], answer.json()["replays"]) == (202, "received", 1)
    again = await desk.post(f"/{one}/replay")
    assert again.status_code == 409
    await desk.house.processor.process_due()
    assert (await desk.house.status(ref))[0] == "sent"
    answer = await desk.post("/replay", {"states": ["parked"], "since": "2020-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()) == (202, {"messages": [two], "is_complete": True})
    await desk.house.processor.process_due()
    assert (await desk.house.status(ref))[0] == "completed"
    for states in (["quarantined"], ["received"], []):
        assert (await desk.post("/replay", {"states": states})).status_code == 422


async def test_replay_of_an_impossible_time_is_refused(desk: Desk) -> None:
    for time in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-22T10:00:00"):
        for name in ("since", "until"):
            answer = await desk.post("/replay", {name: time})
            assert (answer.status_code, answer.json()["findings"][0]["where"]) == (422, f"/{name}")


async def test_quarantined_message_is_released_to_the_providers_answer(desk: Desk) -> None:
    message, ref = await desk.quarantined()
    shown = await desk.get(f"/{message}")
    assert (shown["state"], [one["code"] for one in shown["findings"]]) == ("quarantined", ["document_name"])
    assert "Release it" in shown["explanation"]
    assert (await desk.post(f"/{message}/release", {"reason": ""})).status_code == 422
    wrong = await desk.post(f"/{message}/release", {"reason": "x", "accept": ["account"]})
    assert (wrong.status_code, wrong.json()["findings"][0]["where"]) == (422, "/accept")
    desk.house.connect.says = EnvelopeStatus.SENT
    answer = await desk.post(f"/{message}/release", {"reason": "renamed there", "accept": ["document_name"]})
    assert (answer.status_code, answer.json()["state"]) == (202, "received")
    await desk.house.processor.process_due()
    assert (await desk.house.status(ref))[0] == "sent"
    (entry,) = await desk.house.bodies("inbound_released")
    assert (entry["data"]["accepted"], entry["actor"]["type"]) == (["document_name"], "administrator")


async def test_dropped_message_stays_and_says_so(desk: Desk) -> None:
    message, ref = await desk.quarantined()
    answer = await desk.post(f"/{message}/drop", {"reason": "forged"})
    assert (answer.status_code, answer.json()["state"]) == (200, "dropped")
    assert (await desk.post(f"/{message}/drop", {"reason": "forged"})).status_code == 409
    assert (await desk.house.status(ref))[0] == "processing"


async def test_tenants_keys_reach_nothing_of_the_administrators(desk: Desk) -> None:
    message, _ = await desk.quarantined()
    client = desk.tenant.client
    for path in ("", "/summary", "/refusals", f"/{message}", f"/{message}/body"):
        assert (await client.get(desk.base + path)).status_code == 403, path
    for path in ("/replay", f"/{message}/replay", f"/{message}/release", f"/{message}/drop"):
        assert (await client.post(desk.base + path, json={"reason": "x"})).status_code == 403, path
    stranger = await desk.world.tenant("Other")
    assert (await stranger.get(f"/inbound/{message}")).status_code == 404
    assert (await stranger.get("/inbound")).json() == []
    reader = desk.world.client((await desk.tenant.new_key("envelopes:read")).secret.reveal())
    assert (await reader.get(f"{API}/inbound")).status_code == 403


async def test_gauges_tell_how_many_need_a_person(desk: Desk) -> None:
    await desk.quarantined()
    text = (await desk.world.client().get("/metrics")).text
    assert 'countersign_inbox_messages{state="quarantined"} 1.0' in text
    assert "quarantined" in health._MESSAGES


async def test_old_ended_messages_are_forgotten_and_their_facts_and_digests_are_kept(desk: Desk) -> None:
    ref = await desk.house.envelope(desk.placed)
    body = connect_message("envelope-reminder-sent", ref)
    await desk.keep(body, b"not json", connect_message("envelope-sent", ref))
    hub = desk.world.services.hub
    await hub.execute(
        "UPDATE inbox_messages SET finished_at = now() - interval '401 days' WHERE provider_event <> 'envelope-sent'"
    )
    await KINDS["reap_old_rows"].run(desk.world.services, {})
    assert sorted(await desk.house.states()) == ["done", "unprocessable"]
    assert await hub.fetchval("SELECT count(*) FROM inbox_facts") == 2
    digests = [entry["source"]["raw_sha256"] for entry in await desk.house.bodies("inbound_received")]
    assert len(digests) == 3
    await desk.keep(body)
    assert await desk.house.ledger_types(ref) == ["envelope_reminded", "envelope_sent"]


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"allowed_networks": ["203.0.113.7/24"]}, "/allowed_networks/0"),
        ({"client_certificate_sha256": ["abc"]}, "/client_certificate_sha256/0"),
    ],
)
async def test_rule_of_a_connection_that_is_none_is_refused(
    desk: Desk, given: dict[str, Any], where: str
) -> None:
    answer = await change_connection(desk, given)
    assert (answer.status_code, answer.json()["findings"][0]["where"]) == (422, where)


async def test_rules_of_a_connection_are_set_and_shown_and_recorded(desk: Desk) -> None:
    given = {
        "allowed_networks": ["203.0.113.0/24", "2001:DB8::/32"],
        "client_certificate_sha256": ["AA:" * 31 + "AA"],
        "client_certificate_subject": "CN=connect.example.com,O=Example",
    }
    answer = await change_connection(desk, given)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["allowed_networks"] == ["203.0.113.0/24", "2001:db8::/32"]
    assert shown["client_certificate_sha256"] == ["aa" * 32]
    assert (await desk.house.bodies("connection_changed"))[-1]["data"]["changed"] == sorted(given)
    path = desk.placed.path
    posted = await desk.world.client().post(
        path, content=b"{}", headers=signed(b"{}", "connect-key-of-the-tests")
    )
    assert posted.status_code == 403


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


async def change_connection(desk: Desk, given: dict[str, Any]) -> httpx.Response:
    own = print_id(Kind.CONNECTION, desk.placed.id)
    return await desk.admin.patch(f"{ADMIN}/tenants/{desk.tenant.printed}/connections/{own}", json=given)


async def refuse(desk: Desk, times: int) -> None:
    """Refused posts of five minutes ago, and one to no connection."""
    services = desk.world.services
    refusals = Refusals(services.hub, FixedClock(services.clock.now() - timedelta(minutes=5)))
    sender = await sender_of(desk.house, desk.placed)
    for _ in range(times):
        refusals.count(sender, "forged", "203.0.113.0/24")
    refusals.count(None, "no connection under this path", "198.51.100.0/24")
    await refusals.aclose()
