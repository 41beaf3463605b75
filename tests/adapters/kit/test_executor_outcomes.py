"""How a call ends: what was sent, what was answered, and what may be done next."""

import asyncio
import gzip
import logging
import socket

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.kit.exchange import Effect, Exchange
from adapters.kit.observe import CallRecord
from adapters.kit.outcome import AuthFailed, Done, NotSent, Rejected, Throttled, Unknown
from adapters.kit.port import Connection
from normalizer.errors import UnsupportedFeature
from tests.adapters.kit.fake_provider import (
    CONNECTION,
    FAST,
    Bench,
    FakeAdapter,
    answer,
    cut_off,
    document,
    drip,
    garbage,
    never,
    open_bench,
    request,
    reset,
)

DOUBTFUL = {
    "reset after the request was read": reset,
    "no answer": never,
    "answer cut off": cut_off,
    "no HTTP": garbage,
    "HTML page with 502": answer(502, b"<html><h1>Bad Gateway</h1>", content_type="text/html"),
    "empty 503": answer(503, b""),
}


async def test_request_answered_is_done(bench: Bench) -> None:
    bench.server.behaviours = [answer(201, b'{"id":"1"}')]
    outcome = await bench.send(request(content=(b'{"a":1}',)))
    assert isinstance(outcome, Done)
    assert (outcome.value.status, outcome.value.body) == (201, b'{"id":"1"}')
    sent = bench.server.received[-1]
    assert sent.headers["authorization"] == "Bearer token-1"
    assert (sent.body, sent.headers["content-type"]) == (b'{"a":1}', "application/json")


@pytest.mark.parametrize("effect", [Effect.CREATES, Effect.KEYED])
@pytest.mark.parametrize("case", DOUBTFUL)
async def test_change_without_clear_answer_is_unknown_and_sent_once(
    bench: Bench, case: str, effect: Effect
) -> None:
    bench.server.behaviours = [DOUBTFUL[case], answer()]
    outcome = await bench.send(request(effect))
    assert isinstance(outcome, Unknown)
    assert bench.server.count("/things") == 1


@pytest.mark.parametrize("case", DOUBTFUL)
async def test_read_without_clear_answer_is_repeated_until_done(bench: Bench, case: str) -> None:
    bench.server.behaviours = [DOUBTFUL[case], DOUBTFUL[case], answer()]
    assert isinstance(await bench.send(request(Effect.NONE)), Done)
    assert bench.server.count("/things") == 3


async def test_read_never_answered_is_unknown_after_three_attempts(bench: Bench) -> None:
    bench.server.behaviours = [reset]
    assert isinstance(await bench.send(request(Effect.NONE)), Unknown)
    assert bench.server.count("/things") == 3


async def test_refused_connection_is_not_sent_whatever_the_effect(bench: Bench) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        bench.adapter.base = f"http://127.0.0.1:{free.getsockname()[1]}"
        outcome = await bench.send(request(authorized=False, path=f"{bench.adapter.base}/things"))
    assert isinstance(outcome, NotSent)


async def test_connection_that_opens_and_dies_before_the_request_is_not_sent() -> None:
    """TLS spoken to a plain server: there is a connection, and never a request."""
    async with open_bench(msgspec.structs.replace(FAST, connect_timeout_s=0.1)) as bench:
        base = bench.server.base.replace("http:", "https:")
        outcome = await bench.send(request(authorized=False, path=f"{base}/things"))
        assert isinstance(outcome, NotSent)
        assert bench.server.received == []


async def test_pool_without_a_free_connection_is_not_sent() -> None:
    options = msgspec.structs.replace(
        FAST, connections=1, pool_timeout_s=0.05, connect_attempts=1, read_timeout_s=5
    )
    async with open_bench(options) as bench:
        await bench.send(request(Effect.NONE))
        bench.server.behaviours = [never]
        first = asyncio.create_task(bench.send(request(), deadline_s=1.0))
        await bench.server.until(2)
        assert isinstance(await bench.send(request()), NotSent)
        assert isinstance(await first, Unknown)
        assert bench.server.count("/things") == 2


async def test_answer_that_is_compressed_unasked_is_understood() -> None:
    async with open_bench() as bench:
        bench.server.behaviours = [
            answer(body=gzip.compress(b'{"id": "7"}'), headers=("Content-Encoding: gzip",))
        ]
        outcome = await bench.send(request())
    assert isinstance(outcome, Done)
    assert outcome.value.body == b'{"id": "7"}'


