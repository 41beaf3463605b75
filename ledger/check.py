"""Verifies chains where they are stored: hashes, order, time, columns against bodies, and heads against ends.

Everything is read in one snapshot, so appends may go on meanwhile. A chain by itself shows that one entry was
edited, removed from the middle, moved or inserted. It does NOT show that somebody with full access to the
database wrote the rest of a chain anew, cut its end or removed all of it: compare the head with one that was
kept elsewhere (`Head`), which is what webhooks and exports carry it for.
Must never stop at the first violation, and must never write.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from config.database import Database, Transaction
from ledger.chain import SYSTEM_TENANT, ChainCheck, Link, Verdict, Violation
from ledger.columns import Columns, compare_columns
from ledger.stream import StreamCheck

_ROW = (
    "tenant_id, chain_id, seq, v, event_id, event_type, resource_type, resource_id, occurred_at, recorded_at,"
    " prev_hash, body_hash, hash, body"
)
_STREAM = (
    "SELECT seq, recorded_at, prev_hash, body_hash, hash, chain_id, body FROM ledger_entries"
    " WHERE tenant_id = $1 ORDER BY tenant_id, chain_id, seq"
)
_WRONG_HEADS = """
    SELECT chain_id, h.seq AS head_seq, h.hash AS head_hash, e.seq, e.hash
    FROM (SELECT * FROM ledger_heads WHERE tenant_id = $1) h
    FULL JOIN (SELECT DISTINCT ON (chain_id) chain_id, seq, recorded_at, hash FROM ledger_entries
               WHERE tenant_id = $1 ORDER BY chain_id, seq DESC) e USING (chain_id)
    WHERE (h.seq, h.recorded_at, h.hash) IS DISTINCT FROM (e.seq, e.recorded_at, e.hash)
    ORDER BY chain_id
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_STREAM_TIMEOUT_S = 24 * 3600.0


async def check_chain(database: Database, tenant_id: UUID | None, chain_id: str) -> Verdict:
    """Valid with no events for a chain that does not exist, as nothing contradicts it."""
    async with _snapshot(database, tenant_id) as tx:
        return await _check_chain(tx, tenant_id or SYSTEM_TENANT, chain_id)


async def check_tenant(database: Database, tenant_id: UUID | None, *, thorough: bool = True) -> Verdict:
    """All chains of a tenant (None: the system's). Without `thorough` the columns that repeat the body are
    not compared with it, which is several times faster; the hashes are checked all the same.
    """
    owner = tenant_id or SYSTEM_TENANT
    async with _snapshot(database, tenant_id) as tx:
        if thorough:
            verified, violations = await _check_rows(tx, owner)
        else:
            verified, violations = await _check_stream(tx, owner)
        for row in await tx.driver.fetch(_WRONG_HEADS, owner):
            violations.append(_wrong_head(row))
    return Verdict(not violations, verified, tuple(violations))


async def check_everything(hub: Database, *, thorough: bool = True) -> Verdict:
    """Every tenant's chains and the system's; needs the hub role."""
    tenants = await hub.fetch(
        "SELECT tenant_id FROM ledger_heads UNION SELECT tenant_id FROM ledger_entries ORDER BY tenant_id"
    )
    verdicts = [await check_tenant(hub, row["tenant_id"], thorough=thorough) for row in tenants]
    violations = tuple(violation for verdict in verdicts for violation in verdict.violations)
    return Verdict(not violations, sum(verdict.events_verified for verdict in verdicts), violations)


@asynccontextmanager
async def _snapshot(database: Database, tenant_id: UUID | None) -> AsyncIterator[Transaction]:
    async with database.transaction(tenant_id or SYSTEM_TENANT) as tx:
        await tx.driver.execute(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = 0"
        )
        yield tx


async def _check_chain(tx: Transaction, tenant_id: UUID, chain_id: str) -> Verdict:
    check = ChainCheck(tenant_id, chain_id)
    sql = f"SELECT {_ROW} FROM ledger_entries WHERE tenant_id = $1 AND chain_id = $2 ORDER BY seq"
    async for row in tx.driver.cursor(sql, tenant_id, chain_id, prefetch=500):
        _check_row(check, row)
    head = await tx.driver.fetchrow(
        "SELECT seq, recorded_at, hash FROM ledger_heads WHERE tenant_id = $1 AND chain_id = $2",
        tenant_id,
        chain_id,
    )
    if head is not None:
        check.check_head(head["seq"], _microseconds(head["recorded_at"]), head["hash"])
    elif check.verified:
        check.add("", "head_missing", f"seq {check.seq}", "no head")
    return check.verdict()


async def _check_rows(tx: Transaction, tenant_id: UUID) -> tuple[int, list[Violation]]:
    verified = 0
    violations: list[Violation] = []
    check: ChainCheck | None = None
    sql = f"SELECT {_ROW} FROM ledger_entries WHERE tenant_id = $1 ORDER BY chain_id, seq"
    async for row in tx.driver.cursor(sql, tenant_id, prefetch=500):
        if check is None or row["chain_id"] != check.chain_id:
            if check is not None:
                verified += check.verified
                violations += check.violations
            check = ChainCheck(tenant_id, row["chain_id"])
        _check_row(check, row)
    if check is not None:
        verified += check.verified
        violations += check.violations
    return verified, violations


def _check_row(check: ChainCheck, row: asyncpg.Record) -> None:
    event_id = str(row["event_id"])
    link = Link(
        row["seq"],
        _microseconds(row["recorded_at"]),
        row["prev_hash"],
        row["body_hash"],
        row["hash"],
        row["body"],
    )
    check.feed((link,), lambda _: event_id)
    columns = Columns(
        row["v"],
        row["tenant_id"],
        row["event_id"],
        row["event_type"],
        row["resource_type"],
        row["resource_id"],
        row["occurred_at"],
    )
    check.violations += compare_columns(columns, row["body"])


async def _check_stream(tx: Transaction, tenant_id: UUID) -> tuple[int, list[Violation]]:
    """Hashes the rows as they stream by; only a chain with something wrong is read a second time."""
    stream = StreamCheck(tenant_id)
    await tx.driver.copy_from_query(
        _STREAM, tenant_id, output=stream.feed, format="binary", timeout=_STREAM_TIMEOUT_S
    )
    stream.finish()
    if not stream.is_readable:
        return await _check_rows(tx, tenant_id)
    violations: list[Violation] = []
    for chain_id in stream.suspects:
        verdict = await _check_chain(tx, tenant_id, chain_id)
        violations += [found for found in verdict.violations if not found.issue.startswith("head_")]
    return stream.verified, violations


def _wrong_head(row: asyncpg.Record) -> Violation:
    issue = "head_missing" if row["head_seq"] is None else "head_mismatch"
    return Violation(
        "",
        issue,
        f"{row['chain_id']} {_spell(row['seq'], row['hash'])}",
        f"{row['chain_id']} {_spell(row['head_seq'], row['head_hash'])}",
    )


def _spell(seq: int | None, hash_: bytes | None) -> str:
    return "nothing" if seq is None or hash_ is None else f"{seq} {hash_.hex()}"


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
