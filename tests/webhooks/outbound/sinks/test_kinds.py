"""What only streams do, and what only exchanges do."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest_asyncio
from yarl import URL

from normalizer.ids import Kind, print_id
from tests.webhooks.outbound.sinks.rabbit import Rabbit
from tests.webhooks.outbound.sinks.stands import BODY, HEADERS, Stand, amqp_stand, make_message, redis_stand
from webhooks.outbound.sinks.target import ExchangeTarget, StreamTarget


@pytest_asyncio.fixture
async def streams(redis_url) -> AsyncIterator[Stand]:
    async with redis_stand(redis_url) as made:
        yield made


@pytest_asyncio.fixture
async def exchanges(rabbit: Rabbit) -> AsyncIterator[Stand]:
    async with amqp_stand(rabbit) as made:
        yield made


async def test_an_entry_has_id_type_body_and_a_field_for_each_header_and_nothing_else(streams: Stand):
    await streams.send()
    [(_, fields)] = await streams.redis.xrange("signatures")
    own = {b"id": b"evt_1", b"type": b"envelope.sent", b"body": BODY}
    assert fields == own | {name.encode(): value.encode() for name, value in HEADERS.items()}


async def test_a_header_does_not_take_the_place_of_a_field(streams: Stand):
    await streams.send(message=make_message(headers={**HEADERS, "Body": "x", "id": "y", "TYPE": "z"}))
    [(_, fields)] = await streams.redis.xrange("signatures")
    assert (fields[b"body"], fields[b"id"], len(fields)) == (BODY, b"evt_1", 3 + len(HEADERS))


async def test_a_stream_with_a_limit_is_trimmed_by_the_server(streams: Stand):
    for number in range(250):
        assert (await streams.send(number, target=StreamTarget("short", 100))).status
    assert 100 <= await streams.redis.xlen("short") < 250


async def test_a_key_of_another_type_is_told_by_the_servers_word(streams: Stand):
    answer = await streams.send(target=StreamTarget("no-stream"))
    assert answer.error.startswith("the server refused the entry: WRONGTYPE")
    assert await streams.redis.get("no-stream") == b"a text"


async def test_a_user_without_the_right_is_told_so(streams: Stand):
    await streams.redis.execute_command("ACL", "SETUSER", "reader", "on", "nopass", "~*", "+xread", "+auth")
    try:
        answer = await streams.send(user="reader")
    finally:
        await streams.redis.execute_command("ACL", "DELUSER", "reader")
    assert answer.status is None
    assert "no permissions" in answer.error.lower()


async def test_the_database_of_the_url_is_the_one_that_is_written_to(streams: Stand):
    url = URL(str(streams.route.url)).with_path("/3")
    assert (await streams.send(url=url)).status
    assert await streams.redis.xlen("signatures") == 0


async def test_a_message_says_what_it_is_in_its_properties(exchanges: Stand):
    await exchanges.send()
    message = await exchanges.queue.get(no_ack=True)
    assert (message.message_id, message.type, message.app_id) == ("evt_1", "envelope.sent", "countersign")
    assert (message.content_type, message.delivery_mode) == ("application/json", 2)
    assert message.routing_key == "signatures.envelope.sent"
    assert message.headers == HEADERS


async def test_the_routing_key_takes_the_envelope_or_else_the_message(exchanges: Stand):
    target = ExchangeTarget(exchanges.route.target.exchange, "signatures.{key}")
    envelope = uuid4()
    await exchanges.send(message=make_message(ordering_key=envelope), target=target)
    await exchanges.send(2, target=target)
    keys = [(await exchanges.queue.get(no_ack=True)).routing_key for _ in range(2)]
    assert keys == [f"signatures.{print_id(Kind.ENVELOPE, envelope)}", "signatures.evt_2"]


async def test_an_exchange_that_does_not_exist_is_told_by_the_brokers_word(exchanges: Stand):
    answer = await exchanges.send(target=ExchangeTarget("no-such-exchange", "key"), timeout_s=3)
    assert answer.error.startswith("the broker refused it: NOT_FOUND - no exchange 'no-such-exchange'")


async def test_a_queue_that_is_full_and_says_no_is_a_failure(exchanges: Stand):
    name = f"full-{uuid4().hex[:8]}"
    full = await exchanges.queue.channel.declare_queue(
        name, exclusive=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
    )
    target = ExchangeTarget("", name)
    assert (await exchanges.send(1, target=target, revision=2)).status
    answer = await exchanges.send(2, target=target, revision=2)
    await full.delete(if_unused=False, if_empty=False)
    assert (answer.status, answer.error) == (None, "the broker did not take the message (negative confirm)")


async def test_a_virtual_host_that_does_not_exist_is_told(exchanges: Stand):
    answer = await exchanges.send(url=exchanges.route.url.with_path("/nowhere"))
    assert answer.status is None
    assert answer.error == "the broker refused it: NOT_ALLOWED - vhost nowhere not found"


async def test_a_message_larger_than_a_frame_arrives_whole(exchanges: Stand):
    body = b'{"x":"' + b"y" * 400_000 + b'"}'
    assert (await exchanges.send(message=make_message(body=body))).status
    assert (await exchanges.queue.get(no_ack=True)).body == body
