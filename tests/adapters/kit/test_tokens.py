"""Access tokens: one refresh for all, renewed in time, given up once."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from adapters.kit.outcome import AuthFailed, Done, NotSent, Throttled
from adapters.kit.port import Authorization
from adapters.kit.tokens import MemoryTokenStore, TokenCache
from config.clock import FixedClock
from config.secret import Secret
from tests.adapters.kit.fake_provider import CONNECTION, Bench, Received, answer, never, open_bench, request


def refuse_token(*refused: str):
    async def behave(received: Received, writer: asyncio.StreamWriter) -> None:
        is_old = received.headers.get("authorization", "") in {f"Bearer {name}" for name in refused}
        reply = answer(401, b'{"code": "TOKEN_OLD"}') if is_old else answer()
        await reply(received, writer)

    return behave


async def test_twenty_callers_without_a_token_cost_one_authorization(bench: Bench) -> None:
    outcomes = await asyncio.gather(*(bench.send(request()) for _ in range(20)))
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert bench.server.count("/token") == 1
    assert bench.server.count("/things") == 20


async def test_twenty_callers_with_an_expired_token_cost_one_refresh(bench: Bench) -> None:
    await bench.send(request())
    bench.server.by_path["/things"] = refuse_token("token-1")
    outcomes = await asyncio.gather(*(bench.send(request()) for _ in range(20)))
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert bench.server.count("/token") == 2


async def test_token_refused_twice_is_auth_failed_after_one_refresh(bench: Bench) -> None:
    bench.server.by_path["/things"] = answer(401, b'{"code": "TOKEN_OLD"}')
    assert isinstance(await bench.send(request()), AuthFailed)
    assert (bench.server.count("/things"), bench.server.count("/token")) == (2, 2)


async def test_moved_base_is_authorized_again_and_repeated_there(bench: Bench) -> None:
    bench.server.behaviours = [answer(400, b'{"code": "MOVED"}'), answer()]
    assert isinstance(await bench.send(request()), Done)
    assert bench.server.count("/token") == 2


async def test_token_is_renewed_before_it_expires() -> None:
    clock = FixedClock()
    async with open_bench(clock=clock) as bench:
        await bench.send(request())
        clock.advance(timedelta(minutes=54))
        await bench.send(request())
        assert bench.server.count("/token") == 1
        clock.advance(timedelta(minutes=2))
        await bench.send(request())
        assert bench.server.count("/token") == 2


async def test_short_token_is_used_for_two_thirds_of_its_life() -> None:
    clock = FixedClock()
    async with open_bench(clock=clock) as bench:
        bench.adapter.token_life = timedelta(seconds=30)
        await bench.send(request())
        clock.advance(19)
        await bench.send(request())
        assert bench.server.count("/token") == 1
        clock.advance(2)
        await bench.send(request())
        assert bench.server.count("/token") == 2


async def test_failed_authorization_is_shared_and_not_hammered(bench: Bench) -> None:
    bench.server.by_path["/token"] = answer(400, b'{"code": "invalid_grant"}')
    outcomes = await asyncio.gather(*(bench.send(request()) for _ in range(20)))
    assert all(isinstance(outcome, AuthFailed) for outcome in outcomes)
    assert bench.server.count("/token") == 1
    assert bench.server.count("/things") == 0


async def test_throttled_token_service_is_left_alone_for_its_time(bench: Bench) -> None:
    bench.server.by_path["/token"] = answer(429, headers=("Retry-After: 40",))
    for _ in range(3):
        outcome = await bench.send(request())
        assert isinstance(outcome, Throttled)
        assert outcome.retry_after_s > 35
    assert bench.server.count("/token") == 1


async def test_token_service_that_is_down_means_not_sent(bench: Bench) -> None:
    bench.server.by_path["/token"] = answer(503)
    assert isinstance(await bench.send(request()), NotSent)
    bench.server.by_path["/token"] = answer(200, b"<html>", content_type="text/html")
    assert isinstance(await bench.send(request()), NotSent)


async def test_first_caller_cancelled_leaves_the_token_to_the_others(bench: Bench) -> None:
    gate = asyncio.Event()
    reply = bench.server.by_path["/token"]

    async def slow(received: Received, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await reply(received, writer)

    bench.server.by_path["/token"] = slow
    callers = [asyncio.create_task(bench.send(request())) for _ in range(3)]
    await bench.server.until(1, "/token")
    callers[0].cancel()
    gate.set()
    first, second, third = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert (type(second), type(third)) == (Done, Done)
    assert bench.server.count("/token") == 1


async def test_forgotten_token_is_fetched_anew_with_the_new_credentials(bench: Bench) -> None:
    await bench.send(request())
    await bench.executor.forget_tokens(bench.adapter, CONNECTION)
    await bench.send(request())
    assert bench.server.count("/token") == 2


async def test_changed_connection_does_not_use_the_token_of_its_former_account(bench: Bench) -> None:
    await bench.send(request())
    await bench.send(request(), connection=msgspec.structs.replace(CONNECTION, version=2))
    assert [sent.headers["authorization"] for sent in bench.server.received if sent.path == "/things"] == [
        "Bearer token-1",
        "Bearer token-2",
    ]


async def test_closing_cancels_a_refresh_under_way() -> None:
    async with open_bench() as bench:
        bench.server.by_path["/token"] = never
        caller = asyncio.create_task(bench.send(request()))
        await bench.server.until(1, "/token")
        await bench.executor.aclose()
        with pytest.raises(asyncio.CancelledError):
            await caller


async def test_late_refusal_of_the_old_token_keeps_the_new_one() -> None:
    clock = FixedClock()
    cache = TokenCache(MemoryTokenStore(), clock)
    names = iter(("old", "new", "newer"))

    async def authorize() -> Authorization:
        ends = clock.now() + timedelta(hours=1)
        return Authorization(token=Secret(next(names)), expires_at=ends, api_base="https://x")

    old = await cache.get("k", authorize)
    await cache.invalidate("k", old)
    new = await cache.get("k", authorize)
    await cache.invalidate("k", old)
    assert await cache.get("k", authorize) == new
