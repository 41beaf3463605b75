"""What may happen to an agreement and what follows: processing, routing, signing, ending.

Callers have checked who asks; a move that the state does not allow raises WrongMomentError, changing nothing.
"""

from datetime import timedelta

from adapters.adobe_sign.sandbox import roles
from adapters.adobe_sign.sandbox.box import Sandbox
from adapters.adobe_sign.sandbox.notices import record
from adapters.adobe_sign.sandbox.payload import Notice
from adapters.adobe_sign.sandbox.pdf import ConversionError
from adapters.adobe_sign.sandbox.processing import process_documents
from adapters.adobe_sign.sandbox.reminding import remind_if_due, start_agreed_reminder
from adapters.adobe_sign.sandbox.shapes import instant
from adapters.adobe_sign.sandbox.stamping import add_stamps, fill_fields
from adapters.adobe_sign.sandbox.world import Agreement, Member, ParticipantSet

PROCESSING = "DOCUMENTS_NOT_YET_PROCESSED"
PRE_SEND = frozenset({"DRAFT", "AUTHORING"})


class WrongMomentError(RuntimeError):
    """The state of the agreement or participant does not allow the move."""


def tick(box: Sandbox, agreement: Agreement) -> None:
    """Do what is due for one agreement, and ask to be called again for what is not."""
    now = box.now()
    if agreement.status == PROCESSING:
        ready = agreement.created + timedelta(seconds=box.options.processing_s)
        if now < ready:
            box.wake_at(ready, agreement)
            return
        finish_processing(box, agreement)
    if agreement.expiration is not None and roles.is_out(agreement.status):
        if now >= agreement.expiration:
            expire(box, agreement)
            return
        box.wake_at(agreement.expiration, agreement)
    if roles.is_out(agreement.status):
        remind_if_due(box, agreement)


def finish_processing(box: Sandbox, agreement: Agreement) -> None:
    """Convert the documents, then land in the state that the creation asked for."""
    try:
        process_documents(box.keeper, agreement)
    except ConversionError as error:
        fail_conversion(box, agreement, str(error))
        return
    agreement.status = "OUT_FOR_SIGNATURE" if agreement.wanted == "IN_PROCESS" else agreement.wanted
    box.changed(agreement)
    if agreement.wanted == "IN_PROCESS":
        send(box, agreement)


def process_again(box: Sandbox, agreement: Agreement) -> None:
    """A draft was changed: convert its documents anew; it stays in its state."""
    try:
        process_documents(box.keeper, agreement)
    except ConversionError as error:
        fail_conversion(box, agreement, str(error))
        return
    box.changed(agreement)


def send(box: Sandbox, agreement: Agreement) -> None:
    """Put the agreement out: it is created for the webhooks now, and the first step is asked to act."""
    agreement.wanted = "IN_PROCESS"
    _set_statuses(box, agreement)
    owner = agreement.owner
    description = f"Document created by {owner}"
    record(
        box,
        agreement,
        Notice(type="CREATED", event="AGREEMENT_CREATED", description=description, acting_email=owner),
    )
    _request_actions(box, agreement)
    start_agreed_reminder(box, agreement)
    if agreement.expiration is not None:
        box.wake_at(agreement.expiration, agreement)


def view(
    box: Sandbox, agreement: Agreement, participant_set: ParticipantSet, member: Member, ip: str
) -> None:
    """The participant opens the documents."""
    _must_wait(agreement, participant_set)
    member.viewed = True
    _record_by(box, agreement, participant_set, member, ip, "DOCUMENTS_VIEWED", "viewed the documents")


def open_email(
    box: Sandbox, agreement: Agreement, participant_set: ParticipantSet, member: Member, ip: str
) -> None:
    """The participant opens the request's e-mail."""
    _must_wait(agreement, participant_set)
    _record_by(box, agreement, participant_set, member, ip, "EMAIL_VIEWED", "viewed the e-mail")


