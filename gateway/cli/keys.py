"""`countersign keys rotate-master`: wraps every tenant's data keys with the current master key."""

import argparse
import asyncio

from gateway.cli.stores import with_services
from gateway.services import Services


def rotate_master(_: argparse.Namespace) -> int:
    """May be interrupted and repeated, and runs beside traffic."""

    async def work(services: Services) -> int:
        return await services.vault.rotate_master(services.hub)

    changed = asyncio.run(with_services(work))
    print(
        f"{changed} data keys were wrapped anew; older lines of the master key file may go when this says 0"
    )
    return 0
