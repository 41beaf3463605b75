"""A worker that carries out replays until none is left, as a process of its own that a test may kill."""

import asyncio

from config.clock import SystemClock
from config.database import Database
from config.master_keys import LocalKeyWrapper
from config.queue import Wake, open_redis
from config.settings_source import load_settings
from config.vault import Vault
from ledger.personal import SubjectKeys
from normalizer.ids import Ids
from tests.webhooks.outbound.hub import MASTER_KEY
from webhooks.outbound.replay_job_run import ReplayRunner
from webhooks.outbound.waking import DELIVERERS, Deliverers
from webhooks.record import Recorder


async def main() -> None:
    settings, clock = load_settings(), SystemClock()
    assert settings.database.hub_url is not None
    assert settings.redis.url is not None
    redis = open_redis(settings.redis.url)
    deliverers = Deliverers(Wake(redis, DELIVERERS))
    vault = Vault(LocalKeyWrapper([MASTER_KEY]), clock)
    recorder = Recorder(SubjectKeys(vault, clock.monotonic), clock.now, deliverers.events_waiting)
    async with await Database.connect(settings.database.hub_url, application_name="replay") as hub:
        runner = ReplayRunner(hub, recorder, Ids(clock.now), clock, deliverers.mailboxes_ready)
        await runner.run_due(for_s=60.0, page=5)
    await redis.aclose()


if __name__ == "__main__":
    asyncio.run(main())
