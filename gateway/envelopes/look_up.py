"""Asks the provider for everything that may be one envelope of ours: by our references, and by its own ids.

A search may lag behind; an id that the provider has told us is asked for directly. What is found is put in
order: what counts, the drafts that could be sent, and the rest, which is too much.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta

import msgspec

from adapters.kit.exchange import Exchange
from adapters.kit.outcome import Done, Rejected
from gateway.envelopes.attempts import Attempt
from gateway.envelopes.model import StoredEnvelope
from gateway.envelopes.outgoing import client_reference
from gateway.envelopes.provider_call import call_provider
from gateway.services import Services
from gateway.tenant_blobs import TenantBlobs
from gateway.tenants.open_connection import open_connection
from normalizer.envelope import EnvelopeReport
from normalizer.status import EnvelopeStatus

_DEAD = frozenset({EnvelopeStatus.VOIDED, EnvelopeStatus.EXPIRED, EnvelopeStatus.FAILED})


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """`live`: the one that counts, out in the world. `drafts`: could be sent, best first. `others`: besides
    what counts, to be cleared away.
    """

    live: EnvelopeReport | None
    drafts: tuple[EnvelopeReport, ...]
    others: tuple[EnvelopeReport, ...]


async def look_up(
    services: Services, envelope: StoredEnvelope, tries: Sequence[Attempt], orphans: Collection[str | None]
) -> Sighting | None:
    """None when the provider could not be asked everything: nothing may be concluded then."""
    found: dict[str, EnvelopeReport] = {}
    for attempt in tries:
        listed = await _by_reference(services, envelope, client_reference(envelope, attempt.epoch))
        if listed is None:
            return None
        found |= {report.provider_ref: report for report in listed}
    known = {one.provider_ref for one in tries if one.provider_ref} | {envelope.provider_ref}
    for ref in sorted(one for one in known if one and one not in found and one not in orphans):
        outcome = await call_provider(
            services,
            msgspec.structs.replace(envelope, provider_ref=ref, connection_version=None),
            "get_envelope",
            lambda adapter, exchange, connection, ref: adapter.get_envelope(exchange, connection, ref),
        )
        if isinstance(outcome, Done):
            found[ref] = outcome.value
        elif not (isinstance(outcome, Rejected) and outcome.code == "not_found"):
            return None
    return sort_out([one for one in found.values() if one.provider_ref not in orphans], envelope.provider_ref)


def sort_out(found: Sequence[EnvelopeReport], chosen: str | None) -> Sighting:
    """What was sent counts before what could be; among several the chosen one, else the lowest id, so that
    every worker comes to the same answer. What has died counts only when there is nothing else.
    """
    ordered = sorted(found, key=lambda one: (one.provider_ref != chosen, one.provider_ref))
    drafts = [one for one in ordered if one.status is EnvelopeStatus.DRAFT]
    alive = [one for one in ordered if one.status is not EnvelopeStatus.DRAFT and one.status not in _DEAD]
    dead = [one for one in ordered if one.status in _DEAD]
    if alive:
        return Sighting(live=alive[0], drafts=(), others=(*alive[1:], *drafts))
    if drafts:
        return Sighting(live=None, drafts=tuple(drafts), others=())
    return Sighting(live=dead[0] if dead else None, drafts=(), others=())


async def _by_reference(
    services: Services, envelope: StoredEnvelope, reference: str
) -> tuple[EnvelopeReport, ...] | None:
    assert envelope.connection_id is not None  # noqa: S101 - pinned before anything was sent
    opened = await open_connection(services, envelope.tenant_id, envelope.connection_id)
    adapter, connection = opened.adapter, opened.connection
    since = envelope.created_at - timedelta(hours=1)

    async def find(exchange: Exchange) -> tuple[EnvelopeReport, ...]:
        return await adapter.find_envelopes(exchange, connection, reference, since)

    outcome = await services.executor.run(
        adapter, connection, "find_envelopes", find, blobs=TenantBlobs(services.blobs, envelope.tenant_id)
    )
    return outcome.value if isinstance(outcome, Done) else None
