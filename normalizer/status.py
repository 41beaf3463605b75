"""Statuses of envelopes and recipients, and the moves between them.

Two rules live here. A command (send, void) follows ALLOWED. What a provider reports is applied forward only,
by rank: providers repeat, reorder and even go back, and an envelope that has ended stays ended.
Must never raise for a status that a provider made up: it maps to UNKNOWN, which moves nothing.
"""

from enum import StrEnum

from normalizer.errors import InvalidTransition


class EnvelopeStatus(StrEnum):
    DRAFT = "draft"
    PROCESSING = "processing"  # handed to a provider, its answer not yet known
    SENT = "sent"
    DELIVERED = "delivered"  # every recipient whose turn it is has opened it
    SIGNED = "signed"  # at least one recipient has finished, not all
    COMPLETED = "completed"
    DECLINED = "declined"
    VOIDED = "voided"
    EXPIRED = "expired"
    FAILED = "failed"
    UNKNOWN = "unknown"  # a provider's word that nobody has mapped; never stored on an envelope

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


class RecipientStatus(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    DECLINED = "declined"
    BOUNCED = "bounced"
    AUTH_FAILED = "auth_failed"
    REASSIGNED = "reassigned"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        return _RECIPIENT_RANK[self] >= _RECIPIENT_END


_S = EnvelopeStatus
TERMINAL = frozenset({_S.COMPLETED, _S.DECLINED, _S.VOIDED, _S.EXPIRED, _S.FAILED})

RANK: dict[EnvelopeStatus, int] = {
    _S.UNKNOWN: -1,
    _S.DRAFT: 0,
    _S.PROCESSING: 1,
    _S.SENT: 2,
    _S.DELIVERED: 3,
    _S.SIGNED: 4,
    _S.COMPLETED: 5,
    _S.DECLINED: 5,
    _S.VOIDED: 5,
    _S.EXPIRED: 5,
    _S.FAILED: 5,
}

_OPEN_ENDS = frozenset({_S.COMPLETED, _S.DECLINED, _S.VOIDED, _S.EXPIRED, _S.FAILED})
ALLOWED: dict[EnvelopeStatus, frozenset[EnvelopeStatus]] = {
    _S.DRAFT: frozenset({_S.PROCESSING, _S.SENT, _S.VOIDED}),
    # Back to draft only when the provider refused definitely: nothing left the house.
    _S.PROCESSING: frozenset({_S.DRAFT, _S.SENT, _S.DELIVERED, _S.SIGNED}) | _OPEN_ENDS,
    _S.SENT: frozenset({_S.DELIVERED, _S.SIGNED}) | _OPEN_ENDS,
    _S.DELIVERED: frozenset({_S.SIGNED}) | _OPEN_ENDS,
    _S.SIGNED: _OPEN_ENDS,
    _S.COMPLETED: frozenset(),
    _S.DECLINED: frozenset(),
    _S.VOIDED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.FAILED: frozenset(),
    _S.UNKNOWN: frozenset(),
}

EDITABLE = frozenset({_S.DRAFT})
IN_FLIGHT = frozenset({_S.SENT, _S.DELIVERED, _S.SIGNED})
VOIDABLE = IN_FLIGHT | EDITABLE


def check_move(current: EnvelopeStatus, wanted: EnvelopeStatus) -> None:
    """Raises InvalidTransition unless a command may make this move."""
    if wanted not in ALLOWED[current]:
        raise InvalidTransition(current, wanted)


def advance(current: EnvelopeStatus, reported: EnvelopeStatus) -> EnvelopeStatus:
    """The status after a provider's report: `reported` when it leads forward, else `current` unchanged."""
    if current.is_terminal or RANK[reported] <= RANK[current]:
        return current
    return reported


_R = RecipientStatus
_RECIPIENT_END = 4
_RECIPIENT_RANK: dict[RecipientStatus, int] = {
    _R.UNKNOWN: -1,
    _R.PENDING: 0,
    _R.SENT: 1,
    # A bounce or a failed authentication is not the end: the address is corrected, the code tried again.
    _R.BOUNCED: 2,
    _R.DELIVERED: 2,
    _R.AUTH_FAILED: 3,
    _R.COMPLETED: 4,
    _R.DECLINED: 4,
    _R.REASSIGNED: 4,
    _R.CANCELLED: 4,
    _R.EXPIRED: 4,
}


def advance_recipient(current: RecipientStatus, reported: RecipientStatus) -> RecipientStatus:
    """As `advance`, for one recipient. A delivery after a bounce counts as progress."""
    if current.is_terminal:
        return current
    if current is _R.BOUNCED and reported is _R.DELIVERED:
        return reported
    return reported if _RECIPIENT_RANK[reported] > _RECIPIENT_RANK[current] else current
