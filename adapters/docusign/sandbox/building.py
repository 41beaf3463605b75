"""Builds an envelope from its definition, or refuses all of it: nothing is kept of a refused definition."""

from . import documents, recipients
from .catalogue import JsonObject, is_true
from .hooks import from_notification
from .lifecycle import require_sendable, send, set_expiry
from .refusals import Refusal
from .state import Envelope
from .templates import resolve
from .world import World

SUBJECT_LIMIT = 100
_BLURB_LIMIT = 10_000
_FIELD_LIMIT = 100
_SEPARATE = frozenset(
    {
        "documents", "recipients", "customFields", "notification", "eventNotification", "eventNotifications",
        "compositeTemplates", "templateRoles", "status", "documentBase64", "recipientViewRequest",
        "attachments",
    }
)  # fmt: skip
_READ_ONLY = frozenset(
    {
        "envelopeId", "sender", "purgeState", "envelopeDocuments", "voidedReason", "folders", "hasComments",
        "hasFormDataChanged", "envelopeMetadata", "lockInformation", "envelopeLocation", "purgeCompletedDate",
        "purgeRequestDate",
    }
)  # fmt: skip
_NOT_SIMULATED = frozenset(
    {
        "workflow", "powerForm", "recipientViewRequest", "attachments", "envelopeAttachments",
        "documentBase64", "accessControlListBase64", "password",
    }
)  # fmt: skip


def create(world: World, definition: JsonObject, files: dict[str, bytes]) -> Envelope:
    """A new envelope, sent when the definition says so."""
    check_status(definition)
    _check_attributes(definition)
    resolved = resolve(definition)
    check_texts(resolved)
    if is_true(resolved.get("asynchronous")) and not resolved.get("transactionId"):
        raise Refusal("create-asynchronous-without-transaction")
    now = world.now()
    envelope = Envelope(
        id=world.new_id(),
        wire={key: value for key, value in resolved.items() if key not in _SEPARATE and value is not None},
        created_at=now,
        changed_at=now,
        modified_at=now,
    )
    documents.take_all(world, envelope, resolved.get("documents") or [], files)
    unused = sorted(set(files) - {document.document_id for document in envelope.documents})
    if unused:
        raise Refusal("create-multipart-document-unknown", f"documentid {', '.join(unused)}.")
    recipients.take_all(world, envelope, resolved.get("recipients") or {}, with_tabs=True)
    set_custom_fields(world, envelope, resolved.get("customFields") or {})
    set_notification(world, envelope, resolved.get("notification") or {})
    hooks = list(resolved.get("eventNotifications") or [])
    if resolved.get("eventNotification"):
        hooks.append(resolved["eventNotification"])
    envelope.hooks = [from_notification(world, wire) for wire in hooks]
    world.record(envelope, "Registered", "The envelope was created")
    is_sent = resolved.get("status") == "sent"
    if is_sent:
        require_sendable(envelope)
    world.state.envelopes[envelope.id] = envelope
    world.emit(envelope, "envelope-created")
    if is_sent:
        send(world, envelope)
    return envelope


def _check_attributes(definition: JsonObject) -> None:
    """Refuses what only the provider sets, and what this sandbox would accept without doing it."""
    given = {name for name, value in definition.items() if value is not None}
    read_only = sorted(name for name in given if name in _READ_ONLY or name.endswith(("DateTime", "Uri")))
    if read_only:
        raise Refusal("create-attribute-read-only", f"{', '.join(read_only)}.")
    missing = sorted(given & _NOT_SIMULATED)
    if missing:
        raise Refusal("create-not-simulated", f"{', '.join(missing)}.")


def check_status(definition: JsonObject) -> None:
    status = definition.get("status", "created")
    if status not in {"created", "sent"}:
        raise Refusal("create-status-invalid", f"'{status}'.")


def check_texts(wire: JsonObject) -> None:
    if len(str(wire.get("emailSubject") or "")) > SUBJECT_LIMIT:
        raise Refusal("subject-too-long")
    if len(str(wire.get("emailBlurb") or "")) > _BLURB_LIMIT:
        raise Refusal("blurb-too-long")


def set_custom_fields(world: World, envelope: Envelope, wire: JsonObject) -> None:
    """Puts the given fields in the place of those with the same fieldId or name."""
    for name, kept in (
        ("textCustomFields", envelope.text_fields),
        ("listCustomFields", envelope.list_fields),
    ):
        for field in wire.get(name) or []:
            if not field.get("name") and not field.get("fieldId"):
                raise Refusal("custom-field-without-name")
            if (
                len(str(field.get("value") or "")) > _FIELD_LIMIT
                or len(str(field.get("name") or "")) > _FIELD_LIMIT
            ):
                raise Refusal("custom-field-too-long", f"'{field.get('name')}'.")
            if (
                name == "listCustomFields"
                and field.get("value")
                and field["value"] not in field.get("listItems", [])
            ):
                raise Refusal("custom-field-not-in-list", f"'{field.get('name')}'.")
            known = [
                f for f in kept if f["fieldId"] == field.get("fieldId") or f["name"] == field.get("name")
            ]
            if known:
                known[0].update(field)
            else:
                kept.append(
                    {"show": "false", "required": "false", **field, "fieldId": str(world.next_number())}
                )


def set_notification(world: World, envelope: Envelope, wire: JsonObject) -> None:
    """Reminders and expiry in whole days."""
    expirations = wire.get("expirations") or {}
    if expirations.get("expireAfter") and not is_true(expirations.get("expireEnabled")):
        raise Refusal("notification-expire-not-enabled")
    if is_true(expirations.get("expireEnabled")) and int(expirations.get("expireAfter") or 0) < 1:
        raise Refusal("notification-expire-after-invalid")
    reminders = wire.get("reminders") or {}
    if is_true(reminders.get("reminderEnabled")) and int(reminders.get("reminderDelay") or 0) < 1:
        raise Refusal("notification-reminder-invalid")
    for name in ("useAccountDefaults", "reminders", "expirations"):
        if name in wire:
            envelope.notification[name] = wire[name]
    set_expiry(envelope)
    world.touch()
