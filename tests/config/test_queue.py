"""Wake-ups and job queues on a real Valkey, and their absence."""

import asyncio
import json

import pytest
import redis.asyncio
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from config.embedded_valkey import ValkeyServer, start_valkey
from config.errors import ConfigError
from config.queue import Wake, job_queue, open_job_redis, open_redis
from config.secret import Secret


@pytest.fixture
async def client(redis_url: Secret):
    client = open_redis(redis_url)
    yield client
    await client.aclose()


async def test_wake_ends_the_wait_and_hands_over_what_is_ready(client: redis.asyncio.Redis) -> None:
    wake = Wake(client, "deliveries")
    waiting = asyncio.create_task(wake.wait_for_wake(30))
    await asyncio.sleep(0.05)
    assert await wake.wake("endpoint-1", "endpoint-2")
    assert await wake.wake("endpoint-1")
    assert await waiting is True
    assert await wake.take_ready() == {"endpoint-1", "endpoint-2"}
    assert await wake.take_ready() == set()


async def test_member_in_no_encoding_of_ours_costs_no_other(client: redis.asyncio.Redis) -> None:
    wake = Wake(client, "shared")
    await wake.wake("endpoint-1")
    await client.sadd("countersign:ready:shared", b"\xff\xfe")
    assert "endpoint-1" in await wake.take_ready()


async def test_wait_without_a_wake_ends_in_time_with_false(client: redis.asyncio.Redis) -> None:
    assert await Wake(client, "quiet").wait_for_wake(0.1) is False


async def test_wakes_that_nobody_waits_for_do_not_pile_up(client: redis.asyncio.Redis) -> None:
    wake = Wake(client, "busy")
    for _ in range(100):
        await wake.wake()
    assert await client.llen("countersign:wake:busy") == 64


async def test_redis_that_is_away_costs_latency_and_no_error(tmp_path) -> None:
    server: ValkeyServer = start_valkey(tmp_path, Secret("word"), for_tests=True)
    client = open_redis(server.url(), timeout_s=0.5)
    wake = Wake(client, "x")
    assert await wake.wake("a")
    server.stop()
    assert await wake.wake("b") is False
    assert await wake.take_ready() == set()
    assert await wake.wait_for_wake(0.1) is False
    server.start(port=server.port)
    assert await wake.wake("c") is True
    assert await wake.take_ready() == {"c"}
    await client.aclose()
    server.stop()


def test_url_that_cannot_be_read_is_refused_without_being_shown() -> None:
    for opener in (open_redis, open_job_redis):
        with pytest.raises(ConfigError) as raised:
            opener(Secret("canary://x"))
        assert "canary" not in str(raised.value)


def note(identifier: str) -> str:
    return identifier


def test_job_carries_json_and_no_pickle(redis_url: Secret) -> None:
    with open_job_redis(redis_url) as connection:
        queue = job_queue(connection)
        job = queue.enqueue(note, "batch-7")
        assert job.timeout == -1
        stored = b"".join(connection.hgetall(job.key).values())
        assert b"\x80\x05" not in stored
        assert json.loads(job.serializer.dumps(job.args)) == ["batch-7"]
        worker = SimpleWorker([queue], connection=connection, serializer=JSONSerializer)
        worker.work(burst=True)
        assert job.return_value() == "batch-7"