async def test_slow_drip_ends_at_the_total_deadline(bench: Bench) -> None:
    bench.server.behaviours = [drip]
    started = asyncio.get_running_loop().time()
    outcome = await bench.send(request(), deadline_s=0.3)
    assert outcome == Unknown("the deadline passed")
    assert asyncio.get_running_loop().time() - started < 5  # the drip itself would last half an hour
    assert bench.server.count("/things") == 1


async def test_deadline_before_anything_was_sent_is_not_sent(bench: Bench) -> None:
    bench.server.by_path["/token"] = never
    assert isinstance(await bench.send(request(), deadline_s=0.1), NotSent)


async def test_definite_refusal_is_rejected_with_masked_detail(bench: Bench) -> None:
    body = b'{"code": "NO", "message": "bob@example.com is wrong, token-1 too"}'
    bench.server.behaviours = [answer(400, body)]
    outcome = await bench.send(request())
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.provider_code, outcome.status) == ("validation", "NO", 400)
    assert "bob@" not in outcome.detail
    assert "token-1" not in outcome.detail


async def test_table_may_declare_a_5xx_harmless(bench: Bench) -> None:
    bench.server.behaviours = [answer(500, b'{"code": "SAFE_500"}')]
    assert isinstance(await bench.send(request()), NotSent)
    assert bench.server.count("/things") == 1


async def test_redirect_is_not_followed(bench: Bench) -> None:
    bench.server.behaviours = [answer(302, b"", headers=("Location: /elsewhere",))]
    outcome = await bench.send(request(Effect.NONE))
    assert isinstance(outcome, Rejected)
    assert outcome.code == "redirected"
    assert bench.server.count("/elsewhere") == 0


async def test_throttled_answer_tells_the_wait_and_holds_the_account(bench: Bench) -> None:
    bench.server.behaviours = [answer(429, headers=("Retry-After: 40",)), answer()]
    first = await bench.send(request())
    second = await bench.send(request())
    assert isinstance(first, Throttled)
    assert 40 <= first.retry_after_s < 45
    assert isinstance(second, Throttled)
    assert bench.server.count("/things") == 1


async def test_throttled_object_leaves_the_account_open(bench: Bench) -> None:
    bench.server.behaviours = [answer(429, b'{"code": "OBJECT_BUSY"}'), answer()]
    first = await bench.send(request(Effect.NONE))
    assert isinstance(first, Throttled)
    assert first.retry_after_s >= 600
    assert isinstance(await bench.send(request(Effect.NONE)), Done)


async def test_budget_in_the_answers_headers_stops_the_next_call(bench: Bench) -> None:
    bench.server.behaviours = [answer(headers=("X-Remaining: 0", "X-Reset: 1800"))]
    assert isinstance(await bench.send(request()), Done)
    outcome = await bench.send(request())
    assert isinstance(outcome, Throttled)
    assert 1700 < outcome.retry_after_s <= 1800
    assert bench.server.count("/things") == 1


async def test_circuit_opens_after_failures_and_calls_stop_leaving(bench: Bench) -> None:
    bench.server.behaviours = [answer(503)]
    for _ in range(10):
        await bench.send(request())
    outcome = await bench.send(request())
    assert isinstance(outcome, NotSent)
    assert "circuit" in outcome.detail
    assert bench.server.count("/things") == 10
    other = Connection(id="c2", tenant_id="account-2", credentials=None, allow_loopback=True)
    assert isinstance(await bench.send(request(), connection=other), Unknown)


async def test_refusals_do_not_open_the_circuit(bench: Bench) -> None:
    bench.server.behaviours = [answer(404)]
    for _ in range(15):
        assert isinstance(await bench.send(request(Effect.KEYED)), Rejected)


async def test_failure_after_an_envelope_was_made_is_unknown_with_its_id(bench: Bench) -> None:
    bench.server.behaviours = [answer(201), answer(429)]

    async def create(exchange: Exchange) -> None:
        await exchange(request())
        await exchange.learned("ref-1")
        await exchange(request(Effect.KEYED))

    outcome = await bench.run(create)
    assert isinstance(outcome, Unknown)
    assert outcome.learned_ref == "ref-1"


async def test_refusal_after_an_envelope_was_made_names_the_orphan(bench: Bench) -> None:
    bench.server.behaviours = [answer(201), answer(400)]

    async def create(exchange: Exchange) -> None:
        await exchange(request())
        await exchange.learned("ref-1")
        await exchange(request(Effect.KEYED))

    outcome = await bench.run(create)
    assert isinstance(outcome, Rejected)
    assert outcome.learned_ref == "ref-1"


