"""Writes chains as JSON lines for the stand-alone verifier: exact bodies, links, columns, and the head last.

One line per entry, one per head; docs/ledger-format.md describes them. Personal data stays sealed.
Must never reformat a body: it is carried as the text that was hashed, in base64 when it is not even text.
"""

import base64
from collections.abc import AsyncIterator
from datetime import UTC
from uuid import UUID

import asyncpg
import msgspec

from config.database import Transaction
from ledger.chain import SYSTEM_TENANT
from ledger.entry import format_time
from ledger.read import Head, read_head
from normalizer.canonical import Json

_encode = msgspec.json.Encoder(order="sorted").encode


async def export_chain(tx: Transaction, tenant_id: UUID | None, chain_id: str) -> AsyncIterator[bytes]:
    """The chain's lines, each ending in a newline; none for a chain that is not there or not yours.

    Entries that are appended meanwhile are left out: the head that is read first says where to stop.
    """
    owner = tenant_id or SYSTEM_TENANT
    head = await read_head(tx, tenant_id, chain_id)
    if head is None:
        return
    rows = tx.driver.cursor(
        "SELECT * FROM ledger_entries WHERE tenant_id = $1 AND chain_id = $2 AND seq <= $3 ORDER BY seq",
        owner,
        chain_id,
        head.seq,
        prefetch=200,
    )
    async for row in rows:
        yield _encode(entry_line(row)) + b"\n"
    yield _encode(head_line(head)) + b"\n"


def entry_line(row: asyncpg.Record) -> dict[str, Json]:
    body = bytes(row["body"])
    try:
        carried: dict[str, Json] = {"body": body.decode()}
    except UnicodeDecodeError:
        carried = {"body_base64": base64.b64encode(body).decode()}
    return {
        "kind": "entry",
        "v": row["v"],
        "tenant_id": str(row["tenant_id"]),
        "chain_id": row["chain_id"],
        "seq": row["seq"],
        "recorded_at": format_time(row["recorded_at"].astimezone(UTC)),
        "prev_hash": row["prev_hash"].hex(),
        "body_hash": row["body_hash"].hex(),
        "hash": row["hash"].hex(),
        "columns": {
            "event_id": str(row["event_id"]),
            "event_type": row["event_type"],
            "resource_type": row["resource_type"],
            "resource_id": row["resource_id"],
            "occurred_at": format_time(row["occurred_at"]),
        },
        **carried,
    }


def head_line(head: Head) -> dict[str, Json]:
    return {
        "kind": "head",
        "tenant_id": str(head.tenant_id),
        "chain_id": head.chain_id,
        "seq": head.seq,
        "hash": head.hash.hex(),
        "recorded_at": format_time(head.recorded_at),
    }
