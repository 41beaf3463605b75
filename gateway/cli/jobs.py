"""`countersign jobs list-dead | redrive`: background jobs that were given up, why, and another try."""

import argparse
import asyncio

from gateway.cli.printing import print_rows
from gateway.cli.stores import with_services
from gateway.jobs.store import DeadJob, list_dead_jobs, redrive_job
from gateway.services import Services
from normalizer.ids import Kind, print_id, read_id

_MOST = 1000


def list_dead(options: argparse.Namespace) -> int:
    async def work(services: Services) -> list[DeadJob]:
        return await list_dead_jobs(services.hub, _MOST)

    rows: list[dict[str, object]] = [
        {
            "id": print_id(Kind.JOB, one.id),
            "kind": one.kind,
            "attempts": one.attempts,
            "redrives": one.redrives,
            "finished_at": one.finished_at,
            "why": one.explanation,
        }
        for one in asyncio.run(with_services(work))
    ]
    print_rows(rows, as_json=options.json, nothing="No job was given up.")
    return 0


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
