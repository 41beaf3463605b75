"""Everything is killed while it works: what is lost, what comes twice, how long until it goes on.

A client makes envelopes through the real gateway, 40 a second, each with its Idempotency-Key until it is
acknowledged. Meanwhile, one fault every three seconds in turns: SIGKILL of a deliverer, of the gateway, FLUSHALL,
an immediate stop of PostgreSQL. Whatever was killed is started again at once, as a supervisor does. `lost` counts
acknowledged envelopes whose `envelope.created` never arrived, `twice` answers 2xx beyond the first of a message,
`recovery_s` the longest silence of the receiver that began with that fault. `ratio`: 1 when nothing is lost.
Arguments: `--rounds N` (3) of four faults.
"""

import argparse
import asyncio
import contextlib
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from uuid import uuid4

import aiohttp
import pikepdf

from bench._hub import DelivererProcess, HubHouse, Receiver, environment_of, open_house, start_receiver
from bench.create import make_tenant
from bench.kit import report, start_stores
from config.embedded import EmbeddedStores
from config.processes import free_port
from normalizer.ids import Kind, print_id, read_id
from webhooks.outbound.endpoint import NewEndpoint
from webhooks.outbound.schedule import RetryProfile

RATE = 40
FAULT_EVERY_S = 3.0
_PATIENCE_S = 90.0
_SETTINGS = {
    "COUNTERSIGN_LIMIT_REQUESTS_PER_MINUTE": "1000000",
    "COUNTERSIGN_LIMIT_REQUESTS_BURST": "1000000",
    # A killed gateway's keys are free again after this: well before whoever asks again gives up.
    "COUNTERSIGN_IDEMPOTENCY_CLAIM_S": "20",
}
_SERVE = (
    "import sys; from granian.constants import Interfaces; from granian.log import LogLevels;"
    "from granian.server import Server;"
    "Server('gateway.app:from_environment', address='127.0.0.1', port=int(sys.argv[1]),"
    " interface=Interfaces.ASGI, workers=1, factory=True, websockets=False, log_level=LogLevels.error).serve()"
)


class Gateway:
    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(self._port)],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Load:
    """Envelopes made one after another on an open loop; each is asked for until it is acknowledged."""

    def __init__(self, gateway: Gateway, key: str) -> None:
        self._url = gateway.url + "/api/v1/signatures/envelopes"
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        document = {"name": "a.pdf", "content_base64": b64encode(small_pdf()).decode()}
        recipient = {"name": "Ada Lovelace", "email": "ada@example.com"}
        self._body = json.dumps(
            {"name": "Contract", "documents": [document], "recipients": [recipient]}
        ).encode()
        self.acknowledged: list[str] = []
        self.tries = 0
        self.stopped = False

    async def run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            asked: list[asyncio.Task[None]] = []
            begin = time.monotonic()
            while not self.stopped:
                asked.append(asyncio.create_task(self._one(session)))
                await asyncio.sleep(max(0.0, begin + len(asked) / RATE - time.monotonic()))
            await asyncio.gather(*asked)

    async def _one(self, session: aiohttp.ClientSession) -> None:
        headers = {**self._headers, "Idempotency-Key": str(uuid4())}
        given_up_at = time.monotonic() + _PATIENCE_S
        while time.monotonic() < given_up_at:
            self.tries += 1
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.post(self._url, data=self._body, headers=headers) as answer:
                    said = await answer.read()
                    if answer.status < 300:
                        self.acknowledged.append(json.loads(said)["id"])
                        return
                    if 400 <= answer.status < 500 and answer.status not in {409, 429}:
                        raise RuntimeError(f"refused: {answer.status} {said[:300]!r}")
            await asyncio.sleep(0.5)
        raise TimeoutError("the gateway acknowledged nothing any more")


def small_pdf() -> bytes:
    document = pikepdf.new()
    document.add_blank_page(page_size=(595, 842))
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


