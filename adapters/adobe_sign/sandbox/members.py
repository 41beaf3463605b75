"""Members of an agreement: read, replace a signer, delegate, reject."""

from adapters.adobe_sign.sandbox import lifecycle, roles, shapes
from adapters.adobe_sign.sandbox.agreements import ONE
from adapters.adobe_sign.sandbox.calls import Call, Reply, endpoint
from adapters.adobe_sign.sandbox.intake import build_members
from adapters.adobe_sign.sandbox.replacing import delegate_to, replace_members
from adapters.adobe_sign.sandbox.world import Agreement, Member, ParticipantSet

_SET = f"{ONE}/members/participantSets/{{set_id:str}}"


def _find_set(call: Call, agreement: Agreement) -> ParticipantSet:
    wanted = call.path("set_id")
    for each in agreement.participant_sets:
        if each.id == wanted:
            return each
    raise call.refuse("unknown_set", "The participant set ID specified is invalid")


def _member_of_caller(call: Call, participant_set: ParticipantSet, trigger: str) -> Member:
    for member in participant_set.members:
        if member.email == call.actor and member.status == "ACTIVE":
            return member
    raise call.refuse(trigger, "Only the participant may do this; name the participant in x-api-user.")


@endpoint("GET", f"{ONE}/members", "get_members", scope="agreement_read")
async def get_members(call: Call) -> Reply:
    agreement = call.agreement()
    with_next = call.query("includeNextParticipantSet").lower() == "true"
    body = shapes.members(agreement, call.box.user_id(agreement.owner), with_next=with_next)
    return call.with_etag(f"{agreement.id}/members", body)


@endpoint("GET", _SET, "get_participant_set", scope="agreement_read")
async def get_participant_set(call: Call) -> Reply:
    each = _find_set(call, call.agreement())
    return call.with_etag(each.id, shapes.participant_set(each))


@endpoint("PUT", _SET, "replace_participant", scope="agreement_write")
async def replace_participant(call: Call) -> Reply:
    agreement = call.agreement()
    each = _find_set(call, agreement)
    if call.actor != agreement.owner:
        raise call.refuse("not_the_sender", "Only the sender can replace a participant.")
    body = await call.json("ParticipantSetInfo")
    call.must_match(each.id, shapes.participant_set(each))
    if agreement.status in roles.TERMINAL:
        raise call.refuse("agreement_terminal", f"The agreement is {agreement.status}")
    if each.status == "COMPLETED":
        raise call.refuse("set_completed", "The participant set has completed its action")
    if body["role"] != each.role or body.get("order") not in {None, each.order}:
        raise call.refuse("changed_role", "Role and order of a participant set cannot be changed")
    replace_members(call.box, agreement, each, build_members(call, body["memberInfos"]), call.client_ip())
    return Reply(status=204)


@endpoint("POST", f"{_SET}/delegatedParticipantSets", "delegate_participant", scope="agreement_sign")
async def delegate_participant(call: Call) -> Reply:
    agreement = call.agreement()
    each = _find_set(call, agreement)
    delegator = _member_of_caller(call, each, "not_the_participant")
    body = await call.json("DelegatedParticipantSetInfo")
    if not roles.is_out(agreement.status) or not roles.is_waiting(each.status):
        raise call.refuse("not_waiting", f"The participant set is {each.status}")
    fresh = build_members(call, body["memberInfos"])
    delegated = delegate_to(call.box, agreement, each, delegator, fresh, call.client_ip())
    return Reply(status=201, body={"participantSetId": delegated.id})


@endpoint("PUT", f"{_SET}/participants/{{member_id:str}}/reject", "reject", scope="agreement_sign")
async def reject(call: Call) -> Reply:
    agreement = call.agreement()
    each = _find_set(call, agreement)
    member = next((member for member in each.members if member.id == call.path("member_id")), None)
    if member is None:
        raise call.refuse("unknown_participant", "The participant ID specified is invalid")
    if member.email != call.actor:
        raise call.refuse("not_the_participant", "Only the participant may reject; use x-api-user.")
    body = await call.json("RejectionInfo")
    call.must_match(each.id, shapes.participant_set(each))
    try:
        lifecycle.reject(call.box, agreement, each, member, call.client_ip(), body.get("comment") or "")
    except lifecycle.WrongMomentError as error:
        raise call.refuse("not_waiting", str(error)) from error
    return Reply(status=204)


HANDLERS = [get_members, get_participant_set, replace_participant, delegate_participant, reject]
