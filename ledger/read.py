"""Reads entries back, their personal values opened where the key still exists.

Rows are read under the caller's role: with the app role a tenant sees its own chains only. What cannot be
opened says so (`[erased]`, `[damaged]`) instead of hiding the entry: reading is not verifying.
Must never be the basis of a proof: hash what `body` holds, not what was decoded from it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from config.database import Transaction
from ledger.chain import SYSTEM_TENANT
from ledger.entry import ACTOR_PATH, Body, Sealed
from ledger.personal import Damaged, SubjectKeys
from normalizer.canonical import Json
from normalizer.events import Actor, ResourceType, Source
from normalizer.vocabulary import LedgerType

DAMAGED = "[damaged]"
_COLUMNS = "seq, recorded_at, prev_hash, body_hash, hash, body"
_ABOUT = ("name", "email", "ip_address", "user_agent")
_decode_about = msgspec.json.Decoder(dict[str, str]).decode
_decode_body = msgspec.json.Decoder(Body).decode
_decode_facts = msgspec.json.Decoder(dict[str, Any]).decode  # Json is recursive: msgspec cannot read it


class ReadEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as people read it. `personal` maps paths to values; the actor's own stand in `actor`."""

    chain_id: str
    seq: int
    event_id: UUID
    event_type: LedgerType
    resource_type: ResourceType
    resource_id: str
    occurred_at: datetime
    recorded_at: datetime
    clock_suspect: bool
    actor: Actor
    source: Source
    facts: Mapping[str, Json]
    personal: Mapping[str, str]
    prev_hash: bytes
    body_hash: bytes
    hash: bytes


class Head(msgspec.Struct, frozen=True):
    """The last link of a chain."""

    tenant_id: UUID
    chain_id: str
    seq: int
    hash: bytes
    recorded_at: datetime


async def read_chain(
    tx: Transaction,
    subjects: SubjectKeys,
    tenant_id: UUID | None,
    chain_id: str,
    *,
    after: int = 0,
    limit: int = 100,
) -> tuple[ReadEntry, ...]:
    """Up to `limit` entries that follow `after`, in order; none for a chain that is not there or not yours.

    Raises Damaged for a body that is not what was written.
    """
    owner = SYSTEM_TENANT if tenant_id is None else tenant_id
    rows = await tx.driver.fetch(
        f"SELECT {_COLUMNS} FROM ledger_entries WHERE tenant_id = $1 AND chain_id = $2 AND seq > $3"
        " ORDER BY seq LIMIT $4",
        owner,
        chain_id,
        after,
        limit,
    )
    try:
        bodies = [_decode_body(row["body"]) for row in rows]
    except msgspec.MsgspecError as error:
        raise Damaged(f"an entry of {chain_id} cannot be read: {error}") from error
    values = await _open_all(tx, subjects, owner, bodies)
    return tuple(
        _entry(chain_id, row, body, personal)
        for row, body, personal in zip(rows, bodies, values, strict=True)
    )


async def read_head(tx: Transaction, tenant_id: UUID | None, chain_id: str) -> Head | None:
    row = await tx.driver.fetchrow(
        "SELECT tenant_id, chain_id, seq, hash, recorded_at FROM ledger_heads"
        " WHERE tenant_id = $1 AND chain_id = $2",
        SYSTEM_TENANT if tenant_id is None else tenant_id,
        chain_id,
    )
    return None if row is None else Head(*row)


async def _open_all(
    tx: Transaction, subjects: SubjectKeys, tenant_id: UUID, bodies: Sequence[Body]
) -> list[dict[str, str]]:
    listed = [(body.event_id, body.pii) for body in bodies]
    try:
        return await subjects.open(tx, tenant_id, listed)
    except Damaged:
        return [await _open_one_by_one(tx, subjects, tenant_id, *item) for item in listed]


async def _open_one_by_one(
    tx: Transaction, subjects: SubjectKeys, tenant_id: UUID, event_id: UUID, values: Sequence[Sealed]
) -> dict[str, str]:
    opened: dict[str, str] = {}
    for sealed in values:
        try:
            opened |= (await subjects.open(tx, tenant_id, [(event_id, [sealed])]))[0]
        except Damaged:
            opened[sealed.path] = DAMAGED
    return opened


def _entry(chain_id: str, row: asyncpg.Record, body: Body, personal: dict[str, str]) -> ReadEntry:
    about = personal.pop(ACTOR_PATH, "{}")
    known = _decode_about(about) if about.startswith("{") else dict.fromkeys(_ABOUT, about)
    actor = Actor(
        type=body.actor.type,
        id=body.actor.id or known.get("id", ""),
        credential_id=body.actor.credential_id,
        **{name: known.get(name, "") for name in _ABOUT},
    )
    return ReadEntry(
        chain_id=chain_id,
        seq=row["seq"],
        event_id=body.event_id,
        event_type=body.event_type,
        resource_type=body.resource.type,
        resource_id=body.resource.id,
        occurred_at=datetime.fromisoformat(body.occurred_at),
        recorded_at=row["recorded_at"],
        clock_suspect=body.clock_suspect,
        actor=actor,
        source=body.source,
        facts=_decode_facts(body.data),
        personal=personal,
        prev_hash=row["prev_hash"],
        body_hash=row["body_hash"],
        hash=row["hash"],
    )
