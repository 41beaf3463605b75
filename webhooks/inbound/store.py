"""The inbox's statements for workers: claim, renew, finish, release. Rows become structs here.

Every write names its claim (fencing): a worker that lost its lease changes nothing.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from config.database import Database, Transaction
from webhooks.inbound.message import ClaimedMessage, Settled, Verification

_FINISH = "SELECT finish_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
_SEEN = (
    "SELECT f.tenant_id, f.connection_id, f.dedupe_key FROM inbox_facts f"
    " JOIN unnest($1::uuid[], $2::uuid[], $3::bytea[]) AS t(tenant, connection, key)"
    " ON f.tenant_id = t.tenant AND f.connection_id = t.connection AND f.dedupe_key = t.key"
)
_verdict = msgspec.json.Decoder(Verification)
Fact = tuple[UUID, UUID, bytes]


async def claim_messages(
    hub: Database, claim: UUID, *, most: int, most_bytes: int, lease_s: float, batches: int
) -> list[ClaimedMessage]:
    """Due messages, leased; empty when there are none or when enough batches are under way."""
    rows = await hub.fetch(
        "SELECT * FROM claim_messages($1, $2, $3, $4, $5)", claim, most, most_bytes, lease_s, batches
    )
    claimed = [
        msgspec.convert({**row, "verdict": _verdict.decode(row["verdict"])}, ClaimedMessage) for row in rows
    ]
    return sorted(claimed, key=lambda message: (message.received_at, message.id))


async def finish_messages(store: Database | Transaction, claim: UUID, settled: Sequence[Settled]) -> int:
    """How many moved; fewer than given when the lease was lost in between. Moving says that the ledger knows of
    them: the caller records, in the same transaction, those that it does not know yet.
    """
    connection = store.driver if isinstance(store, Transaction) else store
    moved: int = await connection.fetchval(
        _FINISH,
        claim,
        [one.message.id for one in settled],
        [str(one.state) for one in settled],
        [one.delay_s for one in settled],
        [one.failures for one in settled],
        [one.waits for one in settled],
        [one.error for one in settled],
        [one.provider_ref for one in settled],
        [one.provider_event for one in settled],
        [one.events for one in settled],
        [one.effects for one in settled],
        [one.envelope_id for one in settled],
        [msgspec.json.encode(one.findings).decode() for one in settled],
    )
    return moved


async def renew_claim(hub: Database, claim: UUID, lease_s: float) -> bool:
    """False: nothing is held under this claim any more."""
    renewed: int = await hub.fetchval("SELECT renew_claim($1, $2)", claim, lease_s)
    return renewed > 0


async def release_claim(hub: Database, claim: UUID) -> None:
    await hub.execute("SELECT release_claim($1)", claim)


async def known_facts(hub: Database, facts: Sequence[Fact]) -> set[Fact]:
    """Those that had their effect already: they need not be confirmed at the provider again."""
    if not facts:
        return set()
    columns = list(zip(*facts, strict=True))
    rows = await hub.fetch(_SEEN, *(list(column) for column in columns))
    return {(row["tenant_id"], row["connection_id"], row["dedupe_key"]) for row in rows}


async def claim_fact(tx: Transaction, fact: Fact, message_id: UUID) -> bool:
    """Writes the fact in the transaction of its effect; False when it is there already."""
    tenant_id, connection_id, key = fact
    written = await tx.driver.fetchval(
        "INSERT INTO inbox_facts (tenant_id, connection_id, dedupe_key, message_id) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING RETURNING true",
        tenant_id,
        connection_id,
        key,
        message_id,
    )
    return written is True


async def wake_parked(hub: Database, most: int = 500) -> int:
    """Parked messages whose envelope is known by now become due; how many."""
    woken: int = await hub.fetchval("SELECT wake_parked($1)", most)
    return woken


async def reap_messages(hub: Database, page: int, kept_days: int) -> int:
    """Removes a page of messages that ended long ago; the ledger keeps their digests. How many went."""
    gone: int = await hub.fetchval("SELECT reap_messages($1, $2)", page, kept_days)
    return gone
