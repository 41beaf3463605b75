"""Idempotency-Key: the first request works, the others get its answer. Rules: docs/idempotency.md."""

import asyncio
from typing import Any

import httpx
import pytest

from adapters.kit.exchange import Exchange
from adapters.kit.outcome import NotSent, Rejected, Unknown
from adapters.kit.port import Created
from config.database import Transaction
from config.errors import StoreUnavailable
from gateway.envelopes.reconcile import reconcile_envelope
from gateway.http.idempotency import Idempotency
from normalizer.envelope import Envelope
from normalizer.ids import Kind, read_id
from tests.gateway.bodies import envelope, signer
from tests.gateway.fake_provider import FakeProvider
from tests.gateway.world import ADMIN, API, Tenant, World

KEY = {"idempotency-key": "order-4711"}


async def test_the_same_key_64_times_at_once_executes_once(world: World, acme: Tenant) -> None:
    answers = await asyncio.gather(
        *(acme.post("/envelopes", envelope(send=True), headers=KEY) for _ in range(64))
    )
    made = [one for one in answers if one.status_code == 201]
    busy = [one for one in answers if one.status_code == 409]
    assert len(made) + len(busy) == 64
    assert sum("idempotency-replayed" not in one.headers for one in made) == 1
    assert len({one.content for one in made}) == 1
    assert all(one.json()["code"] == "idempotency_key_in_use" for one in busy)
    assert all(one.headers["retry-after"] == "1" for one in busy)
    assert (
        len(world.fake("alpha").held),
        await world.services.hub.fetchval("SELECT count(*) FROM envelopes"),
    ) == (1, 1)


async def test_a_replay_has_the_same_bytes_and_names_the_original_request(acme: Tenant) -> None:
    first = await acme.post("/envelopes", envelope(send=True), headers=KEY)
    again = await acme.post("/envelopes", envelope(send=True), headers=KEY)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["original-request-id"] == first.headers["x-request-id"]
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


@pytest.mark.parametrize("change", ["body", "whitespace", "query", "content-type"])
async def test_the_same_key_with_another_request_is_refused_422(acme: Tenant, change: str) -> None:
    import json

    body = json.dumps(envelope())
    headers = KEY | {"content-type": "application/json"}
    url = f"{API}/envelopes"
    await acme.client.post(url, content=body, headers=headers)
    changed = {
        "body": (url, json.dumps(envelope(name="Other")), headers),
        "whitespace": (url, body + " ", headers),
        "query": (f"{url}?wait=1", body, headers),
        "content-type": (url, body, headers | {"content-type": "application/json; charset=utf-8"}),
    }[change]
    again = await acme.client.post(changed[0], content=changed[1], headers=changed[2])
    assert (again.status_code, again.json()["code"]) == (422, "idempotency_key_reused")


async def test_another_tenant_another_key_and_another_route_are_independent(
    world: World, acme: Tenant
) -> None:
    other = await world.tenant("Other")
    await other.route(await other.connect("alpha"))
    second_key = (await acme.new_key("envelopes:write", "envelopes:read")).secret.reveal()
    made = [
        (await acme.post("/envelopes", envelope(), headers=KEY)).json()["id"],
        (await other.post("/envelopes", envelope(), headers=KEY)).json()["id"],
        (await world.client(second_key).post(f"{API}/envelopes", json=envelope(), headers=KEY)).json()["id"],
    ]
    assert len(set(made)) == 3
    sent = await acme.post(f"/envelopes/{made[0]}/send", headers=KEY)
    assert sent.status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        {"name": ""},
        {"unknown": 1},
        {"recipients": [signer(email="nobody")]},
        {"documents": [{"name": "a.pdf", "content_base64": "bm8gcGRm"}]},
    ],
    ids=lambda fault: next(iter(fault)),
)
async def test_a_refused_request_does_not_use_its_key_up(acme: Tenant, fault: dict[str, Any]) -> None:
    refused = await acme.post("/envelopes", envelope(**fault), headers=KEY)
    assert refused.status_code == 422
    fixed = await acme.post("/envelopes", envelope(), headers=KEY)
    assert fixed.status_code == 201
    assert "idempotency-replayed" not in fixed.headers


