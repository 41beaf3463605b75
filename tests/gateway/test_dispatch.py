"""How a dispatch ends, fail-over, and what a provider's webhook changes while the answer is still out."""

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest

from adapters.kit.exchange import Exchange
from adapters.kit.outcome import AuthFailed, Failure, Interruption, NotSent, Rejected, Throttled, Unknown
from adapters.kit.port import Created
from gateway.envelopes.apply_event import apply_provider_event
from gateway.envelopes.orphans import discard_orphans
from gateway.envelopes.store import load_envelope
from normalizer.envelope import Envelope
from normalizer.errors import UnsupportedFeature, ValidationFailed
from normalizer.events import ProviderEvent, Source, SourceKind
from normalizer.ids import Kind, print_id, read_id
from normalizer.status import EnvelopeStatus
from normalizer.vocabulary import EventType
from tests.gateway.bodies import envelope
from tests.gateway.fake_provider import FakeProvider
from tests.gateway.world import Tenant, World
from webhooks.inbound.ports import Trust

REJECTED = Rejected(code="validation", provider_code="BAD_TAB", detail="no such tab", status=400)
LEARNED = msgspec.structs.replace(REJECTED, learned_ref="alpha-1")


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        (REJECTED, 422, "provider_rejected"),
        (NotSent("no route"), 503, "provider_unavailable"),
        (Throttled(7.0), 503, "provider_unavailable"),
        (AuthFailed("invalid_grant", "expired", "https://consent.example"), 502, "provider_auth_failed"),
        (ValidationFailed("not possible there"), 422, "validation_failed"),
        (UnsupportedFeature("alpha", "magic"), 422, "unsupported_feature"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str | int) else str(value),
)
async def test_a_definite_refusal_leaves_a_draft_that_can_be_sent_again(
    world: World, acme: Tenant, outcome: Failure, status: int, code: str
) -> None:
    fake = world.fake("alpha")
    fake.answers = [outcome]
    answer = await acme.post("/envelopes", envelope(send=True))
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert answer.headers["content-type"].startswith("application/problem+json")
    draft = (await acme.get(f"/envelopes/{problem['envelope_id']}")).json()
    assert (draft["status"], draft["provider_ref"], draft["last_error"]["code"]) == ("draft", None, code)
    sent = (await acme.post(f"/envelopes/{draft['id']}/send")).json()
    assert (sent["status"], sent["last_error"], len(fake.sent())) == ("sent", None, 1)
    assert fake.outgoing[-1].reference.endswith("_2")
    assert "dispatch_rejected" in await world.ledger_types(acme, draft["id"])


async def test_throttling_tells_the_caller_how_long_to_wait(world: World, acme: Tenant) -> None:
    world.fake("alpha").answers = [Throttled(7.0)]
    answer = await acme.post("/envelopes", envelope(send=True))
    assert answer.headers["retry-after"] == "7"


async def test_no_answer_is_202_and_the_envelope_stays_with_the_provider(world: World, acme: Tenant) -> None:
    world.fake("alpha").answers = [Unknown("read timed out")]
    answer = await acme.post("/envelopes", envelope(send=True))
    assert (answer.status_code, answer.json()["status"]) == (202, "processing")
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["last_error"]["code"] == "provider_outcome_unknown"
    assert (await world.ledger_types(acme, answer.json()["id"]))[-1] == "dispatch_unknown"
    for path, body in (("send", None), ("void", {"reason": "too late"}), ("resend", {})):
        refused = await acme.post(f"/envelopes/{answer.json()['id']}/{path}", body)
        assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")


async def test_a_mistake_of_ours_during_the_call_counts_as_unknown_and_not_as_failed(
    world: World, acme: Tenant
) -> None:
    world.fake("alpha").answers = [RuntimeError("a bug")]
    answer = await acme.post("/envelopes", envelope(send=True))
    assert (answer.status_code, answer.json()["status"]) == (202, "processing")


async def leave_a_draft(provider: FakeProvider, exchange: Exchange, sent: Envelope) -> None:
    await exchange.learned(provider.hold(sent.reference, EnvelopeStatus.DRAFT))
    raise Interruption(REJECTED)


