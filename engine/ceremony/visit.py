"""One request of one session: everything that its page needs, read in as few statements as possible, and where the
recipient stands in the ceremony.

Must never be kept between requests.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from engine.ceremony.authenticate import next_method
from engine.ceremony.consent import (
    Ceremony,
    current_consent,
    is_consent_needed,
    is_refused,
    load_ceremony,
)
from engine.ceremony.disclosure import Disclosure, compose_disclosure
from engine.ceremony.sessions import Session
from engine.ceremony.view import Brand
from engine.engine import Engine
from engine.envelopes.turn import may_act
from engine.envelopes.visitor import Visitor
from engine.model import EngineEnvelope, EngineRecipient, EngineStatus
from engine.store import load_envelope
from normalizer.recipient import AuthenticationMethod
from normalizer.status import RecipientStatus


class Step(StrEnum):
    """Where a recipient stands: the last segment of the page's address."""

    AUTHENTICATE = "authenticate"
    CONSENT = "consent"
    DOCUMENT = "document"
    DONE = "done"


class State(StrEnum):
    """What the last page says."""

    FINISHED = "finished"
    SEALING = "sealing"
    COMPLETED = "completed"
    DECLINED = "declined"
    DELEGATED = "delegated"
    VOIDED = "voided"
    EXPIRED = "expired"
    WAITING = "waiting"
    CONSENT_WITHDRAWN = "consent_withdrawn"


_ENDED = {
    EngineStatus.DRAFT: State.WAITING,
    EngineStatus.SEALING: State.SEALING,
    EngineStatus.COMPLETED: State.COMPLETED,
    EngineStatus.DECLINED: State.DECLINED,
    EngineStatus.VOIDED: State.VOIDED,
    EngineStatus.EXPIRED: State.EXPIRED,
}
_LEFT = {
    RecipientStatus.REASSIGNED: State.DELEGATED,
    RecipientStatus.CANCELLED: State.VOIDED,
    RecipientStatus.DECLINED: State.DECLINED,
    RecipientStatus.EXPIRED: State.EXPIRED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    engine: Engine
    session: Session
    visitor: Visitor
    envelope: EngineEnvelope
    recipient: EngineRecipient
    ceremony: Ceremony
    disclosure: Disclosure
    brand: Brand
    language: str

    @property
    def base(self) -> str:
        return f"/sign/s/{self.session.handle}"

    @property
    def method(self) -> AuthenticationMethod | None:
        """The method that is still to be passed; None: all are."""
        return next_method(self.session, self.recipient)

    @property
    def is_consented(self) -> bool:
        return not is_consent_needed(self.recipient) or bool(current_consent(self.ceremony, self.disclosure))

    @property
    def end(self) -> State | None:
        """Why there is nothing to do in it, or None when there is."""
        left = _LEFT.get(self.recipient.status)
        if left is not None and self.envelope.status is not EngineStatus.COMPLETED:
            return left
        ended = _ENDED.get(self.envelope.status)
        if ended is not None:
            return ended
        if self.recipient.status is RecipientStatus.COMPLETED:
            return State.FINISHED
        if self.recipient.role.acts and not may_act(self.envelope, self.recipient):
            return State.WAITING
        return None

    @property
    def step(self) -> Step:
        """Who has proved who they are sees; who may act and has consented, acts."""
        if self.method is not None:
            return Step.AUTHENTICATE
        if self.end is not None:
            return Step.DONE
        return Step.DOCUMENT if self.is_consented else Step.CONSENT

    @property
    def here(self) -> str:
        """The address of the step at which the recipient stands."""
        return f"{self.base}/{self.step}"

    @property
    def state(self) -> State:
        """What the last page says now."""
        if self.end is not None:
            return self.end
        return State.CONSENT_WITHDRAWN if is_refused(self.ceremony) else State.WAITING


async def open_visit(engine: Engine, session: Session, visitor: Visitor, brand: Brand) -> Visit:
    """Two statements. Raises NotFound when the envelope is gone, KeyError when the recipient is."""
    envelope, ceremony = await asyncio.gather(
        load_envelope(engine.database, session.tenant_id, session.engine_id),
        load_ceremony(engine.database, session.tenant_id, session.engine_id, session.recipient_id),
    )
    recipient = envelope.recipient(session.recipient_id)
    language = language_for(recipient, envelope)
    return Visit(
        engine=engine,
        session=session,
        visitor=visitor,
        envelope=envelope,
        recipient=recipient,
        ceremony=ceremony,
        disclosure=compose_disclosure(
            language, brand.organisation, brand.support_email or envelope.sender_email
        ),
        brand=brand,
        language=language,
    )


def language_for(recipient: EngineRecipient, envelope: EngineEnvelope) -> str:
    """The recipient's language as the sender gave it, else the envelope's; English when the pages lack it."""
    wanted = (recipient.language or envelope.language).replace("_", "-").partition("-")[0].lower()
    return "de" if wanted == "de" else "en"