async def test_answer_that_the_adapter_cannot_read_is_unknown(bench: Bench) -> None:
    async def create(exchange: Exchange) -> None:
        await exchange(request())
        raise KeyError("envelopeId")

    assert isinstance(await bench.run(create), Unknown)


async def test_refusal_of_our_own_before_sending_is_raised(bench: Bench) -> None:
    async def create(exchange: Exchange) -> None:
        raise UnsupportedFeature("fake", "anchors")

    with pytest.raises(UnsupportedFeature):
        await bench.run(create)


async def test_answer_over_its_limit_is_unknown(bench: Bench) -> None:
    bench.server.behaviours = [answer(body=b"x" * 5000)]
    assert isinstance(await bench.send(request(max_response_bytes=1000)), Unknown)


async def test_error_page_of_any_size_is_classified_by_its_status(bench: Bench) -> None:
    bench.server.behaviours = [answer(403, b"<html>" + b"x" * 200_000, content_type="text/html")]
    outcome = await bench.send(request())
    assert isinstance(outcome, Rejected)
    assert outcome.code == "permission"


async def test_open_transaction_stops_the_request_before_it_leaves() -> None:
    def forbid() -> None:
        raise RuntimeError("a transaction is open")

    async with open_bench(before_request=forbid) as bench:
        with pytest.raises(RuntimeError, match="a transaction is open"):
            await bench.send(request())
        assert bench.server.received == []


async def test_every_call_is_one_log_line_without_bodies_or_secrets(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench.server.behaviours = [
        answer(body=b'{"mail":"bob@example.com"}', headers=("X-Fake-TraceToken: t-77",))
    ]
    await bench.send(request(content=(b'{"mail":"bob@example.com"}',)))
    lines = [record for record in caplog.records if record.getMessage() == "provider.called"]
    assert [(line.__dict__["request"], line.__dict__["outcome"]) for line in lines] == [
        ("token", "answered"),
        ("make", "answered"),
    ]
    assert lines[1].__dict__["trace_token"] == "t-77"
    assert (lines[1].__dict__["status"], lines[1].__dict__["attempt"]) == (200, 1)
    everything = " ".join(str(record.__dict__) for record in caplog.records)
    assert "bob@" not in everything
    assert "token-1" not in everything


async def test_observers_hear_every_attempt() -> None:
    heard: list[CallRecord] = []
    async with open_bench(observers=[heard.append]) as bench:
        bench.server.behaviours = [reset, answer()]
        await bench.send(request(Effect.NONE))
    assert [(one.request, one.attempt, one.outcome) for one in heard] == [
        ("token", 1, "answered"),
        ("make", 1, "unknown"),
        ("make", 2, "answered"),
    ]


async def test_credentials_that_cannot_be_used_are_auth_failed(bench: Bench) -> None:
    class Broken(FakeAdapter):
        async def authorize(self, exchange, connection, now):
            raise ValueError("could not deserialize key data")

    bench.adapter = Broken(bench.server.base)
    assert isinstance(await bench.send(request()), AuthFailed)


async def test_broken_document_leaves_the_message_incomplete_and_is_not_sent(bench: Bench) -> None:
    for stored in (b"x" * 99, b"x" * 101, None):
        bench.blobs.stored = {} if stored is None else {"doc": stored}
        outcome = await bench.send(request(content=(b"[", document("doc", 100), b"]")))
        assert isinstance(outcome, NotSent)
    assert not [one for one in bench.server.received if one.path == "/things" and one.complete]
    assert bench.blobs.unfinished == 0


MISHAPS = [reset, never, cut_off, garbage, answer(500), answer(502), answer(429), answer(400), answer(201)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(range(len(MISHAPS))), min_size=1, max_size=4), st.booleans())
def test_create_reaches_the_server_at_most_once_whatever_happens(mishaps: list[int], streamed: bool) -> None:
    async def play() -> int:
        async with open_bench(msgspec.structs.replace(FAST, read_timeout_s=0.05)) as bench:
            bench.server.behaviours = [MISHAPS[number] for number in mishaps] + [answer()]
            bench.blobs.stored["doc"] = b"x" * 1000
            content = (document("doc", 1000),) if streamed else (b"{}",)
            await bench.send(request(Effect.CREATES, content=content), connection=CONNECTION)
            return bench.server.count("/things")

    assert asyncio.run(play()) == 1
