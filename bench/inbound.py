"""The price of keeping every webhook: the real gateway against a bare route that verifies and answers.

1,000 signed messages at 64 in flight, each with bytes of its own, then a burst of 5,000 at 256 in flight. The gateway runs as it does in
production: granian with one worker, durable commits, the whole middleware; the bare route runs the same way.
Nothing may be lost: every post that was answered 2xx is counted as a row afterwards.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import aiohttp
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.kit import interleave, median_ratio, report, settings_on, start_stores
from config.embedded import EmbeddedStores
from config.processes import free_port
from config.settings import Settings
from gateway.composition import open_services
from gateway.services import Caller, Services
from gateway.tenants.connections import ConnectionInput, create_connection
from normalizer.events import SYSTEM, Source, SourceKind

POSTS = 1_000
IN_FLIGHT = 64
BURST = 5_000
BURST_IN_FLIGHT = 256
TARGET = 0.3
KEY = "the-connect-key-of-the-benchmark"
ACCOUNT = "11111111-1111-4111-8111-111111111111"
CALLER = Caller(
    tenant_id=UUID(int=0), key_id=UUID(int=0), scopes=frozenset(), actor=SYSTEM,
    source=Source(kind=SourceKind.CLI),
)  # fmt: skip
_SERVE = (
    "import sys; from granian.constants import Interfaces; from granian.log import LogLevels;"
    "from granian.server import Server;"
    "Server(sys.argv[1], address='127.0.0.1', port=int(sys.argv[2]), interface=Interfaces.ASGI, workers=1,"
    " factory=True, websockets=False, log_level=LogLevels.error).serve()"
)
_numbers = itertools.count(1)


def credentials() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "integration_key": "5a0b0c5a-0000-4000-8000-00000000d0c1",
        "user_id": "22222222-2222-4222-8222-222222222222",
        "account_id": ACCOUNT,
        "private_key_pem": pem.decode(),
        "environment": "demo",
    }


def message() -> tuple[bytes, dict[str, str]]:
    """A message of usual size with its signature; no two are alike."""
    number = next(_numbers)
    envelope = str(UUID(int=(1 << 100) + number))
    body = json.dumps(
        {
            "event": "recipient-completed",
            "apiVersion": "v2.1",
            "retryCount": 0,
            "configurationId": 10480531,
            "generatedDateTime": f"2026-03-05T10:20:30.{number:07d}Z",
            "data": {
                "accountId": ACCOUNT,
                "envelopeId": envelope,
                "recipientId": "1",
                "envelopeSummary": {"status": "sent", "envelopeId": envelope, "emailSubject": "x" * 1500},
            },
        }
    ).encode()
    signature = base64.b64encode(hmac.new(KEY.encode(), body, hashlib.sha256).digest()).decode()
    return body, {"Content-Type": "application/json", "X-DocuSign-Signature-1": signature}


class Load:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.taken_s: list[float] = []
        self.accepted = 0

    async def posts_per_s(
        self, url: str, *, note: bool, posts: int = POSTS, in_flight: int = IN_FLIGHT
    ) -> float:
        messages = [message() for _ in range(posts)]
        waiting = iter(messages)

        async def post() -> None:
            for body, headers in waiting:
                began = time.perf_counter()
                async with self._session.post(url, data=body, headers=headers) as answer:
                    await answer.read()
                    if answer.status != 200:
                        raise RuntimeError(f"a signed post was answered {answer.status}")
                if note:
                    self.taken_s.append(time.perf_counter() - began)
                    self.accepted += 1

        begin = time.perf_counter()
        await asyncio.gather(*(post() for _ in range(in_flight)))
        return posts / (time.perf_counter() - begin)


class RunningServer(msgspec.Struct, frozen=True):
    url: str
    group: int

    def cpu_s(self) -> float:
        """User and system time of the server's processes so far; 0 where /proc does not tell."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.group:
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def start_server(target: str, environment: dict[str, str]) -> Iterator[RunningServer]:
    """granian in a process group of its own."""
    port = free_port()
    child = subprocess.Popen(
        [sys.executable, "-c", _SERVE, target, str(port)],
        env={**os.environ, "COUNTERSIGN_LOG_LEVEL": "info", **environment},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield RunningServer(f"http://127.0.0.1:{port}", child.pid)
    finally:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, 9)
            child.wait(5)


