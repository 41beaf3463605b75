"""Where a provider knows otherwise than we do: tells it apart, mends what can be mended, and writes it down.

What was missed has the effect that the provider's own message would have had, through the same apply_report. An
envelope that has ended here is never moved; a person must look. Must never be called inside a transaction.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

from config.database import Transaction
from gateway.envelopes.apply_report import apply_report, derive_status, find_recipient
from gateway.envelopes.facts import envelope_event
from gateway.envelopes.model import DispatchState, StoredEnvelope
from gateway.envelopes.store import lock_envelope
from gateway.services import Services
from normalizer.canonical import Json
from normalizer.envelope import EnvelopeReport
from normalizer.events import SYSTEM, Event, ResourceType, Source, SourceKind
from normalizer.ids import Kind, print_id
from normalizer.recipient import Role
from normalizer.status import IN_FLIGHT, EnvelopeStatus, RecipientStatus, advance, advance_recipient
from normalizer.vocabulary import LedgerType

_S = EnvelopeStatus
_SOURCE = Source(kind=SourceKind.RECONCILE)
# A sender's withdrawal and a time that ran out look alike at some providers, and both end an envelope unsigned.
_ALIKE = frozenset({_S.VOIDED, _S.EXPIRED})


class DriftKind(StrEnum):
    """The words of the drift report; docs/operations.md says what to do about each."""

    BEHIND = "behind"
    AHEAD = "ahead"
    CONTRADICTING = "contradicting"
    UNKNOWN = "unknown"
    GONE = "gone"


DONE: dict[DriftKind, str] = {
    DriftKind.BEHIND: "The envelope was moved to what the provider says.",
    DriftKind.AHEAD: "Nothing: the envelope has ended here and is still open at the provider. Void it there.",
    DriftKind.CONTRADICTING: "Nothing: both have ended, differently. Compare the provider's history.",
    DriftKind.UNKNOWN: "Nothing: it carries a reference of ours, and no tenant here has that envelope.",
    DriftKind.GONE: "Nothing: the provider does not know the envelope any more.",
}


class FoundBy(StrEnum):
    LIST = "list"
    READ = "read"


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """One finding, before it is written. `envelope_id` None: no envelope of ours."""

    connection_id: UUID
    envelope_id: UUID | None
    provider_ref: str
    kind: DriftKind
    ours: str
    theirs: str
    found_by: FoundBy
    changed_at: datetime | None = None


def compare(
    envelope: StoredEnvelope, report: EnvelopeReport, now: datetime, grace_s: float
) -> DriftKind | None:
    """None: they say what we know, or less. An end that is younger than the grace may not have reached them yet."""
    if not envelope.status.is_terminal:
        return DriftKind.BEHIND if would_move(envelope, report) else None
    if report.status.is_terminal:
        is_same = report.status is envelope.status or {report.status, envelope.status} <= _ALIKE
        return None if is_same else DriftKind.CONTRADICTING
    is_settled = now - envelope.updated_at > timedelta(seconds=grace_s)
    return DriftKind.AHEAD if report.status in IN_FLIGHT and is_settled else None


def would_move(envelope: StoredEnvelope, report: EnvelopeReport) -> bool:
    """Whether apply_report would move the envelope or a recipient of it."""
    if advance(envelope.status, report.status) is not envelope.status:
        return True
    for told in report.recipients:
        ours = find_recipient(envelope.recipients, told)
        status = RecipientStatus.UNKNOWN if told.status is RecipientStatus.REASSIGNED else told.status
        if ours is not None and advance_recipient(ours.status, status) is not ours.status:
            return True
    return False


def is_too_thin(envelope: StoredEnvelope, report: EnvelopeReport) -> bool:
    """Whether a list's row says that something is new and not what: who has signed, or why it ended."""
    if envelope.status.is_terminal or report.recipients:
        return False
    if not any(Role(one.role).acts for one in envelope.recipients):
        return False
    is_unexplained = (
        report.status is _S.UNKNOWN
        and report.provider_status.casefold() != envelope.provider_status.casefold()
    )
    return is_unexplained or would_move(envelope, report)


def newest_moment(report: EnvelopeReport) -> datetime | None:
    """When the provider says that something last happened, as far as it says."""
    moments = [report.changed_at, *(one.at for one in report.recipients)]
    return max((moment for moment in moments if moment is not None), default=None)


