"""`countersign keys rotate-master`: wraps every tenant's data keys with the current master key."""

import argparse
import asyncio

from config.master_keys import load_key_wrapper
from gateway.cli.callers import cli_caller
from gateway.cli.stores import with_services
from gateway.services import Services
from gateway.tenants.facts import tenant_event
from normalizer.events import ResourceType
from normalizer.vocabulary import LedgerType


def rotate_master(_: argparse.Namespace) -> int:
    """May be interrupted and repeated, and runs beside traffic. What changed is recorded in the system's chain."""
    changed = asyncio.run(with_services(_rotate))
    print(
        f"{changed} data keys were wrapped anew; older lines of the master key file may go when this says 0"
    )
    return 0


async def _rotate(services: Services) -> int:
    changed = await services.vault.rotate_master(services.hub)
    if changed:
        event = tenant_event(
            services,
            cli_caller(),
            LedgerType.MASTER_KEY_ROTATED,
            None,
            ResourceType.SYSTEM,
            "vault",
            {"data_keys": changed, "master_key": load_key_wrapper(services.settings).current_id},
        )
        async with services.hub.transaction() as tx:
            await services.recorder.record(tx, [event])
            await tx.commit()
    return changed
