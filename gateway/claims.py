"""A claimed idempotency key as a use case sees it: how far an earlier owner came, and how far we are.

Must never let an owner write whose claim somebody else has taken over: its work would be done twice.
"""

from uuid import UUID

import msgspec

from config.database import Transaction
from normalizer.errors import IdempotencyConflict


class Claim(msgspec.Struct, kw_only=True):
    """`principal`, `route` and `key` name the row. `resource_id` is set when an earlier owner got as far as
    creating; `resumed` when there was one.
    """

    id: UUID
    principal: UUID
    route: str
    key: str
    token: UUID
    resource_id: UUID | None
    advanced: bool
    resumed: bool


async def advance_claim(tx: Transaction, claim: Claim | None, tenant_id: UUID, resource_id: UUID) -> None:
    """In the transaction that creates the resource: whoever takes the key over goes on from there.

    Raises IdempotencyConflict when that has happened already; the caller's transaction must not commit then.
    """
    if claim is None:
        return
    await mark_done(tx, claim, tenant_id, resource_id)
    note_advance(tx, claim)


async def mark_done(tx: Transaction, claim: Claim, tenant_id: UUID, resource_id: UUID) -> None:
    """In the transaction that is the whole work: its answer is stored, and whoever takes the key over before that
    finds by `done_by` that nothing is left to do. Raises IdempotencyConflict as `advance_claim`.
    """
    is_ours = await tx.driver.fetchval(
        "SELECT advance_idempotency_key($1, $2, $3, $4, $5, $6)",
        tenant_id,
        claim.principal,
        claim.route,
        claim.key,
        claim.token,
        resource_id,
    )
    if not is_ours:
        raise claim_lost()


def done_by(claim: Claim | None) -> UUID | None:
    """What an earlier owner did with `mark_done`, and did not live to answer. The answer to it is final: it is kept."""
    if claim is None or claim.resource_id is None:
        return None
    claim.advanced = False
    return claim.resource_id


def note_advance(tx: Transaction, claim: Claim) -> None:
    """Once the transaction is durable, an answer of ours must no longer set the key free."""

    async def advanced() -> None:
        claim.advanced = True

    tx.on_commit(advanced)


def claim_lost() -> IdempotencyConflict:
    return IdempotencyConflict("Another request with this key has taken the work over.", reused=False)
