"""What others' public designs do with the same load, written as one would write them, to compare with.

`job_per_delivery`: one RQ job for each delivery in the queue's own worker processes (SimpleWorker: no fork per job,
the fastest that RQ has). `held_transaction`: 64 tasks, each holds its row's lock and transaction while it POSTs.
`dual_write`: the row is committed, then its id is pushed to Redis; workers pop ids and POST. Must never be used for
anything else: the last one loses what is committed but not pushed.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import redis
from redis.asyncio import Redis as AsyncRedis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from bench.kit import until
from config.embedded import EmbeddedStores
from normalizer.ids import Kind, print_id

_TABLE = (
    "CREATE TABLE {name} (id uuid PRIMARY KEY, url text NOT NULL, body bytea NOT NULL, state text NOT NULL"
    " DEFAULT 'pending', attempts integer NOT NULL DEFAULT 0, due_at timestamptz NOT NULL DEFAULT now())"
)
_RETRY_S = 1.0
_TASKS = 64


class Table:
    """One row per delivery; `owner` may make tables."""

    def __init__(self, owner: "asyncpg.Pool[asyncpg.Record]", name: str) -> None:
        self.pool = owner
        self.name = name

    async def fill(self, ids: list[UUID], urls: list[str], body: bytes) -> None:
        await self.pool.execute(_TABLE.format(name=self.name))
        await self.pool.execute(f"CREATE INDEX ON {self.name} (due_at) WHERE state = 'pending'")
        await self.pool.execute(
            f"INSERT INTO {self.name} (id, url, body) SELECT i, u, $3 FROM unnest($1::uuid[], $2::text[]) t(i, u)",
            ids,
            urls,
            body,
        )

    async def is_empty(self) -> bool:
        """Nothing waits any more."""
        some: bool = await self.pool.fetchval(
            f"SELECT EXISTS (SELECT FROM {self.name} WHERE state = 'pending')"
        )
        return not some


def headers_of(delivery: UUID) -> dict[str, str]:
    return {"webhook-id": print_id(Kind.DELIVERY, delivery), "Content-Type": "application/json"}


async def held_transaction(table: Table) -> float:
    """Seconds until everything is delivered."""
    begin = time.monotonic()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_TASKS)) as session:

        async def work() -> None:
            while True:
                async with table.pool.acquire() as connection, connection.transaction():
                    row = await connection.fetchrow(
                        f"SELECT id, url, body FROM {table.name} WHERE state = 'pending' AND due_at <= now()"
                        " ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED"
                    )
                    if row is not None:
                        done = await _post(session, row)
                        await connection.execute(_settle_sql(table.name), row["id"], done, _RETRY_S)
                        continue
                if await table.is_empty():
                    return
                await asyncio.sleep(0.02)

        await asyncio.gather(*(work() for _ in range(_TASKS)))
    return time.monotonic() - begin


async def dual_write(table: Table, url: str) -> float:
    """Seconds until everything is delivered; the ids are pushed first, as after each commit."""
    queue = AsyncRedis.from_url(url)
    begin = time.monotonic()
    rows = await table.pool.fetch(f"SELECT id FROM {table.name}")
    for start in range(0, len(rows), 64):
        await queue.lpush("dual", *(str(row["id"]) for row in rows[start : start + 64]))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_TASKS)) as session:

        async def work() -> None:
            while True:
                popped = await queue.rpop("dual")
                if popped is None:
                    if await table.is_empty():
                        return
                    await asyncio.sleep(0.02)
                    continue
                own = UUID(popped.decode() if isinstance(popped, bytes) else str(popped))
                row = await table.pool.fetchrow(f"SELECT id, url, body FROM {table.name} WHERE id = $1", own)
                done = row is not None and await _post(session, row)
                await table.pool.execute(_settle_sql(table.name), own, done, _RETRY_S)
                if not done:
                    asyncio.get_running_loop().call_later(_RETRY_S, _push_again, queue, str(own))

        await asyncio.gather(*(work() for _ in range(_TASKS)))
    await queue.aclose()
    return time.monotonic() - begin


_pushing: set["asyncio.Task[Any]"] = set()


def _push_again(queue: AsyncRedis, own: str) -> None:
    task = asyncio.ensure_future(queue.lpush("dual", own))
    _pushing.add(task)
    task.add_done_callback(_pushing.discard)


async def _post(session: aiohttp.ClientSession, row: asyncpg.Record) -> bool:
    try:
        async with session.post(row["url"], data=row["body"], headers=headers_of(row["id"])) as answer:
            await answer.read()
            return answer.status < 300
    except aiohttp.ClientError:
        return False


def _settle_sql(name: str) -> str:
    return (
        f"UPDATE {name} SET attempts = attempts + 1, state = CASE WHEN $2 THEN 'done' ELSE state END,"
        " due_at = now() + make_interval(secs => $3) WHERE id = $1"
    )


async def job_per_delivery(table: Table, stores: EmbeddedStores, *, workers: int = 2) -> float:
    """Seconds until everything is delivered by so many worker processes; retries are jobs of their own."""
    rows = await table.pool.fetch(f"SELECT id FROM {table.name}")
    given = json.dumps({"redis": stores.redis_url.reveal(), "owner": stores.database_owner_url.reveal()})
    begin = time.monotonic()
    queue = Queue(
        "deliveries", connection=redis.Redis.from_url(stores.redis_url.reveal()), serializer=JSONSerializer
    )
    children = [_start_worker(given) for _ in range(workers)]
    try:
        for row in rows:
            queue.enqueue("bench._designs.deliver_one", table.name, str(row["id"]), result_ttl=0)
        await until(table.is_empty)
    finally:
        for child in children:
            child.terminate()
            child.wait(30)
    return time.monotonic() - begin


def _start_worker(given: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "bench._designs"],
        env={**os.environ, "BENCH_DESIGN": given},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


_runner = asyncio.Runner()
_kept: dict[str, Any] = {}


def deliver_one(name: str, own: str) -> None:
    """The job: reads its row, POSTs, writes the outcome; on failure it asks for another job later."""
    _runner.run(_deliver(name, UUID(own)))


async def _deliver(name: str, own: UUID) -> None:
    if not _kept:
        _kept["owner"] = await asyncpg.connect(_given()["owner"])
        _kept["session"] = aiohttp.ClientSession()
    while True:
        row = await _kept["owner"].fetchrow(f"SELECT id, url, body FROM {name} WHERE id = $1", own)
        done = await _post(_kept["session"], row)
        await _kept["owner"].execute(_settle_sql(name), own, done, 0.0)
        if done:
            return


def _given() -> dict[str, str]:
    given: dict[str, str] = json.loads(os.environ["BENCH_DESIGN"])
    return given


def main() -> None:
    connection = redis.Redis.from_url(_given()["redis"])
    queue = Queue("deliveries", connection=connection, serializer=JSONSerializer)
    SimpleWorker([queue], connection=connection, serializer=JSONSerializer).work(logging_level="ERROR")


if __name__ == "__main__":
    main()
