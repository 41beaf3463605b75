"""Compares what a message says with what we sent: whose account, which envelope, which people, which documents.

Pure. A difference means that the message is not about what we think, or that somebody changed the envelope at the
provider: either way a person looks before it has an effect. What is not told is no difference, and neither is what the
provider explains itself: a place that was handed on, an envelope made of the provider's own template.
Must never put a name or an address into a difference: it is shown, logged and kept in the ledger.
"""

from collections import Counter
from pathlib import PurePosixPath

from gateway.envelopes.apply_report import find_recipient
from gateway.envelopes.model import StoredEnvelope
from gateway.envelopes.references import envelope_of_reference
from normalizer.envelope import EnvelopeReport
from normalizer.events import ProviderEvent, ReportedDocument
from normalizer.recipient import Role
from normalizer.status import RecipientStatus
from normalizer.vocabulary import EventType
from webhooks.inbound.message import Difference

# What a sender may change at the provider: an administrator can accept it for an envelope.
ACCEPTABLE = (
    "recipient_unknown",
    "recipient_missing",
    "document_count",
    "document_name",
    "document_digest",
)
_HANDED_ON = frozenset({EventType.RECIPIENT_DELEGATED, EventType.RECIPIENT_REPLACED})


def compare_account(event: ProviderEvent, account: str) -> tuple[Difference, ...]:
    """`account`: the connection's own; "" when it is not known."""
    if not account or not event.account or event.account.casefold() == account.casefold():
        return ()
    return (Difference("account", "The message is about another account than the connection's."),)


def compare_event(envelope: StoredEnvelope, event: ProviderEvent) -> tuple[Difference, ...]:
    """Empty: nothing speaks against it."""
    found = [*_references(envelope, event)]
    if not envelope.template_ref:
        found += _recipients(envelope, event)
        found += _documents(envelope, event.documents)
    return tuple(found)


def compare_reference(envelope: StoredEnvelope, reference: str) -> tuple[Difference, ...]:
    """A reference of ours must be this envelope's; one that we did not make says nothing."""
    named = envelope_of_reference(reference)
    if named is None or named == envelope.id:
        return ()
    return (Difference("reference", "The message carries the reference of another envelope."),)


def _references(envelope: StoredEnvelope, event: ProviderEvent) -> tuple[Difference, ...]:
    seen = event.report.reference if event.report is not None else ""
    return compare_reference(envelope, event.reference) or compare_reference(envelope, seen)


def _recipients(envelope: StoredEnvelope, event: ProviderEvent) -> list[Difference]:
    report = event.report
    if report is None or not report.recipients:
        return []
    known = [find_recipient(envelope.recipients, told) for told in report.recipients]
    strangers = sum(
        found is None and bool(told.email or told.recipient_id)
        for told, found in zip(report.recipients, known, strict=True)
    )
    explained = _handovers(event, report)
    named = {found.id for found in known if found is not None}
    missing = sum(
        Role(one.role).acts and one.id not in named and not one.status.is_terminal
        for one in envelope.recipients
    )
    found = []
    if strangers > explained:
        problem = f"It names {_counted(strangers, 'recipient')} that the envelope does not have."
        found.append(Difference("recipient_unknown", problem))
    if missing > explained:
        problem = f"It leaves out {_counted(missing, 'recipient')} of the envelope."
        found.append(Difference("recipient_missing", problem))
    return found


def _handovers(event: ProviderEvent, report: EnvelopeReport) -> int:
    """How many places the message itself says were handed on to somebody else."""
    reassigned = sum(told.status is RecipientStatus.REASSIGNED for told in report.recipients)
    return max(reassigned, int(event.type in _HANDED_ON))


def _documents(envelope: StoredEnvelope, told: tuple[ReportedDocument, ...] | None) -> list[Difference]:
    if told is None or not envelope.documents:
        return []
    if len(told) != len(envelope.documents):
        problem = f"It names {_counted(len(told), 'document')} where {len(envelope.documents)} were sent."
        return [Difference("document_count", problem)]
    ours = Counter(_stem(one.name) for one in envelope.documents)
    theirs = Counter(_stem(one.name) for one in told if one.name)
    found = []
    if theirs - ours:
        found.append(Difference("document_name", "It names a document that was not sent."))
    digests = {one.sha256.lower() for one in told if one.sha256}
    if digests - {one.sha256.lower() for one in envelope.documents}:
        found.append(Difference("document_digest", "A document's digest is not that of what was sent."))
    return found


def _stem(name: str) -> str:
    """Providers change a converted document's suffix."""
    return PurePosixPath(name.strip().casefold()).stem


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
