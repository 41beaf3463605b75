"""Chooses where an envelope goes: the tenant's policy names candidates, the adapters say who can do it.

The decision is stored with its reason and with what was skipped. Must never drop a feature to make a provider
fit: what a provider lacks is refused, what it has in a weaker form is listed.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from gateway.envelopes.examined import check_examined
from gateway.envelopes.model import StoredEnvelope
from gateway.envelopes.outgoing import build_outgoing, check_ready, client_reference
from gateway.routing.policy import Candidate, EnvelopeFacts, Routing, choose_candidates
from gateway.services import Services
from gateway.tenants.connection_cache import OpenConnection
from gateway.tenants.open_connection import open_connection
from normalizer.canonical import Json
from normalizer.envelope import Degradation, Envelope
from normalizer.errors import UnsupportedFeature
from normalizer.ids import Kind, print_id
from normalizer.recipient import AuthenticationLevel

_routing_decoder = msgspec.json.Decoder(Routing)


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The connection that was chosen, why, and what the envelope loses there. `rest`: the next to try.
    `outgoing` is what will be sent; it holds opened access codes and is never stored or logged. `stamp`: of the
    routing that was used, to be checked when the choice is written; empty when there was nothing to choose.
    """

    opened: OpenConnection
    candidate: Candidate
    decision: dict[str, Json]
    losses: tuple[Degradation, ...]
    rest: tuple[Candidate, ...]
    outgoing: Envelope
    stamp: str = ""


async def choose_route(
    services: Services,
    envelope: StoredEnvelope,
    candidates: Sequence[Candidate] | None = None,
    *,
    after: tuple[Route, dict[str, str]] | None = None,
    from_memory: bool = False,
) -> Route:
    """The first candidate that can do what the envelope needs; with no transaction open. `after`: the route
    that failed before, and why. `from_memory`: the write that follows checks the stamp.

    Raises ValidationFailed for a draft that is not ready, UnsupportedFeature when no candidate can do it.
    """
    check_ready(envelope)
    check_examined(envelope.documents)
    skipped: list[Json] = []
    version: Json = 0
    stamp = ""
    if after is not None:
        failed, why = after
        earlier = failed.decision.get("skipped")
        skipped = [*(earlier if isinstance(earlier, list) else ()), why]
        version = failed.decision.get("policy_version", 0)
    if candidates is None:
        routing = await load_routing(services, envelope.tenant_id, from_memory=from_memory)
        stamp = routing.stamp
        preferred = services.settings.signature.default_provider
        candidates = choose_candidates(routing, _facts(envelope), preferred)
        version = routing.policy.version if routing.policy else 0
    outgoing = await build_outgoing(services, envelope, envelope.dispatch_epoch + 1)
    first_refusal: UnsupportedFeature | None = None
    for number, candidate in enumerate(candidates):
        opened = await open_connection(
            services, envelope.tenant_id, candidate.connection.id, candidate.connection.version
        )
        try:
            losses = tuple(opened.adapter.check(opened.connection, outgoing))
        except UnsupportedFeature as refusal:
            first_refusal = first_refusal or refusal
            skipped.append({"connection": printed_connection(candidate), "reason": f"no {refusal.feature}"})
            continue
        decision: dict[str, Json] = {
            "connection": printed_connection(candidate),
            "provider": candidate.connection.provider,
            "because": candidate.because,
            "skipped": skipped,
            "policy_version": version,
        }
        return Route(
            opened=opened,
            candidate=candidate,
            decision=decision,
            losses=losses,
            rest=tuple(candidates[number + 1 :]),
            outgoing=outgoing,
            stamp=stamp,
        )
    assert first_refusal is not None  # noqa: S101 - there is always a first candidate
    raise first_refusal


async def load_routing(services: Services, tenant_id: UUID, *, from_memory: bool) -> Routing:
    """The tenant's policy and connections; from memory they are up to ten seconds old."""
    now_s = services.clock.monotonic()
    if from_memory and (known := services.routings.get(tenant_id, now_s)) is not None:
        return known
    routing = _routing_decoder.decode(await services.database.fetchval("SELECT load_routing($1)", tenant_id))
    services.routings.put(tenant_id, routing, now_s)
    return routing


def describe_route(envelope: StoredEnvelope, route: Route, epoch: int) -> dict[str, Json]:
    """The facts of the ledger entry: the decision, and under which reference the provider will know it."""
    return {
        **route.decision,
        "attempt": epoch,
        "client_reference": client_reference(envelope, epoch),
        "documents": [document.sha256 for document in envelope.documents],
        "degraded": [loss.feature for loss in route.losses],
    }


def printed_connection(candidate: Candidate) -> str:
    return print_id(Kind.CONNECTION, candidate.connection.id)


def _facts(envelope: StoredEnvelope) -> EnvelopeFacts:
    return EnvelopeFacts(
        document_type=envelope.document_type,
        signer_countries=frozenset(one.country.upper() for one in envelope.recipients if one.country),
        authentication_level=AuthenticationLevel(envelope.authentication_level),
        total_bytes=sum(document.size_bytes for document in envelope.documents),
    )
