"""The price of the ledger: an append against a plain INSERT, a verification against hashing the same bytes.

`ratio`: an append of one event through the unit of work, composing included, against the INSERT of the same event
as JSON into an ordinary table of a tenant (same columns and size, row-level security, no chain) and a commit
through the same unit of work, eight writers. `ratio_of_record`: the same with personal data sealed and the
announcement put into the outbox, which the INSERT does not do. `verify_ratio`: entries verified per second in memory,
against SHA-256 over the same preimages and nothing else; and the same from PostgreSQL, reported.
"""

import asyncio
import hashlib
import itertools
import os
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import msgspec

from bench.kit import interleave, measure_rate, median_ratio, report, start_stores
from config.clock import SystemClock
from config.database import Database
from config.embedded import EmbeddedStores
from config.master_keys import LocalKeyWrapper
from config.vault import Vault
from ledger.append import append
from ledger.chain import ChainCheck, Link, hash_body, hash_link
from ledger.check import check_tenant
from ledger.entry import compose_draft, personal_of
from ledger.personal import SubjectKeys, ToSeal
from normalizer.events import Actor, ActorType, Event, ResourceType, Source, SourceKind
from normalizer.vocabulary import LedgerType
from webhooks.record import Recorder

WRITERS = 8
SECONDS = 0.2
SLICES = 4
CHAINS = 2_000
APPEND_TARGET = 0.7
VERIFY_TARGET = 0.35
VERIFIED = 20_000
_PLAIN = """
    CREATE TABLE bench_plain (LIKE ledger_entries INCLUDING STORAGE, PRIMARY KEY (tenant_id, event_id));
    SELECT guard_tenant_table('bench_plain', 'SELECT, INSERT');
"""
_INSERT = "INSERT INTO bench_plain VALUES ($1, $2, 1, 1, $3, $4, $5, $6, $7, $7, $8, $8, $8, $9)"


def make_event(tenant_id: UUID, envelope_id: UUID, people: list[Actor]) -> Event:
    """A typical entry: about 650 bytes of body before its personal data."""
    return Event(
        id=uuid4(),
        type=LedgerType.DOCUMENT_DOWNLOADED,
        tenant_id=tenant_id,
        envelope_id=envelope_id,
        resource_type=ResourceType.DOCUMENT,
        resource_id=str(envelope_id),
        occurred_at=datetime.now(UTC),
        actor=random.choice(people),
        source=Source(kind=SourceKind.API, request_id="0190a000-0000-7000-8000-000000000001"),
        facts={"document_sha256": "ab" * 32, "version": 3, "pages": 12, "note": "x" * 120},
    )


