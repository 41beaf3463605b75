"""The scripted exchange is as strict as the executor, and says what went wrong."""

import pytest

from adapters.kit.exchange import Effect, Exchange, ProviderResponse
from adapters.kit.outcome import Rejected, Unknown
from adapters.kit.scripted import Expected, ScriptedExchange, body_of, finish_operation, json_answer
from tests.adapters.kit.fake_provider import FakeAdapter, document, request


async def create(exchange: Exchange) -> ProviderResponse:
    response = await exchange(request(content=(b"[", document("doc-1", 9), b"]")))
    await exchange.learned("ref-1")
    await exchange.pause(2.0)
    return response


def script(*steps) -> ScriptedExchange:
    return ScriptedExchange(FakeAdapter("http://x"), steps)


async def test_operation_runs_over_a_script_and_is_recorded() -> None:
    exchange = script(
        (Expected(method="POST", path="/thi.*", effect=Effect.CREATES), json_answer({"id": "1"}))
    )
    assert (await create(exchange)).body == b'{"id": "1"}'
    exchange.finish()
    assert (exchange.learned_refs, exchange.paused_s) == (["ref-1"], [2.0])
    assert body_of(exchange.requests[0]) == b"[<doc-1>]"


async def test_answer_outside_accept_goes_through_the_adapters_table() -> None:
    outcome = await finish_operation(create(script((Expected(), json_answer({"code": "X"}, 404)))))
    assert isinstance(outcome, Rejected)
    assert outcome.code == "not_found"


async def test_failure_in_the_script_ends_the_operation() -> None:
    assert await finish_operation(create(script((Expected(), Unknown("lost"))))) == Unknown("lost")


async def test_unexpected_request_fails_the_script() -> None:
    with pytest.raises(AssertionError, match="expected"):
        await create(script((Expected(method="PUT"), json_answer({}))))
    with pytest.raises(AssertionError, match="has ended"):
        await create(script())
    with pytest.raises(AssertionError, match="never asked for"):
        script((Expected(), json_answer({}))).finish()
