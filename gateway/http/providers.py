"""The administrators' API for where a tenant's envelopes go: providers, connections, routing, the provider switch."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import get, patch, post, put
from litestar.params import FromPath, JSONBody

from adapters.kit.port import CredentialField
from gateway.http import examples
from gateway.http.admin import ADMIN, tenant_of
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.examples import with_examples
from gateway.routing.policy import Condition, Policy
from gateway.tenants import connections, routing, switch
from normalizer.ids import Kind, print_id, print_optional_id, read_id


class ConnectionView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    provider: str
    label: str
    version: int
    webhook_url: str
    webhook_key_count: int
    max_document_bytes: int
    poll_interval_s: int
    receive_webhooks: bool
    active: bool
    created_at: datetime
    updated_at: datetime
    allowed_networks: tuple[str, ...]
    client_certificate_sha256: tuple[str, ...]
    client_certificate_subject: str


class ProviderView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    title: str
    credential_fields: tuple[CredentialField, ...]
    capabilities: dict[str, Any]


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    when: Condition
    connection_id: str


class PolicyView(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    default_connection_id: str | None
    rules: tuple[RuleView, ...]
    fallback: tuple[str, ...]


class SwitchView(msgspec.Struct, frozen=True, kw_only=True):
    """`in_flight`: envelopes that stay with the former connection, by status; they go on there."""

    id: str
    from_connection_id: str | None
    to_connection_id: str
    reason: str
    reverts: str | None
    created_at: datetime
    in_flight: dict[str, int]


@get("/providers", **ADMIN)
async def list_providers(services: TheServices) -> list[ProviderView]:
    """The providers that can be connected, what their credentials are and what they can do."""
    return [
        ProviderView(
            name=adapter.name,
            title=adapter.title,
            credential_fields=adapter.credential_fields,
            capabilities=msgspec.to_builtins(adapter.capabilities, str_keys=True),
        )
        for adapter in services.adapters.values()
    ]


@post(
    "/tenants/{tenant_id:str}/connections",
    status_code=201,
    **ADMIN,
    operation_class=with_examples(examples.CONNECTION),
)
async def create_connection(
    services: TheServices,
    caller: TheCaller,
    tenant_id: FromPath[str],
    data: JSONBody[connections.ConnectionInput],
) -> ConnectionView:
    """Connect a tenant's account at a provider."""
    return _connection(await connections.create_connection(services, caller, tenant_of(tenant_id), data))


@get("/tenants/{tenant_id:str}/connections", **ADMIN)
async def list_connections(services: TheServices, tenant_id: FromPath[str]) -> list[ConnectionView]:
    """A tenant's connections, without their secrets."""
    return [_connection(one) for one in await connections.list_connections(services, tenant_of(tenant_id))]


@patch("/tenants/{tenant_id:str}/connections/{connection_id:str}", **ADMIN)
async def change_connection(
    services: TheServices,
    caller: TheCaller,
    tenant_id: FromPath[str],
    connection_id: FromPath[str],
    data: JSONBody[connections.ConnectionChange],
) -> ConnectionView:
    """Change a connection: new credentials, rotated webhook keys, limits, who may post its webhooks."""
    own = read_id(Kind.CONNECTION, connection_id)
    return _connection(await connections.change_connection(services, caller, tenant_of(tenant_id), own, data))


@post("/tenants/{tenant_id:str}/connections/{connection_id:str}/check", status_code=200, **ADMIN)
async def check_connection(
    services: TheServices, tenant_id: FromPath[str], connection_id: FromPath[str]
) -> connections.ConnectionHealth:
    """Ask the provider whether the credentials work."""
    own = read_id(Kind.CONNECTION, connection_id)
    return await connections.check_connection(services, tenant_of(tenant_id), own)


@get("/tenants/{tenant_id:str}/routing", **ADMIN)
async def read_routing(services: TheServices, tenant_id: FromPath[str]) -> PolicyView:
    """A tenant's routing policy."""
    return _policy(await routing.read_policy(services, tenant_of(tenant_id)))


@put("/tenants/{tenant_id:str}/routing", **ADMIN)
async def set_routing(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], data: JSONBody[routing.PolicyInput]
) -> PolicyView:
    """Set the routing policy; `version` is the one that was read."""
    return _policy(await routing.set_policy(services, caller, tenant_of(tenant_id), data))


@post(
    "/tenants/{tenant_id:str}/provider-switches",
    status_code=201,
    **ADMIN,
    operation_class=with_examples(examples.SWITCH),
)
async def switch_provider(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], data: JSONBody[switch.SwitchInput]
) -> SwitchView:
    """Send new envelopes through another connection; envelopes in flight stay where they are."""
    return _switch(await switch.switch_provider(services, caller, tenant_of(tenant_id), data))


@get("/tenants/{tenant_id:str}/provider-switches", **ADMIN)
async def list_switches(services: TheServices, tenant_id: FromPath[str]) -> list[SwitchView]:
    """A tenant's switches, the newest first."""
    return [_switch(one) for one in await switch.list_switches(services, tenant_of(tenant_id))]


@post("/tenants/{tenant_id:str}/provider-switches/{switch_id:str}/revert", status_code=201, **ADMIN)
async def revert_switch(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], switch_id: FromPath[str]
) -> SwitchView:
    """Put the policy from before a switch back."""
    own = read_id(Kind.SWITCH, switch_id)
    return _switch(await switch.revert_switch(services, caller, tenant_of(tenant_id), own))


def _connection(facts: connections.ConnectionFacts) -> ConnectionView:
    return msgspec.convert(
        {**msgspec.structs.asdict(facts), "id": print_id(Kind.CONNECTION, facts.id)}, ConnectionView
    )


def _policy(policy: Policy) -> PolicyView:
    return PolicyView(
        version=policy.version,
        default_connection_id=print_optional_id(Kind.CONNECTION, policy.default_connection_id),
        rules=tuple(
            RuleView(
                name=rule.name, when=rule.when, connection_id=print_id(Kind.CONNECTION, rule.connection_id)
            )
            for rule in policy.rules
        ),
        fallback=tuple(print_id(Kind.CONNECTION, one) for one in policy.fallback),
    )


def _switch(one: switch.Switch) -> SwitchView:
    return SwitchView(
        id=print_id(Kind.SWITCH, one.id),
        from_connection_id=print_optional_id(Kind.CONNECTION, one.from_connection_id),
        to_connection_id=print_id(Kind.CONNECTION, one.to_connection_id),
        reason=one.reason,
        reverts=print_optional_id(Kind.SWITCH, one.reverts),
        created_at=one.created_at,
        in_flight=one.in_flight,
    )
