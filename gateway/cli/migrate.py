"""`countersign migrate`: brings the database to the newest revision. Several may run at once; one works."""

import argparse
import asyncio

from config.settings_source import load_settings
from gateway.cli.stores import reach_stores
from gateway.migrations.run import migrate as apply_revisions


def migrate(_: argparse.Namespace) -> int:
    async def work() -> None:
        async with reach_stores(load_settings()) as settings:
            if settings.database.owner_url is not None:
                await apply_revisions(settings.database.owner_url)
        print("the database is at the newest revision")

    asyncio.run(work())
    return 0
