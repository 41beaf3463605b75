"""The deliverer process: one event loop that serves every ready mailbox. Any number of them may run.

Woken through Redis, swept from SQL: while Redis is silent or was flushed, the sweep finds the work by itself.
Asked to stop, it takes nothing new, finishes what is under way, gives back what it had claimed ahead, and
goes.
"""

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from uuid import UUID

from config.clock import Clock, SystemClock
from config.database import Database
from config.errors import ConfigError, StoreUnavailable
from config.garbage import calm_garbage_collector
from config.master_keys import load_key_wrapper
from config.queue import Wake, open_redis
from config.secret import Secret
from config.settings import DeliverySettings, Settings
from config.settings_endpoints import EndpointSettings
from config.vault import Vault
from ledger.personal import SubjectKeys
from normalizer.ids import Ids
from webhooks.outbound.attempt import Attempter
from webhooks.outbound.client import WebhookClient
from webhooks.outbound.ending import end_tasks
from webhooks.outbound.guard import Guard
from webhooks.outbound.health_news import find_news, tell_news
from webhooks.outbound.health_report import Reporter
from webhooks.outbound.mailbox import Route, read_routes
from webhooks.outbound.ports import RecordEvents
from webhooks.outbound.pump import Pump
from webhooks.outbound.sinks.senders import close_sinks, open_sinks
from webhooks.outbound.sweep import give_up_poison, sweep
from webhooks.outbound.waking import DELIVERERS, Deliverers
from webhooks.record import Recorder

logger = logging.getLogger("countersign.deliverer")

_REDIS_AWAY_PAUSE_S = 0.2


class Deliverer:
    """The pump with its wake-ups. `oldest_due_s` is the figure that shows a stall."""

    def __init__(
        self,
        hub: Database,
        client: WebhookClient,
        guard: Guard,
        vault: Vault,
        recorder: RecordEvents,
        deliverers: Deliverers,
        settings: DeliverySettings,
        clock: Clock,
        ids: Ids,
        *,
        endpoints: EndpointSettings | None = None,
        attempter: type[Attempter] = Attempter,
    ) -> None:
        """`attempter` lets a benchmark watch each attempt."""

        async def routes(endpoint_ids: list[UUID]) -> dict[UUID, Route]:
            return await read_routes(hub, endpoint_ids, vault, guard, settings)

        self._hub = hub
        self._reporter = Reporter(recorder, vault, ids, clock, endpoints or EndpointSettings())
        self._deliverers = deliverers
        self._settings = settings
        self.sinks = open_sinks(client, guard, connect_timeout_s=settings.connect_timeout_s)
        self.attempter = attempter(self.sinks, clock)
        self.pump = Pump(hub, self.attempter, routes, self._reporter, settings, ids)
        self.oldest_due_s = 0.0

    @property
    def statements(self) -> int:
        """How many the deliverer has asked of PostgreSQL."""
        return self._hub.statements

    async def run(self, stop: asyncio.Event, *, grace_s: float = 35.0) -> None:
        """Delivers until `stop` is set; then ends in order within `grace_s`."""
        self.pump.start()
        self.pump.wake()
        listeners = [asyncio.create_task(self._listen()), asyncio.create_task(self._sweep())]
        try:
            await stop.wait()
        finally:
            await end_tasks(listeners)
            await self.pump.stop(grace_s)
            await close_sinks(self.sinks)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            asked_at = loop.time()
            try:
                if await self._deliverers.wait(self._settings.sweep_every_s):
                    self.pump.wake(await self._deliverers.take_mailboxes())
                    continue
            except Exception:  # without its ear the deliverer would live on the sweep alone
                logger.exception("a wake-up could not be heard")
            if loop.time() - asked_at < _REDIS_AWAY_PAUSE_S:
                await asyncio.sleep(_REDIS_AWAY_PAUSE_S)

    async def _sweep(self) -> None:
        while True:
            try:
                swept = await sweep(self._hub)
                # At once: nothing that fails below may keep the mailboxes from being served.
                self.oldest_due_s = swept.oldest_due_s
                self.pump.wake(swept.mailboxes)
                await give_up_poison(self._hub, self._reporter)
                await tell_news(self._hub, self._reporter, await find_news(self._hub, self._reporter))
            except StoreUnavailable:
                logger.warning("the store is away; the next sweep tries again")
            except Exception:  # the backstop must outlive a fault in itself
                logger.exception("a sweep failed")
            await asyncio.sleep(self._settings.sweep_every_s)


async def run(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Runs a deliverer on the settings' stores until `stop` is set. Raises ConfigError without stores."""
    hub_url, redis_url = settings.database.hub_url, settings.redis.url
    if hub_url is None or redis_url is None:
        raise ConfigError("a deliverer needs DATABASE_HUB_URL and REDIS_URL")
    async with AsyncExitStack() as stack:
        deliverer = await _build(settings, hub_url, redis_url, stack)
        calm_garbage_collector()
        logger.info("deliverer.started")
        with suppress(asyncio.CancelledError):  # Ctrl-C: it has ended in order by then
            await deliverer.run(stop or asyncio.Event(), grace_s=settings.delivery.total_timeout_s + 5)
        logger.info(
            "deliverer.stopped",
            extra={"delivered": deliverer.pump.delivered, "statements": deliverer.statements},
        )


async def _build(settings: Settings, hub_url: Secret, redis_url: Secret, stack: AsyncExitStack) -> Deliverer:
    clock = SystemClock()
    hub = await stack.enter_async_context(
        await Database.connect(
            hub_url, pool_size=settings.database.pool_size, application_name="countersign deliverer"
        )
    )
    redis = open_redis(redis_url)
    stack.push_async_callback(redis.aclose)
    deliverers = Deliverers(Wake(redis, DELIVERERS))
    vault = Vault(load_key_wrapper(settings), clock)
    guard = Guard(settings.countersign.loopback_allow_list)
    stack.callback(guard.close)
    client = WebhookClient(
        guard,
        response_bytes=settings.delivery.response_bytes,
        connect_timeout_s=settings.delivery.connect_timeout_s,
    )
    await client.open()
    stack.push_async_callback(client.close)
    recorder = Recorder(SubjectKeys(vault, clock.monotonic), clock.now, deliverers.events_waiting)
    return Deliverer(
        hub,
        client,
        guard,
        vault,
        recorder,
        deliverers,
        settings.delivery,
        clock,
        Ids(clock.now),
        endpoints=settings.endpoint,
    )
