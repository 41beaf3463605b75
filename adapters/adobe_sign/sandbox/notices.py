"""Records what happened to an agreement: one row of its history, and one notification per webhook that asked.

It must never wait: sending is delivery.py's work.
"""

import uuid
from datetime import timedelta

import msgspec

from adapters.adobe_sign.sandbox.box import Sandbox
from adapters.adobe_sign.sandbox.faults import FaultKind
from adapters.adobe_sign.sandbox.payload import Notice, compose_payload
from adapters.adobe_sign.sandbox.world import (
    Agreement,
    AgreementEvent,
    Notification,
    Webhook,
)


def record(box: Sandbox, agreement: Agreement, notice: Notice) -> None:
    """Append to the history and queue the notifications."""
    member = notice.member
    agreement.events.append(
        AgreementEvent(
            id=box.new_id(),
            date=box.now(),
            type=notice.type,
            description=notice.description,
            participant_email=member.email if member else agreement.owner,
            participant_id=member.id if member else "",
            participant_role=notice.participant_set.role if notice.participant_set else "SENDER",
            acting_email=notice.acting_email,
            acting_ip=notice.acting_ip,
            comment=notice.comment,
            version_id=str(agreement.version),
        )
    )
    box.changed(agreement)
    if not notice.event:
        return
    for webhook in box.world.webhooks.values():
        if _wants(webhook, agreement, notice.event):
            _queue(box, webhook, agreement, notice)


def _wants(webhook: Webhook, agreement: Agreement, event: str) -> bool:
    if webhook.status != "ACTIVE" or not {"AGREEMENT_ALL", event} & set(webhook.events):
        return False
    match webhook.scope:
        case "RESOURCE":
            return webhook.resource_id == agreement.id
        case "USER":
            return webhook.owner == agreement.owner
        case _:
            return True  # one account, one group


def _queue(box: Sandbox, webhook: Webhook, agreement: Agreement, notice: Notice) -> None:
    notification_id = str(uuid.uuid4())
    trimmed = box.faults.take(notice.event, FaultKind.TRIMMED_PAYLOAD) is not None
    body = compose_payload(box, webhook, agreement, notice, notification_id, trimmed=trimmed)
    late = box.faults.take(notice.event, FaultKind.LATE_WEBHOOK)
    not_before = box.now() + timedelta(seconds=late.seconds if late else 0)
    notification = Notification(id=notification_id, event=notice.event, body=body, not_before=not_before)
    copies = [notification]
    if box.faults.take(notice.event, FaultKind.DUPLICATE_WEBHOOK):
        copies.append(msgspec.structs.replace(notification))
    if late is not None:
        # A late message leaves the queue, or it would only delay those behind it.
        box.late.extend((webhook, copy) for copy in copies)
    elif box.faults.take(notice.event, FaultKind.REORDER_WEBHOOKS):
        box.held_back.extend((webhook.id, copy) for copy in copies)
    else:
        webhook.queue.extend(copies)
        # What was held back to be out of order follows the message that overtook it.
        webhook.queue.extend(copy for webhook_id, copy in box.held_back if webhook_id == webhook.id)
        box.held_back = [each for each in box.held_back if each[0] != webhook.id]
    box.mark_dirty()
    box.on_queued(webhook)
