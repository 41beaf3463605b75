"""Form fields, form data and reminders of an agreement."""

import csv
import io

from adapters.adobe_sign.sandbox import roles, shapes
from adapters.adobe_sign.sandbox.agreements import ONE
from adapters.adobe_sign.sandbox.calls import Call, Reply, endpoint
from adapters.adobe_sign.sandbox.processing import page_size
from adapters.adobe_sign.sandbox.reminding import add_reminder
from adapters.adobe_sign.sandbox.world import Agreement, JsonObject, Reminder

_NO_ONE = frozenset({"NOBODY", "PREFILL"})


@endpoint("GET", f"{ONE}/formFields", "get_form_fields", scope="agreement_read")
async def get_form_fields(call: Call) -> Reply:
    agreement = call.agreement()
    return call.with_etag(f"{agreement.id}/formFields", {"fields": agreement.fields})


@endpoint("PUT", f"{ONE}/formFields", "put_form_fields", scope="agreement_write")
async def put_form_fields(call: Call) -> Reply:
    agreement = call.agreement()
    body = await call.json("FormFieldPutInfo")
    if agreement.status != "AUTHORING":
        raise call.refuse("not_authoring", "The agreement is not in the state AUTHORING")
    call.must_match(f"{agreement.id}/formFields", {"fields": agreement.fields})
    _check_fields(call, agreement, body["fields"])
    agreement.fields = body["fields"]
    call.box.changed(agreement)
    return Reply(body={"fields": agreement.fields})


def _check_fields(call: Call, agreement: Agreement, fields: list[JsonObject]) -> None:
    assignees = {each.id for each in agreement.participant_sets} | _NO_ONE
    names: set[str] = set()
    for field in fields:
        name = field["name"]
        # Radio buttons of one group share their name.
        if name in names and field.get("inputType") != "RADIO":
            raise call.refuse("duplicate_name", f"Two fields are named {name!r}")
        names.add(name)
        if field.get("assignee", "NOBODY") not in assignees:
            raise call.refuse("unknown_assignee", f"The assignee of {name!r} is not a participant set")
        for location in field.get("locations") or []:
            _check_location(call, agreement, name, location)


def _check_location(call: Call, agreement: Agreement, name: str, location: JsonObject) -> None:
    size = page_size(call.box.keeper, agreement, location["pageNumber"])
    if size is None:
        raise call.refuse("page_out_of_range", f"{name!r}: there is no page {location['pageNumber']}")
    width, height = size
    right, bottom = location["left"] + location["width"], location["top"] - location["height"]
    inside = location["left"] >= 0 and right <= width and bottom >= 0 and location["top"] <= height
    if not inside or location["width"] <= 0 or location["height"] <= 0:
        # A likely mistake is counting `top` from the top of the page.
        raise call.refuse("outside_page", f"{name!r} is not on the page; `top` counts from the bottom")


@endpoint("GET", f"{ONE}/formData", "get_form_data", scope="agreement_read")
async def get_form_data(call: Call) -> Reply:
    agreement = call.agreement()
    names = [field["name"] for field in agreement.fields]
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(["completed", "email", "role", "name", "agreementId", *names])
    for each in agreement.participant_sets:
        for member in each.members:
            if member.id == each.completed_by and each.completed_at is not None:
                own = {field["name"] for field in agreement.fields if field.get("assignee") == each.id}
                values = [agreement.values.get(name, "") if name in own else "" for name in names]
                done = shapes.instant(each.completed_at)
                writer.writerow([done, member.email, each.role, member.name, agreement.id, *values])
    return Reply(content=out.getvalue().encode(), media_type="text/csv")


@endpoint("POST", f"{ONE}/reminders", "create_reminder", scope="agreement_write")
async def create_reminder(call: Call) -> Reply:
    agreement = call.agreement()
    body = await call.json("ReminderInfo")
    if not roles.is_out(agreement.status):
        raise call.refuse("agreement_not_out", f"The agreement is {agreement.status}")
    if body.get("firstReminderDelay", 0) < 0:
        raise call.refuse("negative_delay", "firstReminderDelay must not be negative")
    waiting = {
        member.id: each.status
        for each in agreement.participant_sets
        for member in each.members
        if member.status == "ACTIVE"
    }
    for participant_id in body["recipientParticipantIds"]:
        if participant_id not in waiting:
            raise call.refuse("unknown_participant", "The participant ID specified is invalid")
        if waiting[participant_id] == "COMPLETED":
            raise call.refuse("participant_not_waiting", "The participant has completed the action")
    reminder = Reminder(
        id=call.box.new_id(),
        participant_ids=body["recipientParticipantIds"],
        note=body.get("note") or "",
        frequency=body.get("frequency") or "ONCE",
        first_delay_h=body.get("firstReminderDelay") or 0,
        counter_from=body.get("startReminderCounterFrom") or "REMINDER_CREATION",
    )
    add_reminder(call.box, agreement, reminder)
    location = f"{call.request.url}/{reminder.id}"
    return Reply(status=201, body={"id": reminder.id}, headers={"Location": location})


@endpoint("GET", f"{ONE}/reminders", "list_reminders", scope="agreement_read")
async def list_reminders(call: Call) -> Reply:
    agreement = call.agreement()
    body = {"reminderInfoList": [shapes.reminder(each) for each in agreement.reminders]}
    return call.with_etag(f"{agreement.id}/reminders", body)


HANDLERS = [get_form_fields, put_form_fields, get_form_data, create_reminder, list_reminders]
