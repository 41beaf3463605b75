"""A tenant's routing policy: ordered rules (first match), a default, and an ordered fallback.

Pure: facts in, ordered candidates out. Connections are what is chosen; a provider's name counts only where the
installation's default chooses among the connections of a tenant without a rule or a default of its own.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from normalizer.errors import ValidationFailed
from normalizer.recipient import AuthenticationLevel


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All given parts must hold; an empty condition always holds. Sizes are the documents' bytes together."""

    document_types: tuple[str, ...] = ()
    signer_countries: tuple[str, ...] = ()
    authentication_levels: tuple[AuthenticationLevel, ...] = ()
    min_bytes: int = 0
    max_bytes: int | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    when: Condition
    connection_id: UUID


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    version: int = 0
    default_connection_id: UUID | None = None
    rules: tuple[Rule, ...] = ()
    fallback: tuple[UUID, ...] = ()


class ConnectionSummary(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    provider: str
    label: str
    version: int
    max_document_bytes: int
    active: bool


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """`stamp` names this state of it: it is another one after every change."""

    policy: Policy | None
    connections: tuple[ConnectionSummary, ...]
    stamp: str = ""


class EnvelopeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What rules may look at. `signer_countries`: ISO 3166 alpha-2, upper case."""

    document_type: str
    signer_countries: frozenset[str]
    authentication_level: AuthenticationLevel
    total_bytes: int


class Candidate(msgspec.Struct, frozen=True):
    """`because`: "rule <name>", "default", "only connection", "default provider" or "fallback <n>"."""

    connection: ConnectionSummary
    because: str


def choose_candidates(
    routing: Routing, facts: EnvelopeFacts, default_provider: str = ""
) -> tuple[Candidate, ...]:
    """The connections to try, best first. `default_provider` decides where the tenant itself says nothing.

    Raises ValidationFailed when the tenant has none to choose.
    """
    by_id = {connection.id: connection for connection in routing.connections if connection.active}
    policy = routing.policy or Policy()
    candidates: list[Candidate] = []

    def add(connection_id: UUID | None, because: str) -> None:
        connection = by_id.get(connection_id) if connection_id else None
        if connection is not None and all(chosen.connection.id != connection.id for chosen in candidates):
            candidates.append(Candidate(connection, because))

    rule = next((rule for rule in policy.rules if _matches(rule.when, facts)), None)
    if rule is not None:
        add(rule.connection_id, f"rule {rule.name}")
    else:
        add(policy.default_connection_id, "default")
    if rule is None and policy.default_connection_id is None:
        if len(by_id) == 1:
            add(next(iter(by_id)), "only connection")
        else:
            preferred = (one for one in by_id.values() if one.provider == default_provider)
            add(next((one.id for one in preferred), None), "default provider")
    for number, connection_id in enumerate(policy.fallback, start=1):
        add(connection_id, f"fallback {number}")
    if not candidates:
        raise ValidationFailed(
            "The tenant has no active connection for this envelope.",
            code="no_connection",
        )
    return tuple(candidates)


def _matches(condition: Condition, facts: EnvelopeFacts) -> bool:
    return (
        _holds(condition.document_types, (facts.document_type,))
        and _holds(condition.signer_countries, tuple(facts.signer_countries))
        and _holds(condition.authentication_levels, (facts.authentication_level,))
        and facts.total_bytes >= condition.min_bytes
        and (condition.max_bytes is None or facts.total_bytes <= condition.max_bytes)
    )


def _holds(wanted: Sequence[str], given: Sequence[str]) -> bool:
    return not wanted or any(value in wanted for value in given)
