"""Requests that write at the same moment share statements, and none of them pays for another's mistake."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from config.errors import StoreUnavailable
from gateway.envelopes.dispatch import carry_out
from gateway.envelopes.grouped_writes import Together
from gateway.envelopes.send import plan_send
from gateway.services import Caller
from normalizer.ids import Kind, read_id
from tests.gateway.bodies import envelope, signer
from tests.gateway.world import OPERATOR, Tenant, World

CREATED = ["envelope_created", "document_uploaded", "recipient_added", "field_added", "envelope_routed"]


async def test_envelopes_created_at_once_share_statements_and_each_has_its_own_records(
    world: World, acme: Tenant
) -> None:
    await acme.made(envelope(send=True))  # what is read once is known now
    world.services.database.reset_counters()
    bodies = [envelope(name=f"Contract {number}", send=True) for number in range(12)]
    made = await asyncio.gather(*(acme.made(body) for body in bodies))
    assert world.services.database.statements < len(bodies)
    assert [one["name"] for one in made] == [body["name"] for body in bodies]
    for one in made:
        assert await world.ledger_types(acme, one["id"]) == [*CREATED, "envelope_sent"]
        read = (await acme.get(f"/envelopes/{one['id']}")).json()
        assert read == one
    announced = await world.services.hub.fetchval("SELECT count(DISTINCT envelope_id) FROM outbox_events")
    assert announced == 1 + len(bodies)


async def test_drafts_and_sent_envelopes_of_two_tenants_at_once_are_what_each_one_asked_for(
    world: World, acme: Tenant
) -> None:
    other = await world.tenant("Other")
    await other.connect("alpha")
    await acme.made(envelope())
    asked = [(tenant, send) for tenant in (acme, other) for send in (True, False)] * 4
    made = await asyncio.gather(*(tenant.made(envelope(send=send)) for tenant, send in asked))
    assert [one["status"] for one in made] == ["sent" if send else "draft" for _, send in asked]
    for (tenant, _), one in zip(asked, made, strict=True):
        stranger = other if tenant is acme else acme
        assert (await tenant.get(f"/envelopes/{one['id']}")).status_code == 200
        assert (await stranger.get(f"/envelopes/{one['id']}")).status_code == 404


async def test_requests_with_keys_at_once_leave_each_key_at_its_own_envelope(
    world: World, acme: Tenant
) -> None:
    keys = [f"order-{number}" for number in range(8)]
    answers = await asyncio.gather(
        *(acme.post("/envelopes", envelope(send=True), headers={"idempotency-key": key}) for key in keys)
    )
    rows = await world.services.hub.fetch("SELECT key, resource_id FROM idempotency_keys")
    made = {key: read_id(Kind.ENVELOPE, one.json()["id"]) for key, one in zip(keys, answers, strict=True)}
    assert dict(rows) == made


async def test_a_secret_of_a_recipient_is_written_alone_and_not_lost(acme: Tenant, world: World) -> None:
    coded = signer(authentication="access_code", access_code="Swordfish")
    made = await asyncio.gather(
        *(acme.made(envelope(recipients=[one])) for one in (coded, signer("Grace Hopper"), coded))
    )
    held = await world.services.hub.fetch("SELECT envelope_id FROM recipients WHERE access_code IS NOT NULL")
    assert {row["envelope_id"] for row in held} == {
        read_id(Kind.ENVELOPE, one["id"]) for one in (made[0], made[2])
    }


async def test_an_attempt_that_was_settled_before_does_not_keep_the_others_from_being_settled(
    world: World, acme: Tenant
) -> None:
    caller = Caller(
        tenant_id=acme.id,
        key_id=acme.key_id,
        scopes=frozenset(),
        actor=OPERATOR.actor,
        source=OPERATOR.source,
    )
    drafts = [await acme.made(envelope()) for _ in range(3)]
    ids = [read_id(Kind.ENVELOPE, one["id"]) for one in drafts]
    plans = [await plan_send(world.services, caller, own) for own in ids]
    await world.services.hub.execute(
        "UPDATE envelopes SET dispatch_state = 'settled', status = 'sent' WHERE id = $1", ids[1]
    )
    settled = await asyncio.gather(*(carry_out(world.services, caller, plan) for plan in plans))
    assert [one.changed for one in settled] == [True, False, True]
    for draft in (drafts[0], drafts[2]):
        assert (await world.ledger_types(acme, draft["id"]))[-1] == "envelope_sent"
    assert (await world.ledger_types(acme, drafts[1]["id"]))[-1] == "envelope_routed"


async def test_what_comes_while_both_writers_are_busy_goes_together_with_the_next() -> None:
    calls, release = [], asyncio.Event()

    async def write(key: Any, group: Sequence[int]) -> Sequence[int]:
        calls.append(list(group))
        await release.wait()
        return [10 * one for one in group]

    together = Together(write)
    asked = []
    for number in range(6):
        asked.append(asyncio.create_task(together("a", number)))
        await asyncio.sleep(0.01)
    asked.append(asyncio.create_task(together("b", 6)))
    await asyncio.sleep(0.01)
    release.set()
    assert await asyncio.gather(*asked) == [0, 10, 20, 30, 40, 50, 60]
    assert calls == [[0], [1], [6], [2, 3, 4, 5]]


async def test_a_refused_group_tells_each_to_write_alone() -> None:
    async def write(key: Any, group: Sequence[int]) -> Sequence[int]:
        raise asyncpg.UniqueViolationError("twice")

    together = Together(write)
    assert await asyncio.gather(*(together("a", number) for number in range(3))) == [None] * 3


async def test_a_lost_store_is_an_open_outcome_for_each_of_the_group() -> None:
    async def write(key: Any, group: Sequence[int]) -> Sequence[int]:
        raise StoreUnavailable("gone")

    together = Together(write)
    lost = await asyncio.gather(*(together("a", number) for number in range(3)), return_exceptions=True)
    assert all(isinstance(one, StoreUnavailable) and one.outcome_unknown for one in lost)
    assert len({id(one) for one in lost}) == 3


async def test_one_who_leaves_does_not_take_the_group_along() -> None:
    written: list[int] = []
    begun, release = asyncio.Event(), asyncio.Event()

    async def write(key: Any, group: Sequence[int]) -> Sequence[int]:
        begun.set()
        await release.wait()
        written.extend(group)
        return group

    together = Together(write)
    asked = [asyncio.create_task(together("a", number)) for number in range(3)]
    await begun.wait()
    asked[0].cancel()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await asked[0]
    assert await asyncio.gather(*asked[1:]) == [1, 2]
    assert written == [0, 1, 2]
