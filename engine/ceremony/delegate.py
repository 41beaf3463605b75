"""Handing over to somebody else, where the installation allows it and the rules for signatures do not forbid it."""

from engine.ceremony.decline import clean_reason
from engine.ceremony.reader import lock_reader
from engine.ceremony.refusals import FieldRefused, NotPermitted
from engine.ceremony.sessions import Session
from engine.ceremony.values import read_mail
from engine.engine import Engine
from engine.envelopes.act import delegate_recipient
from engine.envelopes.visitor import Visitor
from engine.model import EngineRecipient

_MOST_NAME = 200


def may_delegate(engine: Engine, recipient: EngineRecipient) -> bool:
    """Not under 21 CFR Part 11, where a signature belongs to one person (11.100(a)); not at somebody's desk."""
    settings = engine.settings
    return (
        settings.signing.allow_delegation
        and not settings.signature.require_part11_signatures
        and recipient.role.acts
        and not recipient.embedded
    )


async def delegate(
    engine: Engine, session: Session, visitor: Visitor, *, name: str, email: str, reason: str
) -> None:
    """Raises FieldRefused, NotPermitted, InvalidTransition out of turn."""
    reason = clean_reason(reason)
    name = " ".join("".join(one for one in name if one.isprintable()).split())
    if not 1 <= len(name) <= _MOST_NAME:
        raise FieldRefused("name_missing", "The other person needs a name.", where="name")
    address = read_mail(email)
    if not address:
        raise FieldRefused("field_email", "The other person needs an e-mail address.", where="email")
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope, recipient = await lock_reader(engine, tx, session)
        if not may_delegate(engine, recipient):
            raise NotPermitted("This envelope cannot be handed over.", remedy="Decline, or ask the sender.")
        await delegate_recipient(
            engine, tx, envelope, recipient, visitor, name=name, email=address, reason=reason
        )
        await tx.commit()
