"""Everything running on one machine: stores, sandboxes, development services, gateway, deliverer, worker, scheduler.

Used by `countersign up` and the demo. The sandboxes load while the stores start; the gateway is started last
and so stopped first, the stores are stopped last. MUST be entered in the main thread: children die with the
thread that started them. Must never run in production mode: it opens the guards for loopback.
"""

import asyncio
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from adapters.kit.port import Adapter
from adapters.kit.registry import adapters
from config.embedded import EmbeddedStores
from config.errors import ConfigError
from config.processes import free_port
from config.settings import GeneralSettings, Settings
from config.settings_source import START_NONCE_VARIABLE
from config.supervisor import ChildSpec, Supervisor
from gateway.cli.child_output import ChildOutput
from gateway.cli.development import Development, RunningSandbox
from gateway.cli.house_plan import HousePlan
from gateway.cli.outside import NAME as OUTSIDE
from gateway.cli.outside import Outside, outside_environment, outside_process, place_outside
from gateway.cli.stores import URL_VARIABLES, on_stores, urls_of, with_loopback
from gateway.migrations.run import migrate

_READY_WITHIN_S = 120.0
_BESIDE = ("deliverer", "worker", "scheduler")
_GATEWAY = "gateway"


class House(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    settings: Settings
    sandboxes: dict[str, RunningSandbox]
    outside: Outside
    development: Development
    stores: EmbeddedStores | None
    supervisor: Supervisor


Prepare = Callable[[Settings, list[RunningSandbox]], Awaitable[Development]]


@asynccontextmanager
async def open_house(
    plan: HousePlan,
    output: ChildOutput,
    prepare: Callable[[Settings, list[RunningSandbox]], Awaitable[Development]],
) -> AsyncIterator[House]:
    """`prepare` is called once the database is migrated and the sandboxes answer, before the gateway does.

    Raises ConfigError with the last lines of a process that does not come up.
    """
    if plan.settings.is_production:
        raise ConfigError(
            "this is for development; in production mode run serve, deliverer, worker, scheduler."
        )
    port = plan.port or free_port()
    _check_free(port)
    url = f"http://127.0.0.1:{port}"
    nonce = secrets.token_hex(16)
    settings = _on_this_machine(plan, url)
    async with AsyncExitStack() as stack:
        loading = await stack.enter_async_context(Supervisor(output))
        waiting = await _start_sandboxes(plan, port, settings.countersign.public_base_url, loading, output)
        outside = place_outside(port + len(waiting) + 1 if plan.port else 0, _check_free)
        outside_ready = output.expect_ready(OUTSIDE)
        await loading.start(outside_process(plan, outside))
        stores = None
        if settings.uses_embedded_stores:
            stores = await stack.enter_async_context(EmbeddedStores(plan.data_dir))
            settings = on_stores(settings, stores)
        # Entered after the stores, so that its processes end before them.
        supervisor = await stack.enter_async_context(Supervisor(output))
        if settings.database.owner_url is not None:
            await migrate(settings.database.owner_url)
        env = _environment(plan, settings, url, nonce) | outside_environment(settings, outside)
        for name in (*_BESIDE, _GATEWAY):
            await supervisor.start(_own_process(name, env))
        sandboxes = [await _meet(loading, output, adapter, future) for adapter, future in waiting]
        await _until(loading, output, OUTSIDE, _is_done(outside_ready))
        development = await prepare(settings, sandboxes)
        await _until(supervisor, output, _GATEWAY, lambda: _is_this_start(url, nonce))
        yield House(
            url=url,
            settings=settings,
            sandboxes={one.provider: one for one in sandboxes},
            outside=outside,
            development=development,
            stores=stores,
            supervisor=supervisor,
        )


def _on_this_machine(plan: HousePlan, url: str) -> Settings:
    """The plan's settings, on loopback and in the data folder."""
    settings = with_loopback(plan.settings)
    general = msgspec.structs.replace(settings.countersign, data_dir=plan.data_dir)
    if general.public_base_url == GeneralSettings().public_base_url:
        general = msgspec.structs.replace(general, public_base_url=url)
    return msgspec.structs.replace(settings, countersign=general)


def _environment(plan: HousePlan, settings: Settings, url: str, nonce: str) -> dict[str, str]:
    general = settings.countersign
    stores = {URL_VARIABLES[name]: store.reveal() for name, store in urls_of(settings).items()}
    return {
        **plan.environment,
        "COUNTERSIGN_DATA_DIR": str(general.data_dir),
        "COUNTERSIGN_PUBLIC_BASE_URL": general.public_base_url,
        "COUNTERSIGN_LOOPBACK_ALLOW_LIST": ",".join(general.loopback_allow_list),
        "COUNTERSIGN_HTTP_HOST": "127.0.0.1",
        "COUNTERSIGN_HTTP_PORT": url.rpartition(":")[2],
        START_NONCE_VARIABLE: nonce,
        **stores,
    }


async def _start_sandboxes(
    plan: HousePlan, port: int, base_url: str, supervisor: Supervisor, output: ChildOutput
) -> list[tuple[Adapter, "asyncio.Future[dict[str, Any]]"]]:
    waiting = []
    for number, (adapter, module) in enumerate(_with_sandbox(), 1):
        own_port = port + number if plan.port else 0
        if own_port:
            _check_free(own_port)
        command = [sys.executable, "-m", module, "--port", str(own_port), "--json"]
        for host in dict.fromkeys(("127.0.0.1", urlsplit(base_url).hostname or "127.0.0.1")):
            command += ["--webhook-allow", host]
        if plan.keep_sandboxes:
            command += ["--state-dir", str(plan.data_dir / "sandboxes" / adapter.name)]
        name = _sandbox_name(adapter)
        waiting.append((adapter, output.expect_ready(name)))
        await supervisor.start(ChildSpec(name=name, command=tuple(command), stop_within_s=10.0))
    return waiting


def _with_sandbox() -> Iterator[tuple[Adapter, str]]:
    for adapter in adapters().values():
        if adapter.sandbox is not None:
            yield adapter, adapter.sandbox.module


async def _meet(
    supervisor: Supervisor, output: ChildOutput, adapter: Adapter, ready: "asyncio.Future[dict[str, Any]]"
) -> RunningSandbox:
    await _until(supervisor, output, _sandbox_name(adapter), _is_done(ready))
    told = ready.result()
    known = {field.name for field in adapter.credential_fields}
    given = told["credentials"]
    return RunningSandbox(
        provider=adapter.name,
        title=adapter.title,
        url=told["url"],
        credentials={name: value for name, value in given.items() if name in known and value is not None},
        webhook_keys=tuple(given.get("webhook_secrets") or ()),
    )


def _is_done(ready: "asyncio.Future[dict[str, Any]]") -> Callable[[], Awaitable[bool]]:
    async def is_done() -> bool:
        return ready.done()

    return is_done


def _own_process(name: str, env: dict[str, str]) -> ChildSpec:
    command = "serve" if name == _GATEWAY else name
    return ChildSpec(
        name=name,
        command=(sys.executable, "-m", "gateway.cli.main", command),
        env=env,
        stop_within_s=20.0,
    )


async def _until(
    supervisor: Supervisor, output: ChildOutput, name: str, is_ready: Callable[[], Awaitable[bool]]
) -> None:
    try:
        async with asyncio.timeout(_READY_WITHIN_S):
            while not await is_ready():
                if supervisor.restarts(name) > 1:
                    raise ConfigError(_complaint(f"{name} ends again and again", output, name))
                await asyncio.sleep(0.05)
    except TimeoutError:
        late = f"{name} was not ready after {_READY_WITHIN_S:.0f} s"
        raise ConfigError(_complaint(late, output, name)) from None


def _complaint(text: str, output: ChildOutput, name: str) -> str:
    lines = "".join(f"\n  {line}" for line in output.last_lines(name))
    return f"{text}; its last lines were:{lines}" if lines else f"{text} and said nothing."


async def _is_this_start(url: str, nonce: str) -> bool:
    """Whether the process that answers is the one that was started now: a stray one has another nonce."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            answer = await client.get(f"{url}/health")
        return answer.is_success and answer.json().get("nonce") == nonce
    except (httpx.HTTPError, ValueError):
        return False


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigError(
                f"port {port} is taken by another program; choose another with --port."
            ) from error


def _sandbox_name(adapter: Adapter) -> str:
    return f"sandbox-{adapter.webhook_path}"
