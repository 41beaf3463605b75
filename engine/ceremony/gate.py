"""Whose field it is, and whether anything may be written now: asked on the locked envelope, for every change.

Another recipient's field and one that does not exist look the same. Must be asked inside the transaction that
writes: what a page showed a moment ago is no permission.
"""

from uuid import UUID

from config.database import Transaction
from engine.ceremony.consent import is_consent_needed, is_refused, load_ceremony
from engine.ceremony.reader import lock_turn
from engine.ceremony.refusals import ConsentNeeded, NotPermitted
from engine.ceremony.sessions import Session
from engine.engine import Engine
from engine.model import EngineEnvelope, EngineField, EngineRecipient
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id


async def lock_for(
    engine: Engine, tx: Transaction, session: Session, wanted: str
) -> tuple[EngineEnvelope, EngineRecipient]:
    """As lock_turn, of somebody who has consented. Raises ConsentNeeded without a consent in force."""
    envelope, recipient = await lock_turn(engine, tx, session, wanted)
    await check_consent(tx, envelope, recipient)
    return envelope, recipient


async def check_consent(tx: Transaction, envelope: EngineEnvelope, recipient: EngineRecipient) -> None:
    """Raises ConsentNeeded when the recipient has not consented, has refused or has withdrawn."""
    if not is_consent_needed(recipient):
        return
    ceremony = await load_ceremony(tx, envelope.tenant_id, envelope.id, recipient.id)
    if not ceremony.consents or is_refused(ceremony):
        raise ConsentNeeded("There is no consent to electronic records.")


def own_field(envelope: EngineEnvelope, recipient: EngineRecipient, field_id: UUID) -> EngineField:
    """Raises NotFound for a field that is not this recipient's, NotPermitted for one that the sender fixed."""
    for field in envelope.fields:
        if field.id == field_id and field.recipient_id == recipient.id:
            if field.read_only:
                raise NotPermitted("The sender has fixed this field; it cannot be changed.")
            return field
    raise NotFound(Kind.FIELD, print_id(Kind.FIELD, field_id))
