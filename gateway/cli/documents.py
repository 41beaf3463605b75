"""`countersign documents verify`: reads stored documents now and compares each with its digest; status 1 for damage."""

import argparse
import asyncio
import sys

from gateway.cli.callers import named_tenant
from gateway.cli.printing import print_json
from gateway.cli.stores import with_services
from gateway.envelopes.verify_blobs import Verification, verify_all
from gateway.services import Services


def verify(options: argparse.Namespace) -> int:
    tenant_id = named_tenant(options.tenant) if options.tenant else None

    async def work(services: Services) -> Verification:
        return await verify_all(services, tenant_id)

    found = asyncio.run(with_services(work))
    print_json(found)
    if found.damaged:
        said = f"countersign: {found.damaged} stored documents are damaged; the ledger and the log say which."
        print(said, file=sys.stderr)
    return 1 if found.damaged else 0
