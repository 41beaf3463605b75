"""Parts of one envelope: recipients, tabs, custom fields, notification and the edit lock."""

from datetime import timedelta

from litestar import delete, get, post, put

from . import building, lifecycle, recipients, render, tabs
from .exchange import (
    Answer,
    HttpRequest,
    answer,
    body_of,
    envelope_of,
    part,
    query_is_true,
    require_lock,
    world_of,
)
from .refusals import Refusal
from .state import Lock, Recipient

_RECIPIENTS = "/envelopes/{envelope_id:str}/recipients"
_TABS = "/envelopes/{envelope_id:str}/recipients/{recipient_id:str}/tabs"
_FIELDS = "/envelopes/{envelope_id:str}/custom_fields"
_NOTIFICATION = "/envelopes/{envelope_id:str}/notification"
_LOCK = "/envelopes/{envelope_id:str}/lock"
_LONGEST_LOCK_S = 3600


@get(_RECIPIENTS, name="recipients.list")
async def list_recipients(request: HttpRequest) -> Answer:
    return answer(render.recipients(envelope_of(request), with_tabs=query_is_true(request, "include_tabs")))


@post(_RECIPIENTS, name="recipients.add", status_code=201)
async def add_recipients(request: HttpRequest) -> Answer:
    """Adds recipients; tabs in this request are ignored, as the real service does."""
    world, envelope = world_of(request), envelope_of(request)
    body = await body_of(request, "Recipients")
    require_lock(request, envelope)
    recipients.require_correctable(envelope)
    added = recipients.take_all(world, envelope, body, with_tabs=False)
    if envelope.is_open:
        world.record(envelope, "Corrected", "The sender added recipients")
        world.emit(envelope, "envelope-corrected")
        lifecycle.advance_after_change(world, envelope)
    world.touch()
    shown = render.recipients(envelope, with_tabs=False)
    ids = {recipient.recipient_id for recipient in added}
    kinds = {
        kind: [r for r in value if r["recipientId"] in ids]
        for kind, value in shown.items()
        if isinstance(value, list)
    }
    return answer({**shown, **kinds}, 201)


@put(_RECIPIENTS, name="recipients.update")
async def correct_recipients(request: HttpRequest) -> Answer:
    """Corrects recipients by recipientId; failures of single ones stand inside a 200."""
    world, envelope = world_of(request), envelope_of(request)
    body = await body_of(request, "Recipients")
    require_lock(request, envelope)
    is_resend = query_is_true(request, "resend_envelope")
    results = recipients.correct_all(world, envelope, body, is_resend=is_resend)
    return answer({"recipientUpdateResults": results})


@delete(_RECIPIENTS, name="recipients.remove", status_code=200)
async def remove_recipients(request: HttpRequest) -> Answer:
    world, envelope = world_of(request), envelope_of(request)
    body = await body_of(request, "Recipients")
    require_lock(request, envelope)
    recipients.remove_all(world, envelope, recipients.given_ids(body))
    return answer(render.recipients(envelope, with_tabs=False))


@delete(_RECIPIENTS + "/{recipient_id:str}", name="recipients.remove_one", status_code=200)
async def remove_recipient(request: HttpRequest) -> Answer:
    world, envelope = world_of(request), envelope_of(request)
    require_lock(request, envelope)
    recipients.remove_all(world, envelope, [part(request, "recipient_id")])
    return answer(render.recipients(envelope, with_tabs=False))


@get(_TABS, name="tabs.list")
async def list_tabs(request: HttpRequest) -> Answer:
    return answer(_recipient(request).tabs)


@post(_TABS, name="tabs.add", status_code=201)
async def add_tabs(request: HttpRequest) -> Answer:
    recipient, body = await _tabs_of(request)
    return answer(tabs.place_all(world_of(request), envelope_of(request), recipient, body), 201)


@put(_TABS, name="tabs.update")
async def change_tabs(request: HttpRequest) -> Answer:
    recipient, body = await _tabs_of(request)
    return answer(tabs.change_all(envelope_of(request), recipient, body))


@delete(_TABS, name="tabs.remove", status_code=200)
async def remove_tabs(request: HttpRequest) -> Answer:
    recipient, body = await _tabs_of(request)
    return answer(tabs.remove_all(recipient, body))


@get(_FIELDS, name="custom_fields.list")
async def list_fields(request: HttpRequest) -> Answer:
    return answer(render.custom_fields(envelope_of(request)))


@post(_FIELDS, name="custom_fields.add", status_code=201)
async def add_fields(request: HttpRequest) -> Answer:
    await _set_fields(request)
    return answer(render.custom_fields(envelope_of(request)), 201)