async def test_what_a_refused_try_left_behind_is_discarded_at_once(world: World, acme: Tenant) -> None:
    fake = world.fake("alpha")
    fake.answers = [leave_a_draft]
    answer = await acme.post("/envelopes", envelope(send=True))
    assert answer.status_code == 422
    assert fake.held["alpha-1"].status is EnvelopeStatus.VOIDED
    rows = await world.services.hub.fetch("SELECT provider_ref, orphan FROM dispatch_attempts")
    assert [tuple(row) for row in rows] == [("alpha-1", "cleared")]


async def test_orphan_whose_envelope_cannot_be_read_keeps_no_other_at_the_provider(
    world: World, acme: Tenant, caplog
) -> None:
    fake, hub = world.fake("alpha"), world.services.hub
    fake.answers = [leave_a_draft, leave_a_draft]
    for _ in range(2):
        await acme.post("/envelopes", envelope(send=True))
    await hub.execute("UPDATE dispatch_attempts SET orphan = 'left', ended_at = now() - interval '1 hour'")
    await hub.execute(
        "UPDATE envelopes SET last_error = '\"in no form of ours\"' WHERE id ="
        " (SELECT envelope_id FROM dispatch_attempts WHERE provider_ref = 'alpha-1')"
    )
    assert await discard_orphans(world.services) == 2
    rows = await hub.fetch("SELECT provider_ref, orphan FROM dispatch_attempts ORDER BY provider_ref")
    assert [tuple(row) for row in rows] == [("alpha-1", "left"), ("alpha-2", "cleared")]
    assert "an orphan could not be looked at" in caplog.text


async def fail_over(world: World, outcome: Failure) -> tuple[Tenant, dict[str, Any], int]:
    tenant = await world.tenant()
    first, second = await tenant.connect("alpha"), await tenant.connect("beta")
    await tenant.route(first, fallback=[second])
    world.fake("alpha").answers = [outcome]
    answer = await tenant.post("/envelopes", envelope(send=True))
    return tenant, answer.json(), answer.status_code


@pytest.mark.parametrize("outcome", [NotSent("x"), Throttled(1.0), AuthFailed("", "x"), REJECTED], ids=repr)
async def test_fail_over_goes_on_when_nothing_can_have_been_made(world: World, outcome: Failure) -> None:
    tenant, body, status = await fail_over(world, outcome)
    assert (status, body["status"], body["provider"]) == (201, "sent", "beta")
    assert body["routing"]["because"] == "fallback 1"
    assert [one["reason"] for one in body["routing"]["skipped"]] == [type(outcome).__name__.lower()]
    assert (world.fake("alpha").sent(), len(world.fake("beta").sent())) == ([], 1)
    types = await world.ledger_types(tenant, body["id"])
    assert types[-4:] == ["envelope_routed", "dispatch_rejected", "envelope_routed", "envelope_sent"]


@pytest.mark.parametrize("outcome", [Unknown("x"), LEARNED], ids=repr)
async def test_fail_over_stays_when_something_may_exist_at_the_first(world: World, outcome: Failure) -> None:
    _, _, status = await fail_over(world, outcome)
    assert (status, world.fake("beta").calls) == (202 if isinstance(outcome, Unknown) else 422, [])


async def deliver(world: World, tenant: Tenant, made: dict[str, Any], ref: str, **given: Any) -> Any:
    event = ProviderEvent(
        type=EventType.ENVELOPE_SENT,
        provider_event="sent",
        dedupe_key=given.pop("dedupe_key", "one"),
        provider_ref=ref,
        occurred_at=None,
        **{"status": EnvelopeStatus.SENT, **given},
    )

    async def claim(_: Any) -> bool:
        return True

    connection = await world.services.hub.fetchval(
        "SELECT id FROM connections WHERE tenant_id = $1", tenant.id
    )
    return await apply_provider_event(
        world.services,
        tenant.id,
        connection,
        event,
        Source(kind=SourceKind.WEBHOOK, provider="alpha"),
        Trust(),
        claim,
    )


