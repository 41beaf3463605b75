"""Reminders: sent at once, after a delay, daily or weekly until the participant has acted."""

from datetime import datetime, timedelta

from adapters.adobe_sign.sandbox import roles
from adapters.adobe_sign.sandbox.box import Sandbox
from adapters.adobe_sign.sandbox.notices import record
from adapters.adobe_sign.sandbox.payload import Notice
from adapters.adobe_sign.sandbox.world import Agreement, Member, ParticipantSet, Reminder

_EVERY = {"DAILY_UNTIL_SIGNED": timedelta(days=1), "WEEKLY_UNTIL_SIGNED": timedelta(days=7)}


def add_reminder(box: Sandbox, agreement: Agreement, reminder: Reminder) -> None:
    """Keep the reminder, announce it, and send what is due already."""
    start = agreement.created if reminder.counter_from == "AGREEMENT_AVAILABILITY" else box.now()
    first = timedelta(hours=reminder.first_delay_h)
    if not reminder.first_delay_h:
        first = _EVERY.get(reminder.frequency, timedelta(0))
    reminder.next_sent = start + first
    agreement.reminders.append(reminder)
    record(
        box,
        agreement,
        _notice(agreement, reminder, "REMINDER_INITIATED", f"Reminder set: {reminder.note}"),
    )
    remind_if_due(box, agreement)


def start_agreed_reminder(box: Sandbox, agreement: Agreement) -> None:
    """The reminder that the creation itself asked for (reminderFrequency, firstReminderDelay)."""
    frequency = agreement.info.get("reminderFrequency", "")
    delay = agreement.info.get("firstReminderDelay", 0)
    if not frequency and not delay:
        return
    everyone = [
        member.id
        for each in agreement.participant_sets
        if each.role != roles.SHARE
        for member in each.members
        if member.status == "ACTIVE"
    ]
    reminder = Reminder(
        id=box.new_id(), participant_ids=everyone, frequency=frequency or "ONCE", first_delay_h=delay
    )
    reminder.next_sent = box.now() + (timedelta(hours=delay) if delay else _EVERY[frequency])
    agreement.reminders.append(reminder)
    box.wake_at(reminder.next_sent, agreement)


def remind_if_due(box: Sandbox, agreement: Agreement) -> None:
    """Send every reminder whose time has come to those who are still waiting."""
    for reminder in agreement.reminders:
        if reminder.status != "ACTIVE" or reminder.next_sent is None:
            continue
        if reminder.next_sent > box.now():
            box.wake_at(reminder.next_sent, agreement)
            continue
        _send(box, agreement, reminder, box.now())


def _send(box: Sandbox, agreement: Agreement, reminder: Reminder, now: datetime) -> None:
    waiting = _waiting_of(agreement, reminder)
    if waiting:
        reminder.last_sent = now
        names = ", ".join(member.email for _, member in waiting)
        record(box, agreement, _notice(agreement, reminder, "REMINDER_SENT", f"Reminder sent to {names}"))
    every = _EVERY.get(reminder.frequency)
    if every is None:
        reminder.status, reminder.next_sent = "COMPLETE", None
        return
    reminder.next_sent = now + every
    box.wake_at(reminder.next_sent, agreement)


def _waiting_of(agreement: Agreement, reminder: Reminder) -> list[tuple[ParticipantSet, Member]]:
    return [
        (each, member)
        for each in agreement.participant_sets
        if roles.is_waiting(each.status)
        for member in each.members
        if member.id in reminder.participant_ids and member.status == "ACTIVE"
    ]


def _notice(agreement: Agreement, reminder: Reminder, type_: str, description: str) -> Notice:
    reminded = _waiting_of(agreement, reminder)
    participant_set, member = reminded[0] if reminded else (None, None)
    return Notice(
        type=type_,
        event=f"AGREEMENT_{type_}",
        description=description,
        acting_email=agreement.owner,
        participant_set=participant_set,
        member=member,
        comment=reminder.note,
        extra={
            "reminderInfo": {
                "id": reminder.id,
                "note": reminder.note,
                "participantList": [
                    {"participantUserId": each.user_id, "id": each.id, "email": each.email}
                    for _, each in reminded
                ],
            }
        },
    )
