"""Switches a tenant to another provider, and back.

New envelopes go to the new connection from the commit on. Envelopes in flight stay pinned to theirs, whose
connection stays open: they are read, voided, signed and completed there. Nothing is moved, so nothing is lost.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from config.database import Transaction
from gateway.routing.policy import Policy
from gateway.services import Caller, Services
from gateway.tenants.facts import tenant_event
from gateway.tenants.routing import check_connections, lock_policy, write_policy
from normalizer.canonical import Json
from normalizer.errors import Conflict, Finding, NotFound, ValidationFailed
from normalizer.events import Personal, ResourceType
from normalizer.ids import Kind, print_id, read_id
from normalizer.status import TERMINAL, EnvelopeStatus
from normalizer.vocabulary import LedgerType


class SwitchInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`from_connection_id` empty: the tenant's default. Rules and fallback that name it are switched too."""

    to_connection_id: str
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    from_connection_id: str = ""


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """`in_flight`: envelopes that stay with the former connection, by status."""

    id: UUID
    from_connection_id: UUID | None
    to_connection_id: UUID
    reason: str
    reverts: UUID | None
    created_at: datetime
    in_flight: dict[str, int]


async def switch_provider(services: Services, caller: Caller, tenant_id: UUID, given: SwitchInput) -> Switch:
    """Raises ValidationFailed for a connection that is not the tenant's or is the present one already."""
    target = read_id(Kind.CONNECTION, given.to_connection_id)
    async with services.hub.transaction() as tx:
        before = await lock_policy(tx, tenant_id)
        former = (
            read_id(Kind.CONNECTION, given.from_connection_id)
            if given.from_connection_id
            else before.default_connection_id or await _only_other(tx, tenant_id, target)
        )
        if former == target:
            raise ValidationFailed(
                "The tenant sends with this connection already.",
                (Finding("/to_connection_id", "Choose another connection."),),
            )
        after = _switched(before, former, target)
        await check_connections(tx, tenant_id, after)
        switch = await _write(
            services, tx, caller, tenant_id, before, after, former, target, given.reason, None
        )
        await tx.commit()
    return switch


async def revert_switch(services: Services, caller: Caller, tenant_id: UUID, switch_id: UUID) -> Switch:
    """Puts back the policy from before the switch. Raises NotFound; Conflict when it was reverted already,
    or when the policy was changed since.
    """
    async with services.hub.transaction() as tx:
        now = await lock_policy(tx, tenant_id)
        row = await tx.driver.fetchrow(
            "SELECT from_connection_id, to_connection_id, policy_before, EXISTS (SELECT 1 FROM provider_switches r"
            " WHERE r.tenant_id = s.tenant_id AND r.reverts = s.id) AS reverted"
            " FROM provider_switches s WHERE tenant_id = $1 AND id = $2",
            tenant_id,
            switch_id,
        )
        if row is None:
            raise NotFound("switch", print_id(Kind.SWITCH, switch_id))
        if row["reverted"]:
            raise Conflict("This switch was reverted already.")
        before = msgspec.json.decode(row["policy_before"], type=Policy)
        if now.version != before.version + 1:
            raise Conflict(
                "The routing policy was changed after the switch.",
                remedy="Switch to the former connection instead.",
            )
        restored = msgspec.structs.replace(before, version=now.version)
        await check_connections(tx, tenant_id, restored)
        switch = await _write(
            services,
            tx,
            caller,
            tenant_id,
            now,
            restored,
            row["to_connection_id"],
            row["from_connection_id"] or row["to_connection_id"],
            "reverted",
            switch_id,
        )
        await tx.commit()
    return switch


async def list_switches(services: Services, tenant_id: UUID) -> list[Switch]:
    """The newest first, with what is still in flight at the connection that was left."""
    rows = await services.hub.fetch(
        "SELECT id, from_connection_id, to_connection_id, reason, reverts, created_at FROM provider_switches"
        " WHERE tenant_id = $1 ORDER BY id DESC LIMIT 100",
        tenant_id,
    )
    async with services.hub.transaction() as tx:
        return [
            msgspec.convert(
                {**dict(row), "in_flight": await _in_flight(tx, tenant_id, row["from_connection_id"])}, Switch
            )
            for row in rows
        ]


def _switched(policy: Policy, former: UUID | None, target: UUID) -> Policy:
    def swap(connection_id: UUID) -> UUID:
        return target if connection_id == former else connection_id

    return msgspec.structs.replace(
        policy,
        default_connection_id=target
        if policy.default_connection_id in {None, former}
        else policy.default_connection_id,
        rules=tuple(
            msgspec.structs.replace(rule, connection_id=swap(rule.connection_id)) for rule in policy.rules
        ),
        fallback=tuple(one for one in dict.fromkeys(map(swap, policy.fallback)) if one != target),
    )


async def _write(
    services: Services,
    tx: Transaction,
    caller: Caller,
    tenant_id: UUID,
    before: Policy,
    after: Policy,
    former: UUID | None,
    target: UUID,
    reason: str,
    reverts: UUID | None,
) -> Switch:
    switch_id = services.ids.new()
    await write_policy(tx, tenant_id, after)
    row = await tx.driver.fetchrow(
        "INSERT INTO provider_switches (tenant_id, id, from_connection_id, to_connection_id, policy_before, reason,"
        " actor_id, reverts) VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7, $8)"
        " RETURNING id, from_connection_id, to_connection_id, reason, reverts, created_at",
        tenant_id,
        switch_id,
        former,
        target,
        msgspec.json.encode(before).decode(),
        reason,
        caller.actor.id,
        reverts,
    )
    in_flight = await _in_flight(tx, tenant_id, former)
    facts: dict[str, Json] = {
        "from": print_id(Kind.CONNECTION, former) if former else "",
        "to": print_id(Kind.CONNECTION, target),
        "in_flight": sum(in_flight.values()),
        "reverts": print_id(Kind.SWITCH, reverts) if reverts else "",
    }
    # Free text that people write names people: it is sealed under the key of whoever wrote it.
    subject = caller.actor.email.lower() or f"{caller.actor.type}:{caller.actor.id}"
    event = tenant_event(
        services,
        caller,
        LedgerType.PROVIDER_SWITCHED,
        tenant_id,
        ResourceType.TENANT,
        print_id(Kind.TENANT, tenant_id),
        facts,
        (Personal("reason", subject, reason),),
    )
    await services.recorder.record(tx, [event])
    return msgspec.convert({**dict(row or {}), "in_flight": in_flight}, Switch)


async def _in_flight(tx: Transaction, tenant_id: UUID, connection_id: UUID | None) -> dict[str, int]:
    settled = [str(status) for status in (*TERMINAL, EnvelopeStatus.DRAFT)]
    rows = await tx.driver.fetch(
        "SELECT status, count(*) AS number FROM envelopes WHERE tenant_id = $1 AND connection_id = $2"
        " AND status <> ALL($3) GROUP BY status",
        tenant_id,
        connection_id,
        settled,
    )
    return {row["status"]: row["number"] for row in rows}


async def _only_other(tx: Transaction, tenant_id: UUID, target: UUID) -> UUID | None:
    """Without a default the tenant's only connection was used: that is what is switched from."""
    rows = await tx.driver.fetch(
        "SELECT id FROM connections WHERE tenant_id = $1 AND active AND id <> $2", tenant_id, target
    )
    return rows[0]["id"] if len(rows) == 1 else None