async def apply_seen(
    services: Services,
    tenant_id: UUID,
    envelope_id: UUID,
    report: EnvelopeReport,
    found_by: FoundBy,
    *,
    expects_webhooks: bool,
) -> DriftKind | None:
    """One transaction: what is missing here is applied, and what differs is written down."""
    grace_s = services.settings.sweep.grace_s
    async with services.database.transaction(tenant_id) as tx:
        envelope = await lock_envelope(tx, tenant_id, envelope_id)
        if envelope.provider_ref != report.provider_ref or envelope.dispatch_state != DispatchState.SETTLED:
            return None
        kind = compare(envelope, report, services.clock.now(), grace_s)
        if kind is None and (envelope.status.is_terminal or found_by is FoundBy.LIST):
            return None
        extra: list[Event] = []
        if kind is not None:
            found = _drift(envelope, report, kind, found_by)
            wait_s = grace_s if kind is DriftKind.BEHIND and expects_webhooks else None
            if await write_drift(services, tx, tenant_id, found, wait_s):
                extra.append(
                    envelope_event(
                        services, LedgerType.DRIFT_FOUND, envelope, SYSTEM, _SOURCE, facts=_facts(found)
                    )
                )
        if envelope.status.is_terminal:
            await services.recorder.record(tx, extra)
        else:
            await apply_report(services, tx, envelope, report, SYSTEM, _SOURCE, extra=extra)
        await tx.commit()
    return kind


async def note_stranger(services: Services, tenant_id: UUID, drift: Drift) -> bool:
    """Writes a finding about which nothing can be done. False: it is known already."""
    async with services.database.transaction(tenant_id) as tx:
        if not await write_drift(services, tx, tenant_id, drift, None):
            await tx.commit()
            return False
        event = Event(
            id=services.ids.new(),
            type=LedgerType.DRIFT_FOUND,
            tenant_id=tenant_id,
            envelope_id=drift.envelope_id,
            resource_type=ResourceType.CONNECTION,
            resource_id=print_id(Kind.CONNECTION, drift.connection_id),
            occurred_at=services.clock.now(),
            actor=SYSTEM,
            source=_SOURCE,
            facts=_facts(drift),
        )
        await services.recorder.record(tx, [event])
        await tx.commit()
    return True


async def write_drift(
    services: Services, tx: Transaction, tenant_id: UUID, drift: Drift, wait_s: float | None
) -> bool:
    """The row of the report, in the caller's transaction. False: it stands there already."""
    is_new: bool = await tx.driver.fetchval(
        "SELECT note_drift($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        tenant_id,
        services.ids.new(),
        drift.connection_id,
        drift.envelope_id,
        drift.provider_ref,
        str(drift.kind),
        drift.ours,
        drift.theirs,
        str(drift.found_by),
        DONE[drift.kind],
        drift.changed_at,
        wait_s,
    )
    return is_new


def _drift(envelope: StoredEnvelope, report: EnvelopeReport, kind: DriftKind, found_by: FoundBy) -> Drift:
    assert envelope.connection_id is not None  # noqa: S101 - it has a provider's id, so it went somewhere
    status = report.status
    if kind is DriftKind.BEHIND:
        status = advance(advance(envelope.status, report.status), _derived(envelope, report))
    return Drift(
        connection_id=envelope.connection_id,
        envelope_id=envelope.id,
        provider_ref=report.provider_ref,
        kind=kind,
        ours=str(envelope.status),
        theirs=str(status),
        found_by=found_by,
        changed_at=newest_moment(report),
    )


def _derived(envelope: StoredEnvelope, report: EnvelopeReport) -> EnvelopeStatus:
    """What the recipients as reported say of the envelope."""
    moved = list(envelope.recipients)
    for told in report.recipients:
        ours = find_recipient(moved, told)
        if ours is not None:
            status = advance_recipient(ours.status, told.status)
            moved[moved.index(ours)] = msgspec.structs.replace(ours, status=status)
    return derive_status(moved)


def _facts(drift: Drift) -> dict[str, Json]:
    return {
        "kind": str(drift.kind),
        "ours": drift.ours,
        "theirs": drift.theirs,
        "provider_ref": drift.provider_ref,
        "found_by": str(drift.found_by),
        "done": DONE[drift.kind],
    }
