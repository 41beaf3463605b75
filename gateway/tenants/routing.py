"""Reads and sets a tenant's routing policy. Optimistic: a change names the version that it was made from."""

from uuid import UUID

import msgspec

from config.database import Transaction
from gateway.routing.policy import Condition, Policy, Routing, Rule
from gateway.services import Caller, Services
from gateway.tenants.facts import tenant_event
from normalizer.errors import Conflict, Finding, ValidationFailed
from normalizer.events import ResourceType
from normalizer.ids import Kind, print_id, read_id
from normalizer.vocabulary import LedgerType

_routing_decoder = msgspec.json.Decoder(Routing)


class RuleInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    when: Condition
    connection_id: str


class PolicyInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`version`: the one that was read; 0 when there was no policy yet."""

    version: int
    default_connection_id: str | None = None
    rules: tuple[RuleInput, ...] = ()
    fallback: tuple[str, ...] = ()


async def read_policy(services: Services, tenant_id: UUID) -> Policy:
    routing = _routing_decoder.decode(await services.hub.fetchval("SELECT load_routing($1)", tenant_id))
    return routing.policy or Policy()


async def set_policy(services: Services, caller: Caller, tenant_id: UUID, given: PolicyInput) -> Policy:
    """Raises ValidationFailed for a connection that is not the tenant's, Conflict for an old version."""
    policy = Policy(
        version=given.version,
        default_connection_id=_connection(given.default_connection_id),
        rules=tuple(
            Rule(name=rule.name, when=rule.when, connection_id=read_id(Kind.CONNECTION, rule.connection_id))
            for rule in given.rules
        ),
        fallback=tuple(read_id(Kind.CONNECTION, one) for one in given.fallback),
    )
    async with services.hub.transaction() as tx:
        await check_connections(tx, tenant_id, policy)
        await write_policy(tx, tenant_id, policy)
        event = tenant_event(
            services,
            caller,
            LedgerType.ROUTING_CHANGED,
            tenant_id,
            ResourceType.TENANT,
            print_id(Kind.TENANT, tenant_id),
            {"version": given.version + 1, "rules": tuple(rule.name for rule in given.rules)},
        )
        await services.recorder.record(tx, [event])
        await tx.commit()
    return await read_policy(services, tenant_id)


async def lock_policy(tx: Transaction, tenant_id: UUID) -> Policy:
    """The policy, which nobody else changes until this transaction ends."""
    await tx.driver.execute(
        "INSERT INTO routing_policies (tenant_id, version) VALUES ($1, 0) ON CONFLICT DO NOTHING", tenant_id
    )
    await tx.driver.execute("SELECT 1 FROM routing_policies WHERE tenant_id = $1 FOR UPDATE", tenant_id)
    routing = _routing_decoder.decode(await tx.driver.fetchval("SELECT load_routing($1)", tenant_id))
    return routing.policy or Policy()


async def write_policy(tx: Transaction, tenant_id: UUID, policy: Policy) -> None:
    """Raises Conflict unless `policy.version` is the stored one; the version counts up."""
    written = await tx.driver.fetchval(
        "INSERT INTO routing_policies AS p (tenant_id, version, default_connection_id, rules, fallback)"
        " VALUES ($1, $2 + 1, $3, $4::jsonb, $5)"
        " ON CONFLICT (tenant_id) DO UPDATE SET version = p.version + 1, rules = EXCLUDED.rules,"
        " default_connection_id = EXCLUDED.default_connection_id, fallback = EXCLUDED.fallback,"
        " updated_at = clock_timestamp() WHERE p.version = $2 RETURNING version",
        tenant_id,
        policy.version,
        policy.default_connection_id,
        msgspec.json.encode(policy.rules).decode(),
        list(policy.fallback),
    )
    if written is None:
        raise Conflict(
            "The routing policy was changed by somebody else.", remedy="Read it again and repeat your change."
        )


async def check_connections(tx: Transaction, tenant_id: UUID, policy: Policy) -> None:
    """Raises ValidationFailed for a connection that is not an active one of this tenant."""
    named = {rule.connection_id for rule in policy.rules} | set(policy.fallback)
    if policy.default_connection_id is not None:
        named.add(policy.default_connection_id)
    rows = await tx.driver.fetch(
        "SELECT id FROM connections WHERE tenant_id = $1 AND active AND id = ANY($2)", tenant_id, list(named)
    )
    unknown = named - {row["id"] for row in rows}
    if unknown:
        raise ValidationFailed(
            "A connection is not an active one of this tenant.",
            tuple(Finding("/", print_id(Kind.CONNECTION, one)) for one in sorted(unknown)),
        )


def _connection(printed: str | None) -> UUID | None:
    return read_id(Kind.CONNECTION, printed) if printed else None
