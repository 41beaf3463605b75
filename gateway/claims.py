"""A claimed idempotency key as a use case sees it: how far an earlier owner came, and how far we are."""

from uuid import UUID

import msgspec

from config.database import Transaction


class Claim(msgspec.Struct):
    """`resource_id` is set when an earlier owner got as far as creating; `resumed` when there was one."""

    id: UUID
    token: UUID
    resource_id: UUID | None
    advanced: bool
    resumed: bool


async def advance_claim(tx: Transaction, claim: Claim | None, tenant_id: UUID, resource_id: UUID) -> None:
    """In the transaction that creates the resource: whoever takes the key over goes on from there."""
    if claim is None:
        return
    await tx.driver.execute(
        "SELECT advance_idempotency_key($1, $2, $3, $4)", tenant_id, claim.id, claim.token, resource_id
    )

    async def advanced() -> None:
        claim.advanced = True

    tx.on_commit(advanced)
