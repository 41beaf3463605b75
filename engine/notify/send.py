"""Sends what waits in the outbox of notices: claims under a lease, hands over, and notes what became of it.

Handed over at least once: a worker that dies between the carrier's answer and our note of it leaves the
notice to another, which sends it again under the same Message-ID. What failed for now is tried again with
growing pauses; what failed for good is an entry in the ledger. MUST hold no transaction while a carrier is
asked, and never logs or keeps a value.
"""

import asyncio
import logging
import time
import traceback
from collections.abc import Sequence
from uuid import UUID

import msgspec

from config.breaker import CircuitOpen
from config.errors import VaultError
from config.logging import log_wide
from engine.engine import Engine
from engine.notify.carrier import CarrierAway, Deferred, Undeliverable
from engine.notify.carriers import Carriers
from engine.notify.ended import BOUNCED, FAILED, SENT, Ended, note_end
from engine.notify.letterhead import PLAIN, Letterhead, load_letterheads
from engine.notify.notice import Channel, Notice, NoticeKind
from engine.notify.outbox import content_place
from normalizer.ids import Kind, print_id

logger = logging.getLogger("countersign.notices")

_FOR_S = 60.0  # one call of the job; the rest is its next run's
_NO_PERMIT_S = 1.0


class _Claimed(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: UUID
    id: UUID
    kind: NoticeKind
    channel: Channel
    connection_id: UUID | None
    engine_id: UUID | None
    envelope_id: UUID | None
    recipient_id: UUID | None
    attempts: int
    is_stale: bool
    content: bytes


async def send_due(engine: Engine, carriers: Carriers) -> int:
    """How many notices were tried. Raises StoreUnavailable."""
    tried = 0
    ends_at = time.monotonic() + _FOR_S
    for channel in Channel:
        while time.monotonic() < ends_at:
            room = carriers.room(channel)
            most = engine.settings.notices.batch_size
            most = most if room is None else min(most, room)
            claim = engine.ids.new()
            claimed = await _claim(engine, claim, channel, most) if most else ()
            if not claimed:
                break
            heads = await _letterheads(engine, channel, claimed)
            troubles = await asyncio.gather(
                *(
                    _send_one(engine, carriers, claim, one, heads.get(one.tenant_id, PLAIN))
                    for one in claimed
                ),
                return_exceptions=True,
            )
            # Only when all have ended: what was handed over meanwhile is noted, and not handed over again.
            failed = [trouble for trouble in troubles if trouble is not None]
            for trouble in failed[1:]:  # one is raised, and the others would never be heard of
                logger.error("notice.not_noted error=%s", type(trouble).__name__)
            if failed:
                raise failed[0]
            tried += len(claimed)
    return tried


async def _claim(engine: Engine, claim: UUID, channel: Channel, most: int) -> tuple[_Claimed, ...]:
    rows = await engine.hub.fetch(
        "SELECT tenant_id, id, kind, channel, connection_id, engine_id, envelope_id, recipient_id, attempts,"
        " content, coalesce(good_until <= now(), false) AS is_stale FROM claim_notices($1, $2, $3, $4)",
        claim,
        channel.value,
        most,
        engine.settings.notices.lease_s,
    )
    return tuple(msgspec.convert(dict(row), _Claimed) for row in rows)


async def _letterheads(
    engine: Engine, channel: Channel, claimed: Sequence[_Claimed]
) -> dict[UUID, Letterhead]:
    if channel is not Channel.EMAIL:
        return {}
    return await load_letterheads(engine, (one.tenant_id for one in claimed))


async def _send_one(
    engine: Engine, carriers: Carriers, claim: UUID, one: _Claimed, letterhead: Letterhead
) -> None:
    began = time.perf_counter()
    outcome, why = await _try(engine, carriers, claim, one, letterhead)
    carriers.observe(one.kind, one.channel, outcome)
    log_wide(
        "notice.tried",
        notice_id=print_id(Kind.NOTICE, one.id),
        kind=one.kind.value,
        channel=one.channel.value,
        attempt=one.attempts,
        outcome=outcome,
        why=why,
        duration_ms=round((time.perf_counter() - began) * 1000, 1),
    )


async def _try(
    engine: Engine, carriers: Carriers, claim: UUID, one: _Claimed, letterhead: Letterhead
) -> tuple[str, str]:
    """(outcome, why)."""
    if one.is_stale:
        return await _end(engine, claim, one, FAILED, "it was no longer of use when it could be sent")
    try:
        notice = await _open(engine, one)
    except (VaultError, msgspec.DecodeError):
        return await _end(engine, claim, one, FAILED, "what was kept cannot be read")
    try:
        ref = await carriers.carry(one.id, notice, letterhead)
    except CircuitOpen as pause:
        await _postpone(engine, claim, one, min(pause.retry_after_s, _NO_PERMIT_S), counted=False, why="")
        return "held", "the carrier is given a rest"
    except Undeliverable as refusal:
        return await _end(
            engine, claim, one, BOUNCED if refusal.bounced else FAILED, str(refusal), notice=notice
        )
    except (Deferred, CarrierAway) as failure:
        return await _again(engine, claim, one, str(failure), notice)
    except Exception as error:  # noqa: BLE001 - noted, and tried again
        # Ours: a letter that cannot be written must not hold up the others, nor be tried for ever.
        place = traceback.extract_tb(error.__traceback__)[-1]
        logger.error(  # noqa: TRY400 - its text may be a link or a code
            "notice.failed_inside error=%s at=%s:%s", type(error).__name__, place.filename, place.lineno
        )
        return await _again(engine, claim, one, f"an error inside ({type(error).__name__})", notice)
    return await _end(engine, claim, one, SENT, "", ref=ref, notice=notice)


async def _open(engine: Engine, one: _Claimed) -> Notice:
    content = await engine.vault.decrypt(engine.database, one.tenant_id, content_place(one.id), one.content)
    return msgspec.json.decode(content, type=Notice)


async def _again(engine: Engine, claim: UUID, one: _Claimed, why: str, notice: Notice) -> tuple[str, str]:
    delays = engine.settings.notices.retry_delays_s
    if one.attempts > len(delays):
        return await _end(engine, claim, one, FAILED, why, notice=notice)
    await _postpone(engine, claim, one, delays[one.attempts - 1], counted=True, why=why)
    return "retry", why


async def _postpone(
    engine: Engine, claim: UUID, one: _Claimed, delay_s: float, *, counted: bool, why: str
) -> None:
    await engine.database.fetchval(
        "SELECT postpone_notice($1, $2, $3, $4, $5, $6)", one.tenant_id, one.id, claim, delay_s, counted, why
    )


async def _end(
    engine: Engine,
    claim: UUID,
    one: _Claimed,
    how: str,
    why: str,
    *,
    ref: str = "",
    notice: Notice | None = None,
) -> tuple[str, str]:
    ended = Ended(
        tenant_id=one.tenant_id,
        notice_id=one.id,
        kind=one.kind,
        channel=one.channel,
        connection_id=one.connection_id,
        engine_id=one.engine_id,
        envelope_id=one.envelope_id,
        recipient_id=one.recipient_id,
        address=notice.address if notice is not None else "",
        attempts=one.attempts,
        how=how,
        why=why,
        carrier_ref=ref,
    )
    # False: it was taken back, or another worker has it, while the carrier was asked.
    return (how if await note_end(engine, claim, ended) else "lost"), why