async def test_a_refusal_by_the_rate_limit_or_the_scopes_does_not_use_the_key_up(
    world: World, acme: Tenant
) -> None:
    weak = (await acme.new_key("envelopes:read")).secret.reveal()
    assert (
        await world.client(weak).post(f"{API}/envelopes", json=envelope(), headers=KEY)
    ).status_code == 403
    assert await world.services.hub.fetchval("SELECT count(*) FROM idempotency_keys") == 0


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\x07b", '""'])
async def test_a_malformed_key_is_refused_and_nothing_stored(world: World, acme: Tenant, key: str) -> None:
    answer = await acme.post("/envelopes", envelope(), headers={"idempotency-key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert await world.services.hub.fetchval("SELECT count(*) FROM idempotency_keys") == 0


async def test_a_key_may_be_quoted_as_the_standard_writes_it(acme: Tenant) -> None:
    first = await acme.post("/envelopes", envelope(), headers={"idempotency-key": '"abc"'})
    again = await acme.post("/envelopes", envelope(), headers={"idempotency-key": "abc"})
    assert again.content == first.content


async def test_a_tenant_may_demand_a_key(world: World) -> None:
    strict = await world.tenant(require_idempotency=True)
    assert (await strict.post("/envelopes", envelope())).status_code == 400
    assert (await strict.post("/envelopes", envelope(), headers=KEY)).status_code == 201
    assert (await strict.get("/envelopes")).status_code == 200


async def test_a_definite_refusal_after_the_work_began_is_the_answer_for_good(
    world: World, acme: Tenant
) -> None:
    world.fake("alpha").answers = [Rejected(code="validation", provider_code="X", detail="no", status=400)]
    first = await acme.post("/envelopes", envelope(send=True), headers=KEY)
    again = await acme.post("/envelopes", envelope(send=True), headers=KEY)
    assert (first.status_code, again.status_code, again.content) == (422, 422, first.content)
    assert again.headers["idempotency-replayed"] == "true"


async def test_an_outage_is_no_answer_and_a_retry_goes_on_with_the_same_envelope(
    world: World, acme: Tenant
) -> None:
    world.fake("alpha").answers = [NotSent("no route")]
    first = await acme.post("/envelopes", envelope(send=True), headers=KEY)
    again = await acme.post("/envelopes", envelope(send=True), headers=KEY)
    assert (first.status_code, again.status_code, again.json()["status"]) == (503, 201, "sent")
    assert again.json()["id"] == first.json()["envelope_id"]


async def test_an_open_outcome_is_not_final_and_a_retry_tells_how_it_ended(
    world: World, acme: Tenant
) -> None:
    world.fake("alpha").answers = [Unknown("lost")]
    first = await acme.post("/envelopes", envelope(send=True), headers=KEY)
    assert (first.status_code, "idempotency-replayed" in first.headers) == (202, False)
    waiting = await acme.post("/envelopes", envelope(send=True), headers=KEY)
    assert (waiting.status_code, waiting.json()["id"]) == (202, first.json()["id"])
    for _ in range(4):
        await reconcile_envelope(world.services, acme.id, read_id(Kind.ENVELOPE, first.json()["id"]))
    done = await acme.post("/envelopes", envelope(send=True), headers=KEY)
    assert (done.status_code, done.json()["status"]) == (201, "sent")
    assert len(world.fake("alpha").held) == 1


class Killed(BaseException):
    """What a killed process does to the code that ran in it: it ends, and no handler answers."""


async def call_until_killed(acme: Tenant, path: str, body: Any) -> None:
    with pytest.raises((Killed, httpx.HTTPError, StoreUnavailable)):
        await acme.post(path, body, headers=KEY)


async def expire_claims(world: World) -> None:
    await world.services.hub.execute("UPDATE idempotency_keys SET locked_until = clock_timestamp()")


PHASES = [
    "after the claim",
    "after the envelope",
    "during the call",
    "after the call",
    "before the answer is stored",
]


@pytest.mark.parametrize("phase", PHASES)
async def test_a_kill_between_two_phases_ends_in_one_envelope_at_the_provider(
    world: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    from gateway.envelopes import dispatch
    from gateway.http import envelopes

    fake = world.fake("alpha")

    async def dies(*_: object, **__: object) -> Any:
        raise Killed

    def dies_now(*_: object) -> Any:
        raise Killed

    async def dies_in_call(provider: FakeProvider, exchange: Exchange, sent: Envelope) -> Created:
        await provider.make(exchange, sent)
        raise Killed

    with monkeypatch.context() as patched:
        # A killed process does not tidy up: nothing of the middleware's end runs.
        patched.setattr(Idempotency, "_end", dies)
        match phase:
            case "after the claim":
                patched.setattr(envelopes, "create_envelope", dies)
            case "after the envelope":
                patched.setattr(envelopes, "carry_out", dies)
            case "during the call":
                fake.answers = [dies_in_call]
            case "after the call":
                patched.setattr(dispatch, "judge", dies_now)
        await call_until_killed(acme, "/envelopes", envelope(send=True))
    busy = await acme.post("/envelopes", envelope(send=True), headers=KEY)
    assert busy.status_code == 409
    await expire_claims(world)
    await world.services.hub.execute("UPDATE envelopes SET dispatch_deadline = clock_timestamp()")
    again = await acme.post("/envelopes", envelope(send=True), headers=KEY)
    assert again.status_code in {201, 202}, again.text
    for _ in range(5):
        await reconcile_envelope(world.services, acme.id, read_id(Kind.ENVELOPE, again.json()["id"]))
    final = await acme.post("/envelopes", envelope(send=True), headers=KEY)
    assert (final.status_code, final.json()["status"], final.json()["id"]) == (
        201,
        "sent",
        again.json()["id"],
    )
    assert len(fake.sent()) == 1
    assert await world.services.hub.fetchval("SELECT count(*) FROM envelopes") == 1
    assert (await acme.get(f"/envelopes/{final.json()['id']}/audit-trail/verify")).json()["valid"]


async def test_an_owner_whose_key_was_taken_over_writes_nothing_more(
    world: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first owner sleeps past its claim; the second does the work; the first wakes up."""
    from gateway.envelopes import create

    original = create._assemble
    asleep, wake = asyncio.Event(), asyncio.Event()

    async def sleeps(*given: Any) -> Any:
        if not asleep.is_set():
            asleep.set()
            await wake.wait()
        return await original(*given)

    monkeypatch.setattr(create, "_assemble", sleeps)
    first = asyncio.create_task(acme.post("/envelopes", envelope(send=True), headers=KEY))
    await asleep.wait()
    await expire_claims(world)
    second = await acme.post("/envelopes", envelope(send=True), headers=KEY)
    wake.set()
    late = await first
    assert (second.status_code, late.status_code, late.json()["code"]) == (201, 409, "idempotency_key_in_use")
    assert await world.services.hub.fetchval("SELECT count(*) FROM envelopes") == 1
    again = await acme.post("/envelopes", envelope(send=True), headers=KEY)
    assert again.content == second.content


async def test_a_void_that_was_carried_out_before_a_crash_is_answered_with_its_effect(
    world: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await acme.made(envelope(send=True))

    async def dies(*_: object, **__: object) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Idempotency, "_end", dies)
        await call_until_killed(acme, f"/envelopes/{made['id']}/void", {"reason": "wrong price"})
    await expire_claims(world)
    again = await acme.post(f"/envelopes/{made['id']}/void", {"reason": "wrong price"}, headers=KEY)
    assert (again.status_code, again.json()["status"]) == (200, "voided")
    without = await acme.post(f"/envelopes/{made['id']}/void", {"reason": "wrong price"})
    assert without.status_code == 409


async def test_an_expired_key_is_new_and_the_reaper_forgets_it(world: World, acme: Tenant) -> None:
    first = await acme.post("/envelopes", envelope(), headers=KEY)
    await world.services.hub.execute("UPDATE idempotency_keys SET expires_at = clock_timestamp()")
    again = await acme.post("/envelopes", envelope(name="Another"), headers=KEY)
    assert again.status_code == 201
    assert again.json()["id"] != first.json()["id"]
    await world.services.hub.execute("UPDATE idempotency_keys SET expires_at = clock_timestamp()")
    assert await world.services.hub.fetchval("SELECT reap_idempotency_keys(100, 1e6)") == 1
    assert await world.services.hub.fetchval("SELECT count(*) FROM idempotency_keys") == 0


async def test_answers_are_kept_encrypted_and_for_at_least_a_day(world: World, acme: Tenant) -> None:
    made = await acme.made(envelope(send=True))
    url = await acme.post(
        f"/envelopes/{made['id']}/recipients/{made['recipients'][0]['id']}/signing-url",
        {"return_url": "https://dms.example/back"},
        headers=KEY,
    )
    row = await world.services.hub.fetchrow(
        "SELECT body, expires_at > clock_timestamp() + interval '24 hours' AS kept FROM idempotency_keys"
    )
    assert row is not None
    assert row["kept"]
    assert b"secret-link" in url.content
    assert b"secret-link" not in row["body"]


async def test_administrators_requests_take_keys_too(world: World) -> None:
    admin = await world.administrator()
    first = await admin.post(f"{ADMIN}/tenants", json={"name": "New"}, headers=KEY)
    again = await admin.post(f"{ADMIN}/tenants", json={"name": "New"}, headers=KEY)
    assert (first.status_code, again.content) == (201, first.content)


async def test_reading_ignores_the_header(acme: Tenant) -> None:
    for _ in range(2):
        answer = await acme.get("/envelopes", headers=KEY)
        assert (answer.status_code, "idempotency-replayed" in answer.headers) == (200, False)


async def test_a_commit_without_an_answer_keeps_the_key_for_what_was_written(
    world: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection died between COMMIT and its answer: the retry must find the envelope, not make another."""
    original = Transaction.commit
    failed: list[int] = []

    async def cut_off(tx: Transaction) -> None:
        await original(tx)
        if not failed:
            failed.append(1)
            raise StoreUnavailable("no answer to COMMIT", outcome_unknown=True)

    # The callbacks after a commit do not run either when its answer never comes.
    monkeypatch.setattr(Transaction, "commit", cut_off)
    monkeypatch.setattr("gateway.envelopes.insert.note_advance", lambda *_: None)
    first = await acme.post("/envelopes", envelope(), headers=KEY)
    assert (first.status_code, first.json()["code"]) == (503, "store_unavailable")
    again = await acme.post("/envelopes", envelope(), headers=KEY)
    assert again.status_code == 201
    assert await world.services.hub.fetchval("SELECT count(*) FROM envelopes") == 1


async def test_an_answer_that_cannot_be_kept_is_a_clean_503(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database went away between the work and the key's end: what was not kept must not be seen."""

    async def lose(*_: object) -> None:
        raise StoreUnavailable("the server closed the connection")

    monkeypatch.setattr(Idempotency, "_end", lose)
    answer = await acme.post("/envelopes", envelope(), headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert (answer.headers["content-type"], answer.headers["retry-after"]) == (
        "application/problem+json",
        "2",
    )
