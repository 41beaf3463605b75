"""Puts notices into the outbox, in the transaction of the state they tell of: no state without its mail, and no
mail about a state that was rolled back. Sending is the job's (engine/notify/send.py).

What stands in a notice is sealed by the vault. Must never write a link, a code or an address in clear.
"""

from typing import Protocol
from uuid import UUID

import msgspec

from config.database import Transaction
from config.vault import Place, Vault
from engine.notify.notice import Notice, NoticeKind
from engine.ports import WakeJob
from normalizer.ids import Ids

SEND_NOTICES = "send_notices"  # the job's kind


class Poster(Protocol):
    """What putting a notice takes: the engine has it, and who else has something to tell."""

    @property
    def ids(self) -> Ids: ...
    @property
    def vault(self) -> Vault: ...
    @property
    def wake(self) -> WakeJob: ...


async def put_notice(engine: Poster, tx: Transaction, notice: Notice) -> UUID:
    """The notice's id; it is sent soon after this commits."""
    own = engine.ids.new()
    good_for = float(notice.values["minutes"]) if notice.kind is NoticeKind.CODE else None
    sealed = await engine.vault.encrypt(tx, notice.tenant_id, content_place(own), msgspec.json.encode(notice))
    await tx.driver.execute(
        "INSERT INTO engine_notices (tenant_id, id, kind, channel, urgent, connection_id, engine_id, envelope_id,"
        " recipient_id, content, good_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,"
        " now() + $11 * interval '1 minute')",
        notice.tenant_id,
        own,
        notice.kind.value,
        notice.channel.value,
        notice.kind.is_urgent,
        notice.connection_id,
        notice.engine_id,
        notice.envelope_id,
        notice.recipient_id,
        sealed,
        good_for,
    )

    async def wake() -> None:
        engine.wake(SEND_NOTICES)

    tx.on_commit(wake)
    return own


async def cancel_notices(
    tx: Transaction, tenant_id: UUID, engine_id: UUID, recipient_id: UUID | None = None
) -> int:
    """Takes back invitations that were not sent yet, of one recipient or of all: the envelope has ended, or
    the recipient has handed over. How many.
    """
    ended = await tx.driver.execute(
        "UPDATE engine_notices SET state = 'cancelled', content = NULL, claim_id = NULL, ended_at = now()"
        " WHERE tenant_id = $1 AND engine_id = $2 AND state = 'waiting' AND kind = ANY ($3)"
        " AND ($4::uuid IS NULL OR recipient_id = $4)",
        tenant_id,
        engine_id,
        [kind.value for kind in NoticeKind if kind.is_invitation],
        recipient_id,
    )
    return int(ended.rpartition(" ")[2])


def content_place(notice_id: UUID) -> Place:
    return Place("engine_notices", "content", notice_id)
