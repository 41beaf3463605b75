"""A person's or a script's hand: the actions of a signer, by name, for the control API and the pages."""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from adapters.adobe_sign.sandbox import lifecycle, roles
from adapters.adobe_sign.sandbox.box import Sandbox
from adapters.adobe_sign.sandbox.catalogue import is_email
from adapters.adobe_sign.sandbox.lifecycle import WrongMomentError
from adapters.adobe_sign.sandbox.replacing import delegate_to, fail_authentication
from adapters.adobe_sign.sandbox.world import Agreement, Member, ParticipantSet


class ActionName(StrEnum):
    """Everything that can be done to an agreement from outside the API."""

    OPEN_EMAIL = "open_email"
    VIEW = "view"
    SIGN = "sign"
    SIGN_ALL = "sign_all"
    DECLINE = "decline"
    DELEGATE = "delegate"
    BOUNCE = "bounce"
    FAIL_AUTHENTICATION = "fail_authentication"
    EXPIRE = "expire"
    CONVERSION_PROBLEM = "conversion_problem"


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /sandbox/agreements/{id}/actions; `participant` is an e-mail, a member id or empty."""

    action: ActionName
    participant: str = ""
    comment: str = ""
    to: str = ""
    values: dict[str, str] = {}
    attempts: int = 0


def perform(box: Sandbox, agreement: Agreement, action: Action, ip: str) -> None:
    """Do it; raises WrongMomentError when the state does not allow it."""
    match action.action:
        case ActionName.EXPIRE:
            lifecycle.expire(box, agreement)
        case ActionName.CONVERSION_PROBLEM:
            lifecycle.fail_conversion(box, agreement, action.comment or "injected")
        case ActionName.SIGN_ALL:
            _sign_all(box, agreement, action, ip)
        case _:
            participant_set, member = find_waiting(agreement, action.participant)
            _act(box, agreement, participant_set, member, action, ip)
    box.flush()


def find_waiting(agreement: Agreement, who: str) -> tuple[ParticipantSet, Member]:
    """The waiting participant of this e-mail or id; the first one when it is empty."""
    for each in agreement.participant_sets:
        for member in each.members:
            named = who in {"", member.email, member.id}
            if named and member.status == "ACTIVE" and roles.is_waiting(each.status):
                return each, member
    raise WrongMomentError(f"no participant {who!r} is waiting; the agreement is {agreement.status}")


def _act(
    box: Sandbox,
    agreement: Agreement,
    participant_set: ParticipantSet,
    member: Member,
    action: Action,
    ip: str,
) -> None:
    simple: dict[ActionName, Callable[[Sandbox, Agreement, ParticipantSet, Member, str], None]] = {
        ActionName.OPEN_EMAIL: lifecycle.open_email,
        ActionName.VIEW: lifecycle.view,
        ActionName.BOUNCE: lifecycle.bounce,
    }
    match action.action:
        case ActionName.SIGN:
            lifecycle.act(box, agreement, participant_set, member, ip, action.values)
        case ActionName.DECLINE:
            lifecycle.reject(box, agreement, participant_set, member, ip, action.comment)
        case ActionName.DELEGATE:
            _delegate(box, agreement, participant_set, member, action, ip)
        case ActionName.FAIL_AUTHENTICATION:
            for _ in range(action.attempts or box.options.max_auth_attempts):
                if fail_authentication(box, agreement, participant_set, member, ip):
                    break
        case _:
            simple[action.action](box, agreement, participant_set, member, ip)


def _sign_all(box: Sandbox, agreement: Agreement, action: Action, ip: str) -> None:
    while agreement.status not in roles.TERMINAL:
        participant_set, member = find_waiting(agreement, "")
        lifecycle.view(box, agreement, participant_set, member, ip)
        lifecycle.act(box, agreement, participant_set, member, ip, action.values)


def _delegate(
    box: Sandbox,
    agreement: Agreement,
    participant_set: ParticipantSet,
    member: Member,
    action: Action,
    ip: str,
) -> None:
    if not is_email(action.to):
        raise WrongMomentError("delegate needs `to`, an e-mail address")
    fresh = Member(
        id=box.new_id(),
        email=action.to,
        user_id=box.user_id(action.to),
        name=action.to.split("@")[0].replace(".", " ").title(),
    )
    delegate_to(box, agreement, participant_set, member, [fresh], ip)
