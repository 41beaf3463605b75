"""Who acts instead of whom: replacing a signer, delegating, and failing to prove who one is."""

from adapters.adobe_sign.sandbox import lifecycle, roles
from adapters.adobe_sign.sandbox.box import Sandbox
from adapters.adobe_sign.sandbox.notices import record
from adapters.adobe_sign.sandbox.payload import Notice
from adapters.adobe_sign.sandbox.world import Agreement, Member, ParticipantSet

# method -> (subEvent of AGREEMENT_RECALLED, type in the history)
_EXCEEDED = {
    "PASSWORD": ("MAX_SIGNING_PASSWORD_ATTEMPTS_EXCEEDED", "RECALLED_MAX_SIGNING_PASSWORD_ATTEMPTS"),
    "KBA": ("MAX_SIGNING_KBA_ATTEMPTS_EXCEEDED", "RECALLED_MAX_SIGNING_KBA_ATTEMPTS"),
    "PHONE": ("MAX_SIGNING_PHONE_ATTEMPTS_EXCEEDED", "RECALLED_MAX_SIGNING_PHONE_ATTEMPTS"),
}
_OTP_EVENT = "AGREEMENT_RECALLED_MAX_SIGNING_EMAIL_OTP_ATTEMPTS"


def replace_members(
    box: Sandbox, agreement: Agreement, participant_set: ParticipantSet, fresh: list[Member], ip: str
) -> None:
    """The new members act; the old ones stay visible as REPLACED once the agreement has been sent."""
    if not roles.is_out(agreement.status):
        participant_set.members = fresh
        box.changed(agreement)
        return
    before = [member.email for member in participant_set.members if member.status == "ACTIVE"]
    for member in participant_set.members:
        member.status = "REPLACED"
    participant_set.members.extend(fresh)
    names = ", ".join(member.email for member in fresh)
    record(
        box,
        agreement,
        Notice(
            type="REPLACED_SIGNER",
            event="AGREEMENT_ACTION_REPLACED_SIGNER",
            description=f"{', '.join(before)} replaced by {names}",
            acting_email=agreement.owner,
            acting_ip=ip,
            participant_set=participant_set,
            member=fresh[0],
        ),
    )
    if roles.is_waiting(participant_set.status):
        for member in fresh:
            lifecycle.request_action(box, agreement, participant_set, member)


def delegate_to(
    box: Sandbox,
    agreement: Agreement,
    participant_set: ParticipantSet,
    delegator: Member,
    fresh: list[Member],
    ip: str,
) -> ParticipantSet:
    """A participant hands the action on: a new set at the same place, the old one is done."""
    delegated = ParticipantSet(
        id=box.new_id(),
        order=participant_set.order,
        role=roles.acting_role(participant_set.role),
        members=fresh,
        name=participant_set.name,
    )
    place = agreement.participant_sets.index(participant_set)
    agreement.participant_sets.insert(place + 1, delegated)
    participant_set.status = "COMPLETED"
    for field in agreement.fields:
        if field.get("assignee") == participant_set.id:
            field["assignee"] = delegated.id
    lifecycle.route_again(box, agreement)
    record(
        box,
        agreement,
        Notice(
            type="DELEGATED",
            event="AGREEMENT_ACTION_DELEGATED",
            description=f"{delegator.email} delegated to {', '.join(member.email for member in fresh)}",
            acting_email=delegator.email,
            acting_ip=ip,
            participant_set=participant_set,
            member=delegator,
        ),
    )
    for member in fresh:
        lifecycle.request_action(box, agreement, delegated, member)
    return delegated


def fail_authentication(
    box: Sandbox, agreement: Agreement, participant_set: ParticipantSet, member: Member, ip: str
) -> bool:
    """One failed attempt; the last one allowed cancels the agreement. True if it did."""
    if not roles.is_waiting(participant_set.status):
        raise lifecycle.WrongMomentError(f"the participant set is {participant_set.status}")
    method = member.authentication
    if method not in _EXCEEDED and method != "EMAIL_OTP":
        raise lifecycle.WrongMomentError(f"the method {method} has no attempts to exceed")
    member.failed_attempts += 1
    if member.failed_attempts < box.options.max_auth_attempts:
        failed = f"{method}_AUTHENTICATION_FAILED"
        description = f"{member.email} failed to authenticate ({method})"
        record(
            box,
            agreement,
            Notice(
                type=failed,
                description=description,
                acting_email=member.email,
                acting_ip=ip,
                participant_set=participant_set,
                member=member,
            ),
        )
        return False
    sub_event, type_ = _EXCEEDED.get(method, ("", "RECALLED_MAX_SIGNING_EMAIL_OTP_ATTEMPTS"))
    comment = f"Cancelled because {member.email} exceeded the number of {method} attempts"
    notice = Notice(
        type=type_,
        event="AGREEMENT_RECALLED" if sub_event else _OTP_EVENT,
        sub_event=sub_event,
        description=comment,
        acting_email=member.email,
        acting_ip=ip,
        participant_set=participant_set,
        member=member,
        comment=comment,
        extra={"agreementCancellationInfo": {"comment": comment, "notifyOthers": False}} if sub_event else {},
    )
    lifecycle.close_after_failed_authentication(box, agreement, notice)
    return True
