"""`countersign jobs list-dead | redrive`: what was given up in the background, why, and another try."""

import argparse
import asyncio

from gateway.cli.printing import print_rows
from gateway.cli.stores import with_services
from gateway.jobs.store import list_dead_jobs, redrive_job
from gateway.services import Services
from normalizer.ids import Kind, print_id, read_id
from webhooks.inbound.message import MessageState
from webhooks.inbound.read import MessageFilter, list_messages

_MOST = 1000
_GIVEN_UP = (MessageState.DEAD, MessageState.UNPROCESSABLE)


def list_dead(options: argparse.Namespace) -> int:
    """Jobs, and providers' messages that could not be processed."""
    rows = asyncio.run(with_services(_find_dead))
    print_rows(rows, as_json=options.json, nothing="Nothing was given up.")
    return 0


async def _find_dead(services: Services) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {
            "id": print_id(Kind.JOB, one.id),
            "tenant": None,
            "what": one.kind,
            "attempts": one.attempts,
            "finished_at": one.finished_at,
            "why": one.explanation,
            "again": f"countersign jobs redrive {print_id(Kind.JOB, one.id)}",
        }
        for one in await list_dead_jobs(services.hub, _MOST)
    ]
    owners = await services.hub.fetch(
        "SELECT DISTINCT tenant_id FROM inbox_messages WHERE state = ANY($1)", [str(one) for one in _GIVEN_UP]
    )
    for owner in owners:
        wanted = MessageFilter(states=_GIVEN_UP, limit=_MOST)
        rows += [
            {
                "id": print_id(Kind.MESSAGE, one.id),
                "tenant": print_id(Kind.TENANT, owner["tenant_id"]),
                "what": f"message of {one.provider}",
                "attempts": one.failures,
                "finished_at": one.finished_at,
                "why": one.explanation,
                "again": f"countersign replay inbound {print_id(Kind.MESSAGE, one.id)}",
            }
            for one in await list_messages(services.hub, owner["tenant_id"], wanted)
        ]
    return rows


def redrive(options: argparse.Namespace) -> int:
    named = [read_id(Kind.JOB, one) for one in options.jobs]

    async def work(services: Services) -> list[dict[str, object]]:
        wanted = named or [one.id for one in await list_dead_jobs(services.hub, _MOST)]
        for job_id in wanted:
            await redrive_job(services.hub, job_id)
        return [{"job": print_id(Kind.JOB, one)} for one in wanted]

    rows = asyncio.run(with_services(work))
    print_rows(rows, as_json=options.json, nothing="No job was given up.")
    return 0
