"""The engine's words as ours. Total: a word that is not here does not exist."""

from engine.envelopes.report import Word
from normalizer.vocabulary import EventType

EVENT: dict[Word, EventType] = {
    Word.ENVELOPE_SENT: EventType.ENVELOPE_SENT,
    Word.ENVELOPE_COMPLETED: EventType.ENVELOPE_COMPLETED,
    Word.ENVELOPE_DECLINED: EventType.ENVELOPE_DECLINED,
    Word.ENVELOPE_VOIDED: EventType.ENVELOPE_VOIDED,
    Word.ENVELOPE_EXPIRED: EventType.ENVELOPE_EXPIRED,
    Word.RECIPIENT_ASKED: EventType.RECIPIENT_SENT,
    Word.RECIPIENT_VIEWED: EventType.RECIPIENT_DELIVERED,
    Word.RECIPIENT_FINISHED: EventType.RECIPIENT_COMPLETED,
    Word.RECIPIENT_DECLINED: EventType.RECIPIENT_DECLINED,
    Word.RECIPIENT_DELEGATED: EventType.RECIPIENT_DELEGATED,
    # The engine reminds people one by one; our word for it is the envelope's.
    Word.RECIPIENT_REMINDED: EventType.ENVELOPE_REMINDED,
    Word.RECIPIENT_AUTHENTICATED: EventType.RECIPIENT_AUTHENTICATED,
    Word.RECIPIENT_REFUSED: EventType.RECIPIENT_AUTH_FAILED,
    Word.RECIPIENT_BOUNCED: EventType.RECIPIENT_BOUNCED,
}
# These move the envelope as a whole; the others leave that to the report that goes along.
MOVES_ENVELOPE = frozenset(
    {
        Word.ENVELOPE_SENT,
        Word.ENVELOPE_COMPLETED,
        Word.ENVELOPE_DECLINED,
        Word.ENVELOPE_VOIDED,
        Word.ENVELOPE_EXPIRED,
        Word.RECIPIENT_FINISHED,
    }
)
