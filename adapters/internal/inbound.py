"""The engine's reports as events; and no to everybody who posts.

A report comes into the inbox inside the engine's own transaction. Nothing that comes over HTTP is the engine's,
whoever signed it: must never answer an authentic verdict.
"""

import msgspec

from adapters.internal.mapping import EVENT, MOVES_ENVELOPE
from adapters.kit.port import RawRequest, Reply, Verdict
from engine.envelopes.report import Happening, Message
from normalizer.errors import PayloadMalformed
from normalizer.events import ProviderEvent

_REFUSED = Verdict(authentic=False, key_index=-1, reason="the engine does not report over HTTP")
_FORBIDDEN = Reply(403)
_NOT_FOUND = Reply(404)
_decoder = msgspec.json.Decoder(Message)


def verify(_: RawRequest) -> Verdict:
    return _REFUSED


def challenge() -> Reply:
    return _NOT_FOUND


def acknowledge() -> Reply:
    return _FORBIDDEN


def parse(body: bytes) -> tuple[ProviderEvent, ...]:
    """One event per thing that happened; each carries the whole report. Raises PayloadMalformed."""
    try:
        message = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PayloadMalformed("The message is no report of the engine's.") from error
    return tuple(_event(message, happening) for happening in message.happenings)


def _event(message: Message, happening: Happening) -> ProviderEvent:
    word = happening.word
    return ProviderEvent(
        type=EVENT[word],
        provider_event=f"{word}/{happening.method}" if happening.method else str(word),
        dedupe_key=happening.key,
        provider_ref=str(message.engine_id),
        occurred_at=happening.at,
        reference=message.reference,
        status=message.report.status if word in MOVES_ENVELOPE else None,
        recipient_status=happening.status,
        recipient_email=happening.email,
        recipient_id=happening.place,
        new_recipient_email=happening.new_email,
        new_recipient_name=happening.new_name,
        reason=happening.reason,
        ip_address=happening.ip_address,
        report=message.report,
    )
