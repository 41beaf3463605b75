"""Who is written to when something happens to an envelope, and what the letter says.

An embedded recipient is asked by the caller's own page and gets no mail; an in-person signer's link goes to the
host. Must never put a link of one person into a letter to another.
"""

from collections.abc import Mapping, Sequence

from config.database import Transaction
from engine.ceremony.links import make_link, revoke_links
from engine.engine import Engine
from engine.model import EngineEnvelope, EngineRecipient
from engine.notify.notice import Channel, Notice, NoticeKind
from engine.notify.outbox import cancel_notices, put_notice
from normalizer.recipient import Role

_ASKED_BY: dict[Role, NoticeKind] = {
    Role.SIGNER: NoticeKind.SIGNING_REQUEST,
    Role.APPROVER: NoticeKind.APPROVAL,
    Role.REVIEWER: NoticeKind.SIGNING_REQUEST,
    Role.CERTIFIED_DELIVERY: NoticeKind.SIGNING_REQUEST,
    Role.IN_PERSON: NoticeKind.SIGNING_REQUEST,
    Role.CARBON_COPY: NoticeKind.COPY,
}

_ACTIONS: dict[Role, str] = {Role.REVIEWER: "review", Role.CERTIFIED_DELIVERY: "acknowledge"}  # else to sign


async def invite(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipients: Sequence[EngineRecipient],
    note: str = "",
) -> None:
    """A new link and a letter with it for each; earlier links of theirs are void."""
    head = await _head(tx, envelope) if recipients else {}
    for recipient in recipients:
        await _write_with_link(
            engine, tx, envelope, recipient, _ASKED_BY[recipient.role], head, {"note": note}
        )


async def write_with_link(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    kind: NoticeKind,
    **values: str,
) -> None:
    head = await _head(tx, envelope)
    await _write_with_link(engine, tx, envelope, recipient, kind, head, values)


async def write_to_all(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope, kind: NoticeKind, **values: str
) -> None:
    """Everybody who was asked or told before, without a link; and the sender."""
    head = await _head(tx, envelope)
    for recipient in envelope.recipients:
        if recipient.sent_at is not None and not recipient.embedded:
            await _write(engine, tx, envelope, recipient, kind, head | values)
    await write_to_sender(engine, tx, envelope, kind, **values)


async def write_to_sender(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope, kind: NoticeKind, **values: str
) -> None:
    if not envelope.sender_email:
        return
    await put_notice(
        engine,
        tx,
        Notice(
            kind=kind,
            tenant_id=envelope.tenant_id,
            connection_id=envelope.connection_id,
            engine_id=envelope.id,
            envelope_id=envelope.envelope_id,
            channel=Channel.EMAIL,
            address=envelope.sender_email,
            name=envelope.sender_name,
            language=envelope.language,
            values=await _head(tx, envelope) | values,
        ),
    )


async def withdraw(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope, recipient: EngineRecipient | None = None
) -> None:
    """Links of this recipient, or of all, open nothing any more, and letters not yet sent stay unsent."""
    own = recipient.id if recipient else None
    await revoke_links(engine, tx, envelope.tenant_id, envelope.id, own)
    await cancel_notices(tx, envelope.tenant_id, envelope.id, own)


async def _write_with_link(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    kind: NoticeKind,
    head: Mapping[str, str],
    values: Mapping[str, str],
) -> None:
    if recipient.embedded:
        return
    link = await make_link(engine, tx, envelope, recipient)
    # What is said now goes before the note that the sender left for this recipient.
    said = {name: value for name, value in values.items() if value}
    own = {"note": recipient.note, "link": link}
    await _write(engine, tx, envelope, recipient, kind, {**head, **own, **said})


async def _write(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    kind: NoticeKind,
    values: dict[str, str],
) -> None:
    # The host was asked and hands over the device; the signed papers are the signer's own.
    is_in_person = recipient.role is Role.IN_PERSON and bool(recipient.host_email)
    is_hosted = is_in_person and kind is not NoticeKind.COMPLETED
    await put_notice(
        engine,
        tx,
        Notice(
            kind=kind,
            tenant_id=envelope.tenant_id,
            connection_id=envelope.connection_id,
            engine_id=envelope.id,
            envelope_id=envelope.envelope_id,
            recipient_id=recipient.id,
            channel=Channel.EMAIL,
            address=recipient.host_email if is_hosted else recipient.email,
            name=recipient.host_name if is_hosted else recipient.name,
            language=recipient.language or envelope.language,
            values=values,
        ),
    )


async def _head(tx: Transaction, envelope: EngineEnvelope) -> dict[str, str]:
    organisation = await tx.driver.fetchval("SELECT engine_organisation($1)", envelope.tenant_id)
    return {
        "subject": envelope.subject,
        "message": envelope.message,
        "sender_name": envelope.sender_name,
        "sender_email": envelope.sender_email,
        "organisation": organisation or "",
        "expires_at": envelope.expires_at.isoformat() if envelope.expires_at else "",
    }