def bounce(
    box: Sandbox, agreement: Agreement, participant_set: ParticipantSet, member: Member, ip: str
) -> None:
    """The request's e-mail to the participant bounces."""
    _must_wait(agreement, participant_set)
    _record_by(box, agreement, participant_set, member, ip, "EMAIL_BOUNCED", "could not be reached by e-mail")


def act(
    box: Sandbox,
    agreement: Agreement,
    participant_set: ParticipantSet,
    member: Member,
    ip: str,
    values: dict[str, str],
) -> None:
    """The participant does what the role asks: signs, approves, accepts, fills, acknowledges."""
    _must_wait(agreement, participant_set)
    if roles.is_delegator(participant_set.role):
        raise WrongMomentError("a delegator delegates; signing is for the person delegated to")
    now = box.now()
    step = roles.STEPS[participant_set.role]
    fill_fields(agreement, participant_set, member, values, now)
    add_stamps(box.keeper, agreement, participant_set, member, now)
    participant_set.status = "COMPLETED"
    participant_set.completed_by = member.id
    participant_set.completed_at = now
    _set_statuses(box, agreement)
    verb = step.terminal_status.replace("_", " ").lower()
    record(
        box,
        agreement,
        Notice(
            type=step.action_type,
            event="AGREEMENT_ACTION_COMPLETED",
            description=f"Document {verb} by {member.name} ({member.email})",
            acting_email=member.email,
            acting_ip=ip,
            participant_set=participant_set,
            member=member,
            action_type=step.action_type,
        ),
    )
    _request_actions(box, agreement)
    _finish_if_done(box, agreement)


def _finish_if_done(box: Sandbox, agreement: Agreement) -> None:
    if agreement.status in roles.TERMINAL_OK:
        record(
            box,
            agreement,
            Notice(
                type="WORKFLOW_COMPLETED",
                event="AGREEMENT_WORKFLOW_COMPLETED",
                description="All participants have completed their actions",
                acting_email=agreement.owner,
            ),
        )


def reject(
    box: Sandbox,
    agreement: Agreement,
    participant_set: ParticipantSet,
    member: Member,
    ip: str,
    comment: str,
) -> None:
    """The participant declines, which cancels the agreement."""
    _must_wait(agreement, participant_set)
    _close(box, agreement, box.options.cancelled_word, "CANCELLED")
    comment = comment or "Signer canceled without providing a reason."
    record(
        box,
        agreement,
        Notice(
            type="REJECTED",
            event="AGREEMENT_REJECTED",
            description=f"Document declined by {member.name} ({member.email}): {comment}",
            acting_email=member.email,
            acting_ip=ip,
            participant_set=participant_set,
            member=member,
            comment=comment,
            extra={"agreementCancellationInfo": {"comment": comment, "notifyOthers": False}},
        ),
    )


def recall(box: Sandbox, agreement: Agreement, comment: str, *, notify_others: bool) -> None:
    """The sender cancels."""
    _close(box, agreement, box.options.cancelled_word, "CANCELLED")
    record(
        box,
        agreement,
        Notice(
            type="RECALLED",
            event="AGREEMENT_RECALLED",
            sub_event="RECALLED",
            description=f"Document cancelled by {agreement.owner}: {comment}",
            acting_email=agreement.owner,
            comment=comment,
            extra={"agreementCancellationInfo": {"comment": comment, "notifyOthers": notify_others}},
        ),
    )


def expire(box: Sandbox, agreement: Agreement) -> None:
    """The deadline has passed."""
    if not roles.is_out(agreement.status):
        raise WrongMomentError(f"an agreement in {agreement.status} does not expire")
    waiting = next((each for each in agreement.participant_sets if roles.is_waiting(each.status)), None)
    _close(box, agreement, "EXPIRED", "EXPIRED")
    comment = f"The agreement expired on {instant(box.now())}."
    record(
        box,
        agreement,
        Notice(
            type="EXPIRED",
            event="AGREEMENT_EXPIRED",
            sub_event="EXPIRED",
            description=comment,
            acting_email=agreement.owner,
            participant_set=waiting,
            member=_active(waiting) if waiting else None,
            extra={"agreementExpirationInfo": {"comment": comment}},
        ),
    )


