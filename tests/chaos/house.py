"""A whole installation of its own to break: stores with durability on, sandboxes, gateway, deliverer, worker,
scheduler, each a real process.

Killed processes are started again by the product's own supervisor, dead stores by its `revive`. Must never
touch the PostgreSQL that the other tests share.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

import config.supervisor
from config.processes import free_port
from config.settings import Settings
from config.settings_source import load_settings
from gateway.cli.callers import cli_caller
from gateway.cli.child_output import ChildOutput
from gateway.cli.development import Development, RunningSandbox, ensure_development
from gateway.cli.house import House, open_house
from gateway.cli.house_plan import HousePlan
from gateway.composition import open_services
from gateway.tenants.connections import ConnectionChange, change_connection

PATIENCE_S = 45.0  # bounds a wait on a slow machine; nothing is measured by it

# Short bounds, so that what waits hours in production is over within seconds here. No rule is switched off.
QUICK = {
    "COUNTERSIGN_LOG_LEVEL": "info",
    "COUNTERSIGN_LIMIT_REQUESTS_PER_MINUTE": "600000",
    "COUNTERSIGN_LIMIT_REQUESTS_BURST": "100000",
    "COUNTERSIGN_LIMIT_INBOUND_PER_MINUTE": "600000",
    "COUNTERSIGN_IDEMPOTENCY_CLAIM_S": "8",
    "COUNTERSIGN_INBOX_LEASE_S": "4",
    "COUNTERSIGN_INBOX_RETRY_DELAYS_S": "0.5,1,2,4,8",
    "COUNTERSIGN_INBOX_PARK_RETRY_DELAYS_S": "0.5,1,2,4,8,16,32",
    "COUNTERSIGN_DISPATCH_DEADLINE_S": "5",
    "COUNTERSIGN_DISPATCH_LOOK_UP_DELAYS_S": "0.7,1,1.5,2",
    "COUNTERSIGN_DISPATCH_SWEEP_EVERY_S": "0.5",
    "COUNTERSIGN_DISPATCH_CATCH_UP_AFTER_S": "8",
    "COUNTERSIGN_PROVIDER_CONNECT_TIMEOUT_S": "1",
    "COUNTERSIGN_PROVIDER_READ_TIMEOUT_S": "1.5",
    "COUNTERSIGN_PROVIDER_TOTAL_TIMEOUT_S": "5",
    "COUNTERSIGN_PROVIDER_BREAKER_PAUSE_S": "2",
    "COUNTERSIGN_DELIVERY_LEASE_S": "3",
    "COUNTERSIGN_DELIVERY_READ_TIMEOUT_S": "1",
    "COUNTERSIGN_DELIVERY_TOTAL_TIMEOUT_S": "2",
    "COUNTERSIGN_DELIVERY_SWEEP_EVERY_S": "0.5",
    "DATABASE_ACQUIRE_TIMEOUT_S": "3",
    "DATABASE_CONNECT_TIMEOUT_S": "2",
}


class ChaosHouse:
    """What a test breaks and looks into. `kills` counts by process name."""

    def __init__(self, house: House, folder: Path, client: httpx.AsyncClient) -> None:
        self.house = house
        self.folder = folder
        self.client = client
        self.kills: dict[str, int] = {}

    @property
    def api(self) -> str:
        return f"{self.house.url}/api/v1/signatures"

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.house.development.tenant_key}"}

    async def sql(self, query: str, *values: Any) -> list[asyncpg.Record]:
        """As superuser: the oracle looks past every policy."""
        connection = await asyncpg.connect(self.house.stores.postgres.superuser_url("countersign").reveal())
        try:
            return await connection.fetch(query, *values)
        finally:
            await connection.close()

    async def explain(self, reference: str) -> str:
        """What is known about an envelope that does not move."""
        lines = await self.sql(
            "SELECT e.status, dispatch_state, dispatch_epoch, e.provider_ref, provider_status, lookups,"
            " next_lookup_at - now() AS next_look_up, last_error, a.epoch, a.mode, a.outcome, a.detail, a.orphan,"
            " a.provider_ref AS attempt_ref FROM envelopes e"
            " LEFT JOIN dispatch_attempts a ON (a.tenant_id, a.envelope_id) = (e.tenant_id, e.id)"
            " WHERE external_reference = $1 ORDER BY a.epoch",
            reference,
        )
        jobs = await self.sql("SELECT kind, state, attempts, lease_until - now() AS lease, error FROM jobs")
        return "\n".join(str(dict(one)) for one in [*lines, *jobs])

    async def kill(self, name: str) -> datetime:
        """SIGKILL to the whole process group, as a machine's end would be; when it was dead."""
        pid = self.house.supervisor.pid(name)
        os.killpg(pid, signal.SIGKILL)
        self.kills[name] = self.kills.get(name, 0) + 1
        restarts = self.house.supervisor.restarts(name)
        dead_at = datetime.now(UTC)
        await until(lambda: self.house.supervisor.restarts(name) > restarts, f"{name} started again")
        return dead_at

    async def until_healthy(self) -> float:
        """Seconds until the gateway answers again."""
        began = time.monotonic()

        async def answers() -> bool:
            try:
                return (await self.client.get(f"{self.house.url}/ready")).is_success
            except httpx.HTTPError:
                return False

        await until(answers, "the gateway ready again")
        return time.monotonic() - began

    async def age(self, dead_at: datetime) -> None:
        """Lets the time pass that must pass before what a dead process held is taken up: only what was
        claimed before its death is touched, and only after it.
        """
        await self.sql(
            "UPDATE envelopes SET dispatch_deadline = clock_timestamp()"
            " WHERE dispatch_state = 'creating' AND updated_at < $1",
            dead_at,
        )
        await self.sql(
            "UPDATE idempotency_keys SET locked_until = clock_timestamp() WHERE completed_at IS NULL"
            " AND locked_until - interval '8 s' < $1 AND locked_until > clock_timestamp()",
            dead_at,
        )

    async def age_jobs(self, dead_at: datetime) -> None:
        """As `age`, for the worker: it leases jobs for a minute, and look-ups for five."""
        await self.sql(
            "UPDATE jobs SET lease_until = clock_timestamp()"
            " WHERE state = 'running' AND lease_until - interval '60 s' < $1",
            dead_at,
        )
        await self.sql(
            "UPDATE envelopes SET next_lookup_at = clock_timestamp()"
            " WHERE dispatch_state IN ('creating', 'unknown') AND next_lookup_at > clock_timestamp()"
            " + interval '60 s' AND next_lookup_at - interval '300 s' < $1",
            dead_at,
        )

    async def crash_postgres(self) -> None:
        self.house.stores.postgres.stop(immediate=True)
        self.kills["postgres"] = self.kills.get("postgres", 0) + 1

    async def crash_valkey(self) -> None:
        self.house.stores.valkey.stop(immediate=True)
        self.kills["valkey"] = self.kills.get("valkey", 0) + 1

    def start_postgres(self) -> None:
        server = self.house.stores.postgres
        server.start(port=server.port)

    def start_valkey(self) -> None:
        server = self.house.stores.valkey
        server.start(port=server.port)