@put(_FIELDS, name="custom_fields.update")
async def change_fields(request: HttpRequest) -> Answer:
    await _set_fields(request)
    return answer(render.custom_fields(envelope_of(request)))


@delete(_FIELDS, name="custom_fields.remove", status_code=200)
async def remove_fields(request: HttpRequest) -> Answer:
    world, envelope = world_of(request), envelope_of(request)
    body = await body_of(request, "CustomFields")
    require_lock(request, envelope)
    ids = {
        f.get("fieldId") for name in ("textCustomFields", "listCustomFields") for f in body.get(name) or []
    }
    known = {field["fieldId"] for field in [*envelope.text_fields, *envelope.list_fields]}
    if not ids or ids - known:
        raise Refusal("custom-field-unknown")
    envelope.text_fields = [field for field in envelope.text_fields if field["fieldId"] not in ids]
    envelope.list_fields = [field for field in envelope.list_fields if field["fieldId"] not in ids]
    world.touch()
    return answer(render.custom_fields(envelope))


@get(_NOTIFICATION, name="notification.get")
async def show_notification(request: HttpRequest) -> Answer:
    return answer(render.notification(envelope_of(request)))


@put(_NOTIFICATION, name="notification.update")
async def change_notification(request: HttpRequest) -> Answer:
    world, envelope = world_of(request), envelope_of(request)
    body = await body_of(request, "EnvelopeNotificationRequest")
    require_lock(request, envelope)
    if envelope.is_terminal:
        raise Refusal("update-invalid-state")
    building.set_notification(world, envelope, body)
    return answer(render.notification(envelope))


@get(_LOCK, name="lock.get")
async def show_lock(request: HttpRequest) -> Answer:
    return answer(render.lock(world_of(request), _lock_of(request)))


@post(_LOCK, name="lock.create", status_code=201)
async def take_lock(request: HttpRequest) -> Answer:
    world, envelope = world_of(request), envelope_of(request)
    body = await body_of(request, "LockRequest")
    if envelope.is_terminal:
        raise Refusal("lock-invalid-state")
    if envelope.lock is not None and envelope.lock.until > world.now():
        raise Refusal("lock-already-locked")
    if body.get("lockType") != "edit":
        raise Refusal("lock-type-invalid")
    duration = _lock_duration(str(body.get("lockDurationInSeconds") or "300"))
    envelope.lock = Lock(
        token=world.new_id(),
        until=world.now() + timedelta(seconds=duration),
        duration_s=duration,
        app=str(body.get("lockedByApp") or ""),
        kind="edit",
    )
    world.touch()
    return answer(render.lock(world, envelope.lock), 201)


@put(_LOCK, name="lock.update")
async def extend_lock(request: HttpRequest) -> Answer:
    world, lock = world_of(request), _lock_of(request)
    body = await body_of(request, "LockRequest")
    require_lock(request, envelope_of(request))
    lock.duration_s = _lock_duration(str(body.get("lockDurationInSeconds") or lock.duration_s))
    lock.until = world.now() + timedelta(seconds=lock.duration_s)
    world.touch()
    return answer(render.lock(world, lock))


@delete(_LOCK, name="lock.release", status_code=200)
async def release_lock(request: HttpRequest) -> Answer:
    world, envelope = world_of(request), envelope_of(request)
    lock = _lock_of(request)
    require_lock(request, envelope)
    envelope.lock = None
    world.touch()
    return answer(render.lock(world, lock))


def _recipient(request: HttpRequest) -> Recipient:
    return recipients.find(envelope_of(request), part(request, "recipient_id"))


async def _tabs_of(request: HttpRequest) -> tuple[Recipient, dict[str, list[dict[str, str]]]]:
    """The recipient and the tabs of the request, once both may be changed."""
    envelope, recipient = envelope_of(request), _recipient(request)
    body = await body_of(request, "Tabs")
    require_lock(request, envelope)
    recipients.require_correctable(envelope)
    if recipient.is_done:
        raise Refusal("recipient-already-completed")
    world_of(request).touch()
    return recipient, body


async def _set_fields(request: HttpRequest) -> None:
    envelope = envelope_of(request)
    body = await body_of(request, "CustomFields")
    require_lock(request, envelope)
    building.set_custom_fields(world_of(request), envelope, body)
    world_of(request).touch()


def _lock_of(request: HttpRequest) -> Lock:
    lock = envelope_of(request).lock
    if lock is None or lock.until <= world_of(request).now():
        raise Refusal("lock-none")
    return lock


def _lock_duration(text: str) -> int:
    duration = int(text) if text.isdigit() else 0
    if not 1 <= duration <= _LONGEST_LOCK_S:
        raise Refusal("lock-duration-invalid")
    return duration
