"""`countersign ledger verify | export`. The verdict has the design documents' keys; status 1 when violated."""

import argparse
import asyncio
import sys
from contextlib import ExitStack
from typing import BinaryIO
from uuid import UUID

from config.errors import ConfigError
from gateway.cli.callers import named_owner
from gateway.cli.printing import print_json
from gateway.cli.stores import with_services
from gateway.services import SYSTEM_TENANT, Services
from ledger.chain import Verdict
from ledger.check import check_chain, check_everything, check_tenant
from ledger.export import export_chain
from normalizer.errors import NotFound
from normalizer.ids import Kind, read_id

_OWNER = "SELECT tenant_id FROM ledger_heads WHERE chain_id = $1"


def verify(options: argparse.Namespace) -> int:
    async def work(services: Services) -> Verdict:
        if options.all:
            return await check_everything(services.hub)
        if options.envelope:
            tenant_id, chain = await _envelope_chain(services, options.envelope)
            return await check_chain(services.hub, tenant_id, chain)
        return await check_tenant(services.hub, named_owner(options.tenant))

    verdict = asyncio.run(with_services(work))
    print_json(verdict)
    if not verdict.valid:
        print(f"countersign: {len(verdict.violations)} violations; keep this output.", file=sys.stderr)
    return 0 if verdict.valid else 1


def export(options: argparse.Namespace) -> int:
    """Lines that `python -m ledger.verify` reads, on any machine."""
    with ExitStack() as stack:
        written: BinaryIO = sys.stdout.buffer
        if options.output != "-":
            try:
                written = stack.enter_context(open(options.output, "wb"))
            except OSError as error:
                raise ConfigError(f"{options.output} cannot be written ({error.strerror}).") from error
        entries = asyncio.run(with_services(lambda services: _export(services, options, written)))
    print(f"{entries} entries and their head were written", file=sys.stderr)
    return 0


async def _export(services: Services, options: argparse.Namespace, written: BinaryIO) -> int:
    """How many entries were written. Raises NotFound for a chain that is not there."""
    if options.envelope:
        tenant_id, chain = await _envelope_chain(services, options.envelope)
    else:
        owner = named_owner(options.tenant)
        tenant_id, chain = owner or SYSTEM_TENANT, f"tenant:{owner}" if owner else "system"
    lines = 0
    async with services.hub.transaction(tenant_id) as tx:
        async for line in export_chain(tx, tenant_id, chain):
            written.write(line)
            lines += 1
    if not lines:
        raise NotFound("chain", chain)
    return lines - 1  # the last one is the head


async def _envelope_chain(services: Services, printed: str) -> tuple[UUID, str]:
    """Whose chain it is, and its name. Raises NotFound for an envelope without entries."""
    chain = f"env:{read_id(Kind.ENVELOPE, printed)}"
    owner = await services.hub.fetchval(_OWNER, chain)
    if owner is None:
        raise NotFound("envelope", printed)
    return owner, chain
