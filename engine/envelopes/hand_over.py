"""Puts another person into a recipient's place: a row of their own, the former's fields, the same proofs.

A proof that is about the former person (their phone, their answers, their certificate) cannot be asked of
another: such a place is not handed over. Must never leave two people able to act in one place.
"""

from uuid import UUID

import msgspec

from config.database import Transaction
from config.vault import Place
from engine.engine import Engine
from engine.envelopes.changes import change_envelope, pass_fields_on
from engine.envelopes.letters import write_with_link
from engine.model import EngineEnvelope, EngineRecipient
from engine.notify.notice import NoticeKind
from normalizer.errors import Finding, ValidationFailed
from normalizer.recipient import AuthenticationMethod, Role
from normalizer.status import RecipientStatus

TABLE = "engine_recipients"
_ONES_OWN = frozenset(
    {
        AuthenticationMethod.SMS,
        AuthenticationMethod.PHONE_CALL,
        AuthenticationMethod.KNOWLEDGE,
        AuthenticationMethod.CERTIFICATE,
        AuthenticationMethod.PROVIDER_LOGIN,
    }
)
_INSERT = """
INSERT INTO engine_recipients (tenant_id, engine_id, id, position, name, email, role, routing_order, status,
    authentication, access_code, embedded, host_name, host_email, note, language, country, delegated_from,
    delegation_reason, sent_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
"""


def check_successor(envelope: EngineEnvelope, recipient: EngineRecipient, name: str, email: str) -> None:
    """Raises ValidationFailed, code "delegation_refused" when the place cannot be handed over."""
    if not name.strip() or not email.strip():
        raise ValidationFailed("The other person needs a name and an e-mail address.")
    own = [method for method in recipient.authentication if method in _ONES_OWN]
    if own:
        raise ValidationFailed(
            f"The sender asks this recipient to prove who they are by {own[0]}, which nobody else can do.",
            code="delegation_refused",
        )
    taken = {one.email.lower() for one in envelope.recipients if not one.status.is_terminal}
    if email.strip().lower() in taken:
        raise ValidationFailed(
            "The other person cannot take over.",
            (Finding("/email", "This person is a recipient already.", "Name somebody else."),),
            code="delegation_refused",
        )


async def put_successor(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    former: EngineRecipient,
    *,
    name: str,
    email: str,
    reason: str,
) -> tuple[EngineEnvelope, EngineRecipient]:
    own = engine.ids.new()
    successor = EngineRecipient(
        id=own,
        position=len(envelope.recipients) + 1,
        name=name.strip()[:200],
        email=email.strip()[:200],
        role=former.role,
        routing_order=former.routing_order,
        status=RecipientStatus.SENT,
        authentication=former.authentication,
        access_code=await _moved(engine, tx, envelope, former, own),
        # A host who hands over the device is the host of whoever signs on it.
        host_name=former.host_name if former.role is Role.IN_PERSON else "",
        host_email=former.host_email if former.role is Role.IN_PERSON else "",
        # The caller's own page knows the former person: the successor is asked by mail.
        embedded=False,
        language=former.language,
        country=former.country,
        delegated_from=former.id,
        delegation_reason=reason,
        sent_at=engine.clock.now(),
    )
    await _insert(tx, envelope, successor)
    envelope = await change_envelope(tx, envelope, {"version": envelope.version + 1})
    envelope = msgspec.structs.replace(envelope, recipients=(*envelope.recipients, successor))
    return await pass_fields_on(tx, envelope, former.id, own), successor


async def introduce(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    former: EngineRecipient,
    successor: EngineRecipient,
    kind: NoticeKind,
    reason: str,
) -> None:
    await write_with_link(engine, tx, envelope, successor, kind, reason=reason, by=former.name)


async def _moved(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope, former: EngineRecipient, own: UUID
) -> bytes | None:
    """The access code's hash, sealed for the new row: the sender tells the code to whoever takes over."""
    if former.access_code is None:
        return None
    plain = await engine.vault.decrypt(
        tx, envelope.tenant_id, Place(TABLE, "access_code", former.id), former.access_code
    )
    return await engine.vault.encrypt(tx, envelope.tenant_id, Place(TABLE, "access_code", own), plain)


async def _insert(tx: Transaction, envelope: EngineEnvelope, one: EngineRecipient) -> None:
    await tx.driver.execute(
        _INSERT,
        envelope.tenant_id,
        envelope.id,
        one.id,
        one.position,
        one.name,
        one.email,
        one.role,
        one.routing_order,
        one.status,
        list(one.authentication),
        one.access_code,
        one.embedded,
        one.host_name,
        one.host_email,
        one.note,
        one.language,
        one.country,
        one.delegated_from,
        one.delegation_reason,
        one.sent_at,
    )
