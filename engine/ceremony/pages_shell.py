"""What every page of a session has in common, made from the visit."""

from collections.abc import Mapping
from datetime import datetime

from engine.ceremony.consent import is_consent_needed
from engine.ceremony.sessions import Session
from engine.ceremony.view import Action, Brand, PlainPage, Shell
from engine.ceremony.visit import Visit, language_for
from engine.engine import Engine
from engine.model import EngineEnvelope, EngineRecipient
from normalizer.recipient import AuthenticationMethod, Role

_ACTIONS: dict[Role, Action] = {
    Role.SIGNER: Action.SIGN,
    Role.IN_PERSON: Action.SIGN,
    Role.APPROVER: Action.APPROVE,
    Role.REVIEWER: Action.REVIEW,
    Role.CERTIFIED_DELIVERY: Action.ACKNOWLEDGE,
    Role.CARBON_COPY: Action.READ,
}
# Codes of refusals that the pages say in other words than their own.
_SAID_AS = {
    "invalid_transition": "not_your_turn",
    "conflict": "field_changed",
    "too_large": "picture_too_large",
    "idempotency_key_missing": "form_expired",
    "csrf_refused": "csrf",
    "method_not_asked": "form_expired",
    "delegation_refused": "not_permitted",
}


def make_shell(visit: Visit, step: str, *, error: str = "", values: Mapping[str, str] | None = None) -> Shell:
    """`step` is one of the session's steps, or "" for a page outside of them."""
    return _shell(
        visit.engine,
        visit.envelope,
        visit.recipient,
        visit.brand,
        base=visit.base,
        session=visit.session,
        step=step,
        error=error_key(error),
        values=values,
    )


def make_landing_shell(
    engine: Engine, envelope: EngineEnvelope, recipient: EngineRecipient, brand: Brand
) -> Shell:
    """Before the session: whoever has the link sees who asks for what, and nothing of the documents."""
    return _shell(engine, envelope, recipient, brand, base="", session=None, step="", error="", values=None)


def make_plain(engine: Engine, kind: str, language: str = "en") -> PlainPage:
    return PlainPage(kind=kind, language=language, development=not engine.settings.is_production)


def action_of(recipient: EngineRecipient) -> Action:
    return _ACTIONS[recipient.role]


def error_key(code: str) -> str:
    """The catalogue's key of a refusal's code; "" stays none."""
    return f"error.{_SAID_AS.get(code, code)}" if code else ""


def steps_of(recipient: EngineRecipient) -> tuple[str, ...]:
    """The steps that this recipient's session has, in order."""
    steps = []
    if any(method is not AuthenticationMethod.EMAIL for method in recipient.authentication):
        steps.append("authenticate")
    if is_consent_needed(recipient):
        steps.append("consent")
    steps.append("document")
    if recipient.role.acts:
        steps.append("finish")
    return tuple(steps)


def _shell(
    engine: Engine,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    brand: Brand,
    *,
    base: str,
    session: Session | None,
    step: str,
    error: str,
    values: Mapping[str, str] | None,
) -> Shell:
    steps = steps_of(recipient) if session is not None else ()
    ends_at: datetime | None = session.ends_at if session is not None else None
    return Shell(
        base=base,
        csrf=session.csrf if session is not None else "",
        language=language_for(recipient, envelope),
        brand=brand,
        subject=envelope.subject,
        # A sender without a name is the organisation.
        sender_name=envelope.sender_name or brand.organisation,
        sender_email=envelope.sender_email,
        message=envelope.message,
        recipient_name=recipient.name,
        action=action_of(recipient),
        embedded=session.embedded if session is not None else False,
        development=not engine.settings.is_production,
        ends_at=ends_at,
        last_at=session.last_at if session is not None else None,
        error=error,
        error_values=dict(values or {}),
        steps=steps,
        step=step if step in steps else "",
        origins=session.origins if session is not None else (),
    )