async def until_answers(session: aiohttp.ClientSession, url: str) -> None:
    for _ in range(600):
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(url):
                return
        await asyncio.sleep(0.05)
    raise TimeoutError("a server did not start")


async def compare(stores: EmbeddedStores, settings: Settings, given: dict[str, str]) -> int:
    async with open_services(settings, name="bench") as services:
        path = await make_connection(services, given)
        environment = {
            "DATABASE_URL": stores.database_url.reveal(),
            "DATABASE_HUB_URL": stores.database_hub_url.reveal(),
            "DATABASE_OWNER_URL": stores.database_owner_url.reveal(),
            "REDIS_URL": stores.redis_url.reveal(),
            "COUNTERSIGN_DATA_DIR": str(settings.countersign.data_dir),
            "COUNTERSIGN_LIMIT_INBOUND_PER_MINUTE": "1000000",
            "BENCH_KEY": KEY,
            "BENCH_CREDENTIALS": json.dumps(given),
        }
        with (
            start_server("gateway.app:from_environment", environment) as gateway,
            start_server("bench._verify_only:build", environment) as bare,
        ):
            async with open_session() as session:
                await until_answers(session, gateway.url + "/health")
                await until_answers(session, bare.url + path)
                load = Load(session)
                for server in (gateway, bare):
                    await load.posts_per_s(server.url + path, note=False)
                before, cpu_before = await rows(services), (gateway.cpu_s(), bare.cpu_s())
                figures = await interleave(
                    {
                        "gateway": lambda: load.posts_per_s(gateway.url + path, note=True),
                        "bare": lambda: load.posts_per_s(bare.url + path, note=False),
                    }
                )
                kept = await rows(services) - before
                cpu = (gateway.cpu_s() - cpu_before[0], bare.cpu_s() - cpu_before[1])
                taken, load.taken_s = sorted(load.taken_s), []
                burst_per_s = await load.posts_per_s(
                    gateway.url + path, note=True, posts=BURST, in_flight=BURST_IN_FLIGHT
                )
                burst_lost = load.accepted - (await rows(services) - before)
    ratio = median_ratio(figures["gateway"], figures["bare"])
    burst = sorted(load.taken_s)
    return report(
        "inbound",
        ratio=ratio,
        target=TARGET,
        ok=ratio >= TARGET and kept == len(taken) and not burst_lost,
        raw={
            "posts": POSTS,
            "in_flight": IN_FLIGHT,
            "gateway_per_s": round(statistics.median(figures["gateway"])),
            "bare_per_s": round(statistics.median(figures["bare"])),
            "acknowledged": len(taken),
            "kept": kept,
            "lost": len(taken) - kept,
            "gateway_cpu_ms_per_post": round(cpu[0] * 1000 / len(taken), 3),
            "bare_cpu_ms_per_post": round(cpu[1] * 1000 / len(taken), 3),
            "p50_ms": round(taken[len(taken) // 2] * 1000, 1),
            "p99_ms": round(taken[len(taken) * 99 // 100] * 1000, 1),
            "burst": {
                "posts": BURST,
                "in_flight": BURST_IN_FLIGHT,
                "per_s": round(burst_per_s),
                "p50_ms": round(burst[len(burst) // 2] * 1000, 1),
                "p99_ms": round(burst[len(burst) * 99 // 100] * 1000, 1),
                "lost": burst_lost,
            },
        },
    )


@contextlib.asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=BURST_IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


async def make_connection(services: Services, given: dict[str, str]) -> str:
    """The path under which the connection hears."""
    tenant_id = services.ids.new()
    await services.hub.execute("INSERT INTO tenants (id, name) VALUES ($1, 'bench')", tenant_id)
    made = await create_connection(
        services, CALLER, tenant_id,
        ConnectionInput(provider="docusign", credentials=given, webhook_keys=(KEY,)),
    )  # fmt: skip
    return made.webhook_url.removeprefix(services.settings.countersign.public_base_url)


async def rows(services: Services) -> int:
    counted: int = await services.hub.fetchval("SELECT count(*) FROM inbox_messages")
    return counted


def main() -> int:
    with start_stores(valkey=True) as stores:
        return asyncio.run(compare(stores, settings_on(stores), credentials()))


if __name__ == "__main__":
    sys.exit(main())
