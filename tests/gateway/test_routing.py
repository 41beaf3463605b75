"""Choosing a provider: rules, first match, default, fallback, capabilities; the decision is stored."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from gateway.routing.policy import (
    Condition,
    ConnectionSummary,
    EnvelopeFacts,
    Policy,
    Routing,
    Rule,
    choose_candidates,
)
from gateway.tenants.routing import RuleInput
from normalizer.errors import ValidationFailed
from normalizer.ids import Kind, print_id
from normalizer.recipient import AuthenticationLevel
from tests.gateway.bodies import envelope, field, signer
from tests.gateway.world import ADMIN, Tenant, World

A, B, C = (UUID(int=number) for number in (1, 2, 3))
FACTS = EnvelopeFacts(
    document_type="nda",
    signer_countries=frozenset({"DE", "FR"}),
    authentication_level=AuthenticationLevel.SMS,
    total_bytes=1000,
)


def connections(*ids: UUID, inactive: tuple[UUID, ...] = ()) -> tuple[ConnectionSummary, ...]:
    return tuple(
        ConnectionSummary(
            id=one,
            provider=f"p{one.int}",
            label="",
            version=1,
            max_document_bytes=0,
            active=one not in inactive,
        )
        for one in ids
    )


def chosen(
    policy: Policy | None, *ids: UUID, provider: str = "", inactive: tuple[UUID, ...] = ()
) -> list[tuple[int, str]]:
    routing = Routing(policy=policy, connections=connections(*ids, inactive=inactive))
    return [(one.connection.id.int, one.because) for one in choose_candidates(routing, FACTS, provider)]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({}, True),
        ({"document_types": ("nda", "lease")}, True),
        ({"document_types": ("lease",)}, False),
        ({"signer_countries": ("FR",)}, True),
        ({"signer_countries": ("US",)}, False),
        ({"authentication_levels": (AuthenticationLevel.SMS,)}, True),
        ({"authentication_levels": (AuthenticationLevel.EMAIL,)}, False),
        ({"min_bytes": 1000, "max_bytes": 1000}, True),
        ({"min_bytes": 1001}, False),
        ({"max_bytes": 999}, False),
        ({"document_types": ("nda",), "signer_countries": ("US",)}, False),
    ],
)
def test_each_part_of_a_condition_must_hold(condition: dict[str, Any], holds: bool) -> None:
    policy = Policy(
        default_connection_id=A, rules=(Rule(name="r", when=Condition(**condition), connection_id=B),)
    )
    assert chosen(policy, A, B) == ([(2, "rule r")] if holds else [(1, "default")])


def test_the_first_rule_that_matches_counts() -> None:
    rules = tuple(Rule(name=name, when=Condition(), connection_id=one) for name, one in (("x", B), ("y", C)))
    assert chosen(Policy(default_connection_id=A, rules=rules), A, B, C) == [(2, "rule x")]


def test_fallback_follows_in_order_and_names_nobody_twice_or_switched_off() -> None:
    policy = Policy(default_connection_id=A, fallback=(A, C, B))
    assert chosen(policy, A, B, C, inactive=(C,)) == [(1, "default"), (2, "fallback 3")]
    assert chosen(policy, A, B, inactive=(A,)) == [(2, "fallback 3")]


def test_without_a_policy_the_only_connection_or_the_default_provider_is_taken() -> None:
    assert chosen(None, A) == [(1, "only connection")]
    assert chosen(None, A, B, provider="p2") == [(2, "default provider")]
    assert chosen(Policy(fallback=(C,)), A, B, C, provider="p2") == [
        (2, "default provider"),
        (3, "fallback 1"),
    ]
    assert chosen(Policy(default_connection_id=A), A, B, provider="p2") == [(1, "default")]


@pytest.mark.parametrize("ids", [(), (A, B)])
def test_with_nothing_to_choose_the_envelope_is_refused(ids: tuple[UUID, ...]) -> None:
    with pytest.raises(ValidationFailed) as refused:
        chosen(None, *ids, provider="p9")
    assert refused.value.code == "no_connection"


async def test_a_rule_decides_and_the_decision_is_kept_with_its_reason(world: World) -> None:
    tenant = await world.tenant()
    first, second = await tenant.connect("alpha"), await tenant.connect("beta")
    rule = RuleInput(
        name="leases",
        when=Condition(document_types=("lease",)),
        connection_id=print_id(Kind.CONNECTION, second),
    )
    await tenant.route(first, rules=[rule])
    lease = await tenant.made(envelope(send=True, document_type="lease"))
    other = await tenant.made(envelope(send=True))
    assert (lease["provider"], lease["routing"]["because"]) == ("beta", "rule leases")
    assert (other["provider"], other["routing"]["because"]) == ("alpha", "default")
    trail = (await tenant.get(f"/envelopes/{lease['id']}/audit-trail")).json()
    routed = next(one for one in trail["entries"] if one["event_type"] == "envelope_routed")
    assert (routed["details"]["because"], routed["details"]["attempt"]) == ("rule leases", 1)


async def test_a_provider_that_cannot_is_skipped_and_named(world: World) -> None:
    tenant = await world.tenant()
    first, second = await tenant.connect("alpha"), await tenant.connect("beta")
    await tenant.route(first, fallback=[second])
    fake = world.fake("alpha")
    fake.capabilities = msgspec.structs.replace(fake.capabilities, embedded_signing=False)
    made = await tenant.made(envelope(send=True, recipients=[signer(embedded=True)]))
    assert made["provider"] == "beta"
    assert made["routing"]["skipped"] == [
        {"connection": print_id(Kind.CONNECTION, first), "reason": "no embedded signing"}
    ]
    assert fake.calls == []


async def test_what_nobody_can_is_refused_with_provider_and_feature_and_leaves_nothing(
    world: World, acme: Tenant
) -> None:
    fake = world.fake("alpha")
    fake.capabilities = msgspec.structs.replace(fake.capabilities, fields={})
    answer = await acme.post("/envelopes", envelope(send=True))
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "unsupported_feature")
    assert (problem["provider"], problem["feature"]) == ("alpha", "field signature")
    assert await world.services.hub.fetchval("SELECT count(*) FROM envelopes") == 0


async def test_a_required_field_without_recipient_and_a_signer_without_field_stop_sending(
    acme: Tenant,
) -> None:
    made = await acme.made(envelope(recipients=[signer(fields=[])]))
    await acme.made(field(), f"/envelopes/{made['id']}/fields")
    answer = await acme.post(f"/envelopes/{made['id']}/send")
    assert (answer.status_code, answer.json()["code"]) == (422, "not_ready")
    told = " ".join(one["problem"] for one in answer.json()["findings"])
    assert "A required field belongs to no recipient." in told
    assert "A signer has no field." in told


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"documents": [], "recipients": [signer(fields=[])]}, "There is no document."),
        ({"recipients": []}, "Nobody has to act."),
        ({"recipients": [signer(role="carbon_copy", fields=[])]}, "Nobody has to act."),
        ({"recipients": [signer(fields=[field(type="text")])]}, "A signer has no signature field."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_envelope_that_is_not_ready_is_not_sent(
    acme: Tenant, change: dict[str, Any], problem: str
) -> None:
    answer = await acme.post("/envelopes", envelope(send=True) | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "not_ready")
    assert problem in [one["problem"] for one in answer.json()["findings"]]


async def test_a_policy_is_changed_from_the_version_that_was_read(world: World, acme: Tenant) -> None:
    admin = await world.administrator()
    path = f"{ADMIN}/tenants/{acme.printed}/routing"
    read = (await admin.get(path)).json()
    body = {key: read[key] for key in ("version", "default_connection_id", "rules", "fallback")}
    assert (await admin.put(path, json=body)).json()["version"] == read["version"] + 1
    late = await admin.put(path, json=body)
    assert (late.status_code, late.json()["code"]) == (409, "conflict")