async def test_a_webhook_with_our_reference_settles_an_unknown_outcome(world: World, acme: Tenant) -> None:
    world.fake("alpha").answers = [Unknown("cut off")]
    made = (await acme.post("/envelopes", envelope(send=True))).json()
    await deliver(world, acme, made, "alpha-9", reference=f"{made['id']}_1")
    after = (await acme.get(f"/envelopes/{made['id']}")).json()
    assert (after["status"], after["provider_ref"], after["last_error"]) == ("sent", "alpha-9", None)
    assert (await world.ledger_types(acme, made["id"]))[-2:] == ["dispatch_reconciled", "envelope_sent"]


async def test_a_webhook_about_a_draft_settles_nothing(world: World, acme: Tenant) -> None:
    world.fake("alpha").answers = [Unknown("cut off")]
    made = (await acme.post("/envelopes", envelope(send=True))).json()
    await deliver(world, acme, made, "alpha-9", reference=f"{made['id']}_1", status=EnvelopeStatus.DRAFT)
    own = read_id(Kind.ENVELOPE, made["id"])
    stored = await load_envelope(world.services.database, acme.id, own)
    assert (stored.dispatch_state, stored.status) == ("unknown", EnvelopeStatus.PROCESSING)


@pytest.mark.parametrize("has_reference", [True, False])
async def test_a_webhook_that_is_faster_than_the_answer_is_never_taken_back(
    world: World, acme: Tenant, has_reference: bool
) -> None:
    made: dict[str, Any] = {}
    may_answer = asyncio.Event()

    async def slow(provider: FakeProvider, exchange: Exchange, sent: Envelope) -> Created:
        created = await provider.make(exchange, sent)
        made["id"] = print_id(Kind.ENVELOPE, sent.id)
        made["ref"] = created.provider_ref
        await exchange.pause(0)  # what was learned is stored before anything is waited for
        may_answer.set()
        await exchange.pause(0.1)
        return created

    world.fake("alpha").answers = [slow]
    call = asyncio.create_task(acme.post("/envelopes", envelope(send=True)))
    await may_answer.wait()
    reference = f"{made['id']}_1" if has_reference else ""
    await deliver(world, acme, made, made["ref"], reference=reference, status=EnvelopeStatus.COMPLETED)
    answer = await call
    assert (answer.status_code, answer.json()["status"]) == (201, "completed")
    types = await world.ledger_types(acme, made["id"])
    assert types.count("envelope_completed") == 1
    assert "envelope_sent" not in types


async def test_a_draft_that_is_edited_while_it_is_sent_is_not_sent_as_it_was(
    world: World, acme: Tenant
) -> None:
    made = await acme.made(envelope())
    fake = world.fake("alpha")
    original = fake.check
    edited = asyncio.Event()

    def check_slowly(*given: Any) -> Any:
        edited.set()
        return original(*given)

    fake.check = check_slowly  # type: ignore[method-assign]
    lock = world.services.database.transaction(acme.id)
    async with lock as tx:  # the sender gets as far as the lock
        await tx.driver.fetchval(
            "SELECT load_envelope($1, $2, true)", acme.id, read_id(Kind.ENVELOPE, made["id"])
        )
        sending = asyncio.create_task(acme.post(f"/envelopes/{made['id']}/send"))
        await edited.wait()
        await tx.driver.execute("UPDATE recipients SET email = 'other@example.com'")
        await tx.driver.execute("UPDATE envelopes SET version = version + 1")
        await tx.commit()
    answer = await sending
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert fake.held == {}


@pytest.mark.parametrize("part", ["recipients", "fields"])
async def test_every_edit_of_a_part_counts_the_drafts_version_up(
    world: World, acme: Tenant, part: str
) -> None:
    made = await acme.made(envelope())
    own: UUID = read_id(Kind.ENVELOPE, made["id"])
    before = await load_envelope(world.services.database, acme.id, own)
    body = (
        {"name": "Bob", "email": "bob@example.com"} if part == "recipients" else {"type": "text", "page": 1}
    )
    await acme.made(body, f"/envelopes/{made['id']}/{part}")
    after = await load_envelope(world.services.database, acme.id, own)
    assert after.version > before.version