def fail_conversion(box: Sandbox, agreement: Agreement, reason: str) -> None:
    """A document could not be converted, which cancels the agreement."""
    _close(box, agreement, box.options.cancelled_word, "CANCELLED")
    record(
        box,
        agreement,
        Notice(
            type="AUTO_CANCELLED_CONVERSION_PROBLEM",
            event="AGREEMENT_AUTO_CANCELLED_CONVERSION_PROBLEM",
            description=f"Cancelled because a document could not be converted: {reason}",
            acting_email=agreement.owner,
        ),
    )


def close_after_failed_authentication(box: Sandbox, agreement: Agreement, notice: Notice) -> None:
    """The last attempt failed: the agreement is cancelled."""
    _close(box, agreement, box.options.cancelled_word, "CANCELLED")
    record(box, agreement, notice)


def route_again(box: Sandbox, agreement: Agreement) -> None:
    """After a change of participants: statuses, then requests to whoever is newly asked."""
    _set_statuses(box, agreement)
    box.changed(agreement)


def request_action(
    box: Sandbox, agreement: Agreement, participant_set: ParticipantSet, member: Member
) -> None:
    """Ask one participant to act."""
    _record_by(
        box,
        agreement,
        participant_set,
        member,
        "127.0.0.1",
        "ACTION_REQUESTED",
        "was asked to act",
        system=True,
    )


def _set_statuses(box: Sandbox, agreement: Agreement) -> None:
    """Statuses of sets and agreement from the completed sets; the lowest incomplete order is waiting."""
    routed = [each for each in agreement.participant_sets if each.role != roles.SHARE]
    open_sets = [each for each in routed if each.status != "COMPLETED"]
    if not open_sets:
        agreement.status = roles.strongest({each.role for each in routed}).terminal_status
        box.changed(agreement)
        return
    current = min(each.order for each in open_sets)
    for each in open_sets:
        each.status = roles.waiting_status(each.role) if each.order == current else "NOT_YET_VISIBLE"
    waiting = {each.role for each in open_sets if each.order == current}
    agreement.status = roles.strongest(waiting).out_status


def _request_actions(box: Sandbox, agreement: Agreement) -> None:
    """Ask everyone who is waiting and has not been asked yet."""
    asked = {event.participant_id for event in agreement.events if event.type == "ACTION_REQUESTED"}
    for each in agreement.participant_sets:
        if roles.is_waiting(each.status):
            for member in each.members:
                if member.status == "ACTIVE" and member.id not in asked:
                    request_action(box, agreement, each, member)


def _close(box: Sandbox, agreement: Agreement, status: str, set_status: str) -> None:
    if agreement.status in roles.TERMINAL:
        raise WrongMomentError(f"the agreement is {agreement.status} already")
    agreement.status = status
    for each in agreement.participant_sets:
        if each.status != "COMPLETED":
            each.status = set_status
    box.changed(agreement)


def _must_wait(agreement: Agreement, participant_set: ParticipantSet) -> None:
    if not roles.is_out(agreement.status) or not roles.is_waiting(participant_set.status):
        raise WrongMomentError(
            f"the agreement is {agreement.status}, the participant set is {participant_set.status}"
        )


def _active(participant_set: ParticipantSet) -> Member | None:
    return next((member for member in participant_set.members if member.status == "ACTIVE"), None)


def _record_by(
    box: Sandbox,
    agreement: Agreement,
    participant_set: ParticipantSet,
    member: Member,
    ip: str,
    type_: str,
    what: str,
    *,
    system: bool = False,
) -> None:
    record(
        box,
        agreement,
        Notice(
            type=type_,
            event=f"AGREEMENT_{type_}",
            description=f"{member.name} ({member.email}) {what}",
            acting_email=agreement.owner if system else member.email,
            acting_ip=ip,
            participant_set=participant_set,
            member=member,
        ),
    )