async def until(condition: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> None:
    """Waits for a condition, plain or awaited. Fails naming what did not come."""
    ends_at = time.monotonic() + within_s
    while True:
        held = condition()
        if asyncio.iscoroutine(held):
            held = await held
        if held:
            return
        if time.monotonic() > ends_at:
            pytest.fail(f"this did not come within {within_s:.0f} s: {what}")
        await asyncio.sleep(0.05)


@asynccontextmanager
async def open_chaos(folder: Path, extra: dict[str, str] | None = None) -> AsyncIterator[ChaosHouse]:
    """Starts everything in `folder` and ends it. MUST be entered in the main thread."""

    async def prepare(settings: Settings, sandboxes: list[RunningSandbox]) -> Development:
        async with open_services(settings, name="chaos") as services:
            made = await ensure_development(
                services, folder / "development.json", sandboxes, tenant_name="Chaos"
            )
            # Silent envelopes are asked about after seconds here, so the plan's interval is of seconds too.
            for one in made.connections.values():
                change = ConnectionChange(poll_interval_s=1)
                await change_connection(services, cli_caller(), made.tenant_id, one.id, change)
            return made

    output = ChildOutput(folder / "processes.log", None)
    # The supervisor's patience with a child that ends early is right for people, and wrong for 200 kills.
    patch = pytest.MonkeyPatch()
    patch.setattr(config.supervisor, "_FIRST_PAUSE_S", 0.05)
    patch.setattr(config.supervisor, "_LONGEST_PAUSE_S", 0.05)
    for name, value in (QUICK | (extra or {})).items():
        patch.setenv(name, value)
    patch.setenv("PYTHONPATH", str(Path(__file__).with_name("injected")))
    # The providers' own books must outlive their processes too.
    plan = HousePlan(data_dir=folder, port=free_port(), keep_sandboxes=True, settings=load_settings())
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=32)
    try:
        async with (
            httpx.AsyncClient(trust_env=False, timeout=30.0, limits=limits) as client,
            open_house(plan, output, prepare) as house,
        ):
            yield ChaosHouse(house, folder, client)
    finally:
        patch.undo()
        output.close()