class Faults:
    def __init__(self, house: HubHouse, gateway: Gateway, deliverers: list[DelivererProcess]) -> None:
        self._house = house
        self._gateway = gateway
        self._deliverers = deliverers
        self.moments: list[tuple[str, float]] = []

    async def cause(self, rounds: int) -> None:
        kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "deliverer_killed": self._kill_deliverer,
            "gateway_killed": self._kill_gateway,
            "redis_flushed": self._flush,
            "postgresql_stopped": self._stop_postgres,
        }
        for _ in range(rounds):
            for name, strike in kinds.items():
                await asyncio.sleep(FAULT_EVERY_S)
                self.moments.append((name, time.monotonic()))
                await strike()

    async def _kill_deliverer(self) -> None:
        old = self._deliverers.pop(0)
        old.kill()
        self._deliverers.append(old.again())

    async def _kill_gateway(self) -> None:
        self._gateway.kill()
        self._gateway.start()

    async def _flush(self) -> None:
        await self._house.flush_redis()

    async def _stop_postgres(self) -> None:
        await asyncio.to_thread(self._house.stores.postgres.stop, immediate=True)
        self._house.stores.revive()  # in this thread: a child dies with the thread that started it


def recovery_s(moments: list[tuple[str, float]], answers: list[float]) -> dict[str, float]:
    """By fault, the longest silence among the answers that began with one of that kind."""
    longest: dict[str, float] = {}
    ordered = sorted(answers)
    for name, moment in moments:
        following = [one for one in ordered if moment - 0.2 <= one <= moment + FAULT_EVERY_S]
        gaps = [later - earlier for earlier, later in itertools.pairwise(following)]
        longest[name] = max(longest.get(name, 0.0), round(max(gaps, default=float("inf")), 2))
    return longest


async def measure(stores: EmbeddedStores, receiver: Receiver, rounds: int) -> int:
    async with open_house(stores) as house:
        environment = {**environment_of(stores, house.master_key), **_SETTINGS}
        key = await make_tenant(environment, free_port())
        tenant = await house.hub.fetchval("SELECT id FROM tenants WHERE name = 'Bench'")
        house.tenants.append(tenant)
        endpoint = NewEndpoint(
            url=receiver.base + "/ok",
            events=("envelope.created",),
            retry_profile=RetryProfile.CUSTOM,
            retry_schedule=(1, 1, 2, 2, 5, 5),
        )
        await house.add_endpoint(tenant, endpoint)
        gateway = Gateway(environment)
        try:
            with house.deliver(2) as deliverers:
                load = Load(gateway, key)
                running = asyncio.create_task(load.run())
                faults = Faults(house, gateway, deliverers)
                await faults.cause(rounds)
                await asyncio.sleep(FAULT_EVERY_S)
                load.stopped = True
                await running
                await house.until_settled()
                seen = [(message, at) for message, at, status in await receiver.seen() if status < 300]
        finally:
            gateway.kill()
        missing = await _missing(house, load.acknowledged, {message for message, _ in seen})
    twice = len(seen) - len({message for message, _ in seen})
    return report(
        "chaos",
        ratio=1.0 if not missing else 1 - missing / len(load.acknowledged),
        target=1.0,
        raw={
            "acknowledged": len(load.acknowledged),
            "requests": load.tries,
            "faults": len(faults.moments),
            "lost": missing,
            "twice": twice,
            "twice_share": round(twice / len(seen), 4),
            "recovery_s": recovery_s(faults.moments, [at for _, at in seen]),
        },
    )


async def _missing(house: HubHouse, acknowledged: list[str], arrived: set[str]) -> int:
    """Acknowledged envelopes of which no envelope.created reached the receiver; two for one would count too."""
    rows = await house.hub.fetch(
        "SELECT envelope_id, id FROM outbox_events WHERE type = 'envelope.created' AND envelope_id = ANY($1)",
        [read_id(Kind.ENVELOPE, one) for one in acknowledged],
    )
    told = {row["envelope_id"] for row in rows if print_id(Kind.EVENT, row["id"]) in arrived}
    if len(rows) != len({row["envelope_id"] for row in rows}):
        raise RuntimeError("an envelope was announced as created twice")
    return len(set(acknowledged)) - len(told)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true")
    options.add_argument("--rounds", type=int, default=3)
    rounds = options.parse_args().rounds
    with start_receiver() as receiver, start_stores(valkey=True) as stores:
        return asyncio.run(measure(stores, receiver, rounds))


if __name__ == "__main__":
    sys.exit(main())