async def compare(stores: EmbeddedStores) -> int:
    stores.postgres.run_script(_PLAIN, "countersign")
    clock = SystemClock()
    tenant_id = uuid4()
    envelopes = [uuid4() for _ in range(CHAINS)]
    people = [
        Actor(type=ActorType.USER, id=f"u-{n}", name=f"Person {n}", email=f"person{n}@example.com")
        for n in range(50)
    ]

    async def wake() -> None:
        return

    subjects = SubjectKeys(Vault(LocalKeyWrapper([("bench", os.urandom(32))]), clock), clock.monotonic)
    recorder = Recorder(subjects, clock.now, wake)
    async with await Database.connect(stores.database_url, pool_size=WRITERS) as database:

        async def record() -> None:
            async with database.transaction(tenant_id) as tx:
                await recorder.record(tx, [make_event(tenant_id, random.choice(envelopes), people)])
                await tx.commit()

        async def record_four() -> None:
            envelope = random.choice(envelopes)
            async with database.transaction(tenant_id) as tx:
                await recorder.record(tx, [make_event(tenant_id, envelope, people) for _ in range(4)])
                await tx.commit()

        async def sql_only() -> None:
            bare = compose_draft(make_event(tenant_id, random.choice(envelopes), people), (), clock.now())
            async with database.transaction(tenant_id) as tx:
                await append(tx, [bare])
                await tx.commit()

        event = make_event(tenant_id, envelopes[0], people)
        async with database.transaction(tenant_id) as tx:
            sealed = await subjects.seal(tx, [ToSeal(tenant_id, event.id, personal_of(event))])
            await tx.commit()
        draft = compose_draft(event, sealed[0], clock.now())
        digest = hash_body(draft.body)

        def row() -> tuple[object, ...]:
            return (
                tenant_id,
                draft.chain_id,
                uuid4(),
                draft.event_type,
                draft.resource_type,
                draft.resource_id,
                draft.occurred_at,
                digest,
                draft.body,
            )

        encode = msgspec.json.Encoder().encode

        async def insert() -> None:
            event = make_event(tenant_id, random.choice(envelopes), people)
            data = encode(event).ljust(len(draft.body))
            async with database.transaction(tenant_id) as tx:
                await tx.driver.execute(
                    _INSERT,
                    tenant_id,
                    f"env:{event.envelope_id}",
                    event.id,
                    event.type,
                    event.resource_type,
                    event.resource_id,
                    event.occurred_at,
                    digest,
                    data,
                )
                await tx.commit()

        raw = [await asyncpg.connect(stores.database_url.reveal()) for _ in range(WRITERS)]
        for connection in raw:
            await connection.execute(f"SET app.tenant = '{tenant_id}'")
        turns = itertools.cycle(raw)

        def rate(work: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[float]]:
            return lambda: measure_rate(work, writers=WRITERS, seconds=SECONDS)

        async def raw_insert() -> float:
            done = 0
            stop = time.perf_counter() + SECONDS

            async def write(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
                nonlocal done
                while time.perf_counter() < stop:
                    await connection.execute(_INSERT, *row())
                    done += 1

            await asyncio.gather(*(write(next(turns)) for _ in raw))
            return done / SECONDS

        for warm_up in (record, insert, sql_only, record_four):
            await measure_rate(warm_up, writers=WRITERS, seconds=0.5)
        figures = await interleave(
            {
                "record": rate(record),
                "insert": rate(insert),
                "append": rate(sql_only),
                "record_four": rate(record_four),
                "raw_insert": raw_insert,
            },
            slices=SLICES,
        )
        for connection in raw:
            await connection.close()
        verification = await compare_verification(database, tenant_id)
    ratio = median_ratio(figures["append"], figures["insert"])
    rates = {f"{name}_per_s": round(statistics.median(values)) for name, values in figures.items()}
    verify_ratio = verification["verify_ratio"]
    return report(
        "ledger",
        ratio=ratio,
        target=APPEND_TARGET,
        ok=ratio >= APPEND_TARGET and verify_ratio >= VERIFY_TARGET,
        raw={
            "writers": WRITERS,
            "body_bytes": len(draft.body),
            "ratio_to_raw_insert": round(median_ratio(figures["record"], figures["raw_insert"]), 3),
            "ratio_of_record": round(median_ratio(figures["record"], figures["insert"]), 3),
            "entries_per_s_in_fours": rates["record_four_per_s"] * 4,
            **rates,
            "verify_target": VERIFY_TARGET,
            **verification,
        },
    )


async def compare_verification(database: Database, tenant_id: UUID) -> dict[str, float]:
    """Over the entries that were just written, chain by chain."""
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(
            "SELECT chain_id, seq, (extract(epoch FROM recorded_at) * 1000000)::bigint, prev_hash, body_hash,"
            " hash, body FROM ledger_entries ORDER BY chain_id, seq LIMIT $1",
            VERIFIED,
        )
    chains = [
        (chain_id, [Link(*row[1:]) for row in group])
        for chain_id, group in itertools.groupby(rows, key=lambda row: row[0])
    ]
    total = await database_count(database, tenant_id)
    preimages = [
        preimage
        for chain_id, links in chains
        for link in links
        for preimage in (b"\0" * 27 + link.body, b"\0" * (27 + 2 + len(chain_id) + 16) + link[2] + link[3])
    ]

    async def hash_only() -> float:
        sha256 = hashlib.sha256
        begin = time.perf_counter()
        for preimage in preimages:
            sha256(preimage).digest()
        return len(rows) / (time.perf_counter() - begin)

    async def verify() -> float:
        begin = time.perf_counter()
        for chain_id, links in chains:
            check = ChainCheck(tenant_id, chain_id)
            check.feed(links)
            if check.violations:
                raise AssertionError(check.violations[0])
        return len(rows) / (time.perf_counter() - begin)

    async def from_database() -> float:
        return await _check(database, tenant_id, total, thorough=False)

    async def from_database_thorough() -> float:
        return await _check(database, tenant_id, total, thorough=True)

    first = chains[0][1][0]
    if (
        hash_link(chains[0][0], first.seq, first.recorded_us, first.prev_hash, hash_body(first.body))
        != first.hash
    ):
        raise AssertionError("the first link does not verify")
    figures = await interleave({"hash": hash_only, "verify": verify, "from_database": from_database})
    thorough = await from_database_thorough()
    return {
        "verify_ratio": round(median_ratio(figures["verify"], figures["hash"]), 3),
        "verify_from_database_ratio": round(median_ratio(figures["from_database"], figures["hash"]), 3),
        "hash_events_per_s": round(statistics.median(figures["hash"])),
        "verify_events_per_s": round(statistics.median(figures["verify"])),
        "verify_from_database_events_per_s": round(statistics.median(figures["from_database"])),
        "verify_with_columns_events_per_s": round(thorough),
        "verified_events": total,
    }


async def database_count(database: Database, tenant_id: UUID) -> int:
    async with database.transaction(tenant_id) as tx:
        return int(await tx.driver.fetchval("SELECT count(*) FROM ledger_entries"))


async def _check(database: Database, tenant_id: UUID, total: int, *, thorough: bool) -> float:
    begin = time.perf_counter()
    verdict = await check_tenant(database, tenant_id, thorough=thorough)
    if not verdict.valid or verdict.events_verified != total:
        raise AssertionError(f"the ledger does not verify: {verdict}")
    return total / (time.perf_counter() - begin)


def main() -> int:
    with start_stores() as stores:
        return asyncio.run(compare(stores))


if __name__ == "__main__":
    sys.exit(main())
