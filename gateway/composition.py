"""The composition root: builds what use cases need from the settings, in order, and takes it down again.

Everything is made here and handed on; nothing below makes its own database, client or clock.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from adapters.kit.executor import Executor
from adapters.kit.options import ExecutorOptions
from adapters.kit.registry import adapters
from config.blobs import open_blobs
from config.breaker import BreakerOptions
from config.clock import Clock, SystemClock
from config.database import Database, assert_no_open_transaction
from config.errors import ConfigError
from config.master_keys import load_key_wrapper
from config.queue import Wake, open_redis
from config.secret import Secret
from config.settings import ProviderSettings, Settings
from config.vault import Vault
from engine.notify.carriers import open_carriers
from gateway.coalesce import Coalesced
from gateway.engine_host import bind_providers, open_engine
from gateway.envelopes.grouped_writes import GroupedWrites
from gateway.metrics import observe_circuit, observe_notice, observe_provider_call
from gateway.migrations.run import check_roles
from gateway.routing.memory import RoutingMemory
from gateway.services import Services
from gateway.shared_polls import SharedPolls
from gateway.spool_mover import moving_spooled
from gateway.tenants.api_keys import load_pepper
from gateway.tenants.connection_cache import ConnectionCache
from ledger.personal import SubjectKeys
from normalizer.ids import Ids
from webhooks.outbound.endpoints import EndpointDesk
from webhooks.outbound.feed_watch import FeedWatch
from webhooks.outbound.guard import Guard
from webhooks.outbound.replay import ReplayDesk
from webhooks.outbound.replay_job_desk import ReplayJobDesk
from webhooks.outbound.replay_job_run import ReplayRunner
from webhooks.outbound.waking import DELIVERERS, Deliverers
from webhooks.record import Recorder


@asynccontextmanager
async def open_services(
    settings: Settings, *, name: str = "countersign", clock: Clock | None = None
) -> AsyncIterator[Services]:
    """Connected services on the settings' stores. Raises ConfigError for settings that cannot work."""
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        database = await _connect(stack, settings, settings.database.url, "DATABASE_URL", name)
        hub = await _connect(stack, settings, settings.database.hub_url, "DATABASE_HUB_URL", f"{name} hub")
        await check_roles(database, hub)
        if settings.redis.url is None:
            raise ConfigError("REDIS_URL is not set")
        redis = open_redis(settings.redis.url)
        stack.push_async_callback(redis.aclose)
        vault = Vault(load_key_wrapper(settings), clock)
        ids = Ids(clock.now)
        subjects = SubjectKeys(vault, clock.monotonic)
        deliverers = Deliverers(Wake(redis, DELIVERERS))
        ring = Coalesced(deliverers.events_waiting)
        stack.push_async_callback(ring.aclose)
        recorder = Recorder(subjects, clock.now, ring)
        executor = Executor(
            executor_options(settings.provider),
            clock=clock,
            limiter_store=SharedPolls(clock, redis),
            before_request=assert_no_open_transaction,
            observers=(observe_provider_call,),
        )
        executor.breakers.listen(observe_circuit)
        stack.push_async_callback(executor.aclose)
        carriers = open_carriers(settings, clock, (observe_notice,))
        carriers.listen(observe_circuit)
        stack.push_async_callback(carriers.aclose)
        feeds = FeedWatch(hub)
        stack.push_async_callback(feeds.aclose)
        guard = Guard(settings.countersign.loopback_allow_list)
        stack.callback(guard.close)
        pepper = await load_pepper(hub, vault, ids.new())
        blobs = open_blobs(settings, vault, database, clock, observe_circuit)
        await stack.enter_async_context(moving_spooled(blobs))
        engine = open_engine(
            stack,
            adapters(),
            settings=settings,
            clock=clock,
            ids=ids,
            database=database,
            hub=hub,
            vault=vault,
            blobs=blobs,
            subjects=subjects,
            pepper=pepper,
        )
        yield Services(
            settings=settings,
            clock=clock,
            ids=ids,
            database=database,
            hub=hub,
            redis=redis,
            vault=vault,
            blobs=blobs,
            recorder=recorder,
            writes=GroupedWrites(database),
            subjects=subjects,
            pepper=pepper,
            engine=engine,
            carriers=carriers,
            executor=executor,
            adapters=bind_providers(adapters(), engine),
            connections=ConnectionCache(),
            routings=RoutingMemory(),
            feeds=feeds,
            endpoints=EndpointDesk(
                database,
                vault,
                guard,
                recorder,
                ids,
                clock,
                deliverers.mailboxes_ready,
                most_per_tenant=settings.limit.endpoints_per_tenant,
            ),
            replays=ReplayDesk(database, recorder, ids, clock, deliverers.mailboxes_ready),
            replay_jobs=ReplayJobDesk(database, recorder, ids, clock),
            replay_runner=ReplayRunner(hub, recorder, ids, clock, deliverers.mailboxes_ready),
        )


def executor_options(provider: ProviderSettings) -> ExecutorOptions:
    return ExecutorOptions(
        connect_timeout_s=provider.connect_timeout_s,
        read_timeout_s=provider.read_timeout_s,
        write_timeout_s=provider.write_timeout_s,
        pool_timeout_s=provider.pool_timeout_s,
        deadline_s=provider.total_timeout_s,
        connections=provider.connections,
        read_attempts=provider.retries + 1,
        breaker=BreakerOptions(
            window_s=provider.breaker_window_s,
            minimum_calls=provider.breaker_failures,
            open_s=provider.breaker_pause_s,
        ),
    )


async def _connect(
    stack: AsyncExitStack, settings: Settings, url: Secret | None, variable: str, name: str
) -> Database:
    if url is None:
        raise ConfigError(f"{variable} is not set")
    if urlsplit(url.reveal()).scheme not in {"postgresql", "postgres"}:
        raise ConfigError(f"{variable} is no postgresql:// address")
    return await stack.enter_async_context(
        await Database.connect(
            url,
            pool_size=settings.database.pool_size,
            application_name=name,
            acquire_timeout_s=settings.database.acquire_timeout_s,
            connect_timeout_s=settings.database.connect_timeout_s,
            statement_timeout_s=settings.database.statement_timeout_s,
        )
    )
