"""How an envelope moves: routing by order, views, signatures, declines, voids and expiry, with their events.

The sender's verbs are called by the API, the recipients' verbs by the signing pages and the control API.
Every move emits its Connect events at once, with the state as it is then.
"""

from datetime import timedelta

from .catalogue import is_true
from .refusals import Refusal
from .state import Envelope, Recipient
from .world import World

_VOID_REASON_LIMIT = 200
EXPIRED_REASON = "Envelope has expired."


def require_sendable(envelope: Envelope) -> None:
    """Refuses what is no complete draft; called before anything is told to anybody."""
    if envelope.status != "created":
        raise Refusal("update-send-not-draft")
    missing = _missing_part(envelope)
    if missing:
        raise Refusal("envelope-incomplete", missing)
    for recipient in envelope.recipients:
        _check_reachable(recipient)


def send(world: World, envelope: Envelope) -> None:
    """Sends a complete draft to the recipients of the lowest routing order."""
    require_sendable(envelope)
    now = world.now()
    envelope.status = "sent"
    envelope.sent_at = envelope.initial_sent_at = envelope.changed_at = now
    set_expiry(envelope)
    world.record(envelope, "Sent Invitations", "The envelope was sent")
    world.emit(envelope, "envelope-sent")
    _advance(world, envelope)


def void(world: World, envelope: Envelope, reason: str) -> None:
    """Ends an envelope in process for its sender; a reason over 200 characters is cut."""
    if not envelope.is_open:
        raise Refusal("update-void-invalid-state")
    _end(world, envelope, "voided")
    envelope.voided_at = world.now()
    envelope.voided_reason = reason[:_VOID_REASON_LIMIT]
    world.record(envelope, "Voided", f"The sender voided the envelope: {envelope.voided_reason}")
    world.emit(envelope, "envelope-voided")


def expire(world: World, envelope: Envelope) -> None:
    """Lets the envelope's time run out now; it ends as voided, as the real service does it."""
    if not envelope.is_open:
        raise Refusal("control-envelope-not-open")
    now = world.now()
    if envelope.expire_at is None or envelope.expire_at > now:
        envelope.expire_at = now
    if not is_true(envelope.expirations["expireEnabled"]):
        envelope.notification["expirations"] = {"expireEnabled": "true", "expireAfter": "1"}
    _end(world, envelope, "voided")
    envelope.voided_at = now
    envelope.voided_reason = EXPIRED_REASON
    world.record(envelope, "Voided", EXPIRED_REASON)
    world.emit(envelope, "envelope-voided")


def expire_due(world: World) -> None:
    """Expires every open envelope whose time is over."""
    now = world.now()
    for envelope in world.state.envelopes.values():
        if envelope.is_open and envelope.expire_at is not None and envelope.expire_at <= now:
            expire(world, envelope)


def set_expiry(envelope: Envelope) -> None:
    """Computes the moment of expiry from the notification settings: whole days after the first sending."""
    expirations = envelope.expirations
    envelope.expire_at = None
    if is_true(expirations.get("expireEnabled")) and envelope.initial_sent_at is not None:
        envelope.expire_at = envelope.initial_sent_at + timedelta(days=int(expirations["expireAfter"]))


def resend(world: World, envelope: Envelope) -> None:
    """Notifies every outstanding recipient again."""
    if envelope.status not in {"created", "sent", "delivered"}:
        raise Refusal("update-resend-invalid-state")
    if envelope.status == "created":
        return
    world.record(envelope, "Resent", "The envelope was sent again to outstanding recipients")
    world.emit(envelope, "envelope-resent")
    for recipient in envelope.recipients:
        if recipient.is_waiting:
            resend_to(world, envelope, recipient)


def resend_to(world: World, envelope: Envelope, recipient: Recipient) -> None:
    """Notifies one recipient again; a bounced one is asked anew."""
    if recipient.status == "autoresponded":
        recipient.status, recipient.auto_responded_reason = "sent", None
    world.emit(envelope, "recipient-resent", recipient)


def discard(world: World, envelope: Envelope) -> None:
    """Moves an envelope to the recycle bin; one in process is voided by that."""
    if envelope.is_open:
        void(world, envelope, "Envelope was deleted by its sender.")
    if envelope.status == "created":
        envelope.status, envelope.changed_at = "deleted", world.now()
    envelope.deleted_at = world.now()
    world.record(envelope, "Deleted", "The sender moved the envelope to the recycle bin")
    world.emit(envelope, "envelope-deleted")


def purge(world: World, envelope: Envelope) -> None:
    """Drops the documents of a queued envelope now, instead of after the provider's fourteen days."""
    if not envelope.purge_state.endswith("_queued"):
        raise Refusal("control-not-queued")
    envelope.purge_state = envelope.purge_state.replace("_queued", "_purged").replace("_dequeued", "")
    envelope.is_purged = True
    world.record(envelope, "Purged", "The documents were purged")
    world.emit(envelope, "envelope-purge")


def view(world: World, envelope: Envelope, recipient: Recipient) -> None:
    """The recipient opens the documents; a certified delivery is complete by that."""
    _require_turn(envelope, recipient)
    if recipient.status in {"sent", "autoresponded"}:
        recipient.status = "delivered"
        recipient.delivered_at = world.now()
        world.record(envelope, "Viewed", "The recipient opened the envelope", recipient)
        world.emit(envelope, "recipient-delivered", recipient)
        _deliver_when_all_opened(world, envelope)
    if recipient.kind == "certifiedDeliveries":
        _complete_recipient(world, envelope, recipient)


def sign(world: World, envelope: Envelope, recipient: Recipient, values: dict[str, str]) -> None:
    """The recipient fills the tabs and finishes; fields without a value get a sandbox text."""
    view(world, envelope, recipient)
    if recipient.status == "delivered":
        _fill_tabs(world, recipient, values)
        _complete_recipient(world, envelope, recipient)


def decline(world: World, envelope: Envelope, recipient: Recipient, reason: str) -> None:
    """The recipient refuses; that ends the envelope for everyone."""
    _require_turn(envelope, recipient)
    recipient.status = "declined"
    recipient.declined_at = envelope.declined_at = world.now()
    recipient.declined_reason = reason
    _end(world, envelope, "declined")
    world.record(envelope, "Declined", f"The recipient declined: {reason}", recipient)
    world.emit(envelope, "recipient-declined", recipient)
    world.emit(envelope, "envelope-declined")


def _end(world: World, envelope: Envelope, status: str) -> None:
    envelope.status = status
    envelope.changed_at = world.now()
    envelope.lock = None


def _missing_part(envelope: Envelope) -> str:
    if not envelope.documents:
        return "No documents."
    if not envelope.recipients:
        return "No recipients."
    if not str(envelope.wire.get("emailSubject") or "").strip():
        return "No emailSubject."
    return ""


def _check_reachable(recipient: Recipient) -> None:
    address = recipient.email
    if recipient.wire.get("deliveryMethod", "email").lower() != "email":
        return
    local, _, domain = address.partition("@")
    if not local or "." not in domain or " " in address:
        raise Refusal("recipient-email-invalid", f"Recipient Id: {recipient.recipient_id}")


def _require_turn(envelope: Envelope, recipient: Recipient) -> None:
    if not envelope.is_open:
        raise Refusal("control-envelope-not-open")
    if not recipient.is_waiting:
        raise Refusal("control-recipient-not-waiting", f"It is '{recipient.status}'.")


def _advance(world: World, envelope: Envelope) -> None:
    """Starts the lowest unfinished routing order; completes the envelope when none is left."""
    for order in sorted({recipient.order for recipient in envelope.recipients}):
        group = [recipient for recipient in envelope.recipients if recipient.order == order]
        fresh = [recipient for recipient in group if recipient.status == "created"]
        if fresh:
            envelope.current_order = order
            if envelope.status == "delivered":  # the next step has not opened it yet: back to sent
                envelope.status, envelope.changed_at = "sent", world.now()
        for recipient in fresh:
            _start(world, envelope, recipient)
        if any(recipient.is_blocking and not recipient.is_done for recipient in group):
            return
    _end(world, envelope, "completed")
    envelope.completed_at = world.now()
    world.record(envelope, "Completed", "All recipients have completed the envelope")
    world.emit(envelope, "envelope-completed")


def advance_after_change(world: World, envelope: Envelope) -> None:
    """Re-evaluates the routing after recipients were added or removed by a correction."""
    if envelope.is_open:
        _advance(world, envelope)


def _start(world: World, envelope: Envelope, recipient: Recipient) -> None:
    recipient.status = "sent"
    recipient.sent_at = world.now()
    world.emit(envelope, "recipient-sent", recipient)
    if not recipient.is_blocking:  # a copy needs no action
        _complete_quietly(world, envelope, recipient)


def _complete_quietly(world: World, envelope: Envelope, recipient: Recipient) -> None:
    recipient.status = "completed"
    recipient.signed_at = world.now() if recipient.kind == "seals" else None
    world.emit(envelope, "recipient-completed", recipient)


def _complete_recipient(world: World, envelope: Envelope, recipient: Recipient) -> None:
    recipient.status = "completed"
    recipient.signed_at = world.now()
    world.record(envelope, "Signed", "The recipient completed the envelope", recipient)
    world.emit(envelope, "recipient-completed", recipient)
    _advance(world, envelope)
    _deliver_when_all_opened(world, envelope)


def _deliver_when_all_opened(world: World, envelope: Envelope) -> None:
    step = [r for r in envelope.recipients if r.order == envelope.current_order and r.is_blocking]
    if envelope.status != "sent" or not all(r.status == "delivered" or r.is_done for r in step):
        return
    envelope.status = "delivered"
    envelope.delivered_at = envelope.changed_at = world.now()
    world.emit(envelope, "envelope-delivered")


def _fill_tabs(world: World, recipient: Recipient, values: dict[str, str]) -> None:
    first, _, last = recipient.name.partition(" ")
    automatic = {
        "dateSignedTabs": world.now().strftime("%m/%d/%Y"),
        "fullNameTabs": recipient.name,
        "firstNameTabs": first,
        "lastNameTabs": last,
        "emailAddressTabs": recipient.email,
    }
    for kind, tabs in recipient.tabs.items():
        for tab in tabs:
            given = values.get(str(tab.get("tabLabel")))
            match kind:
                case "signHereTabs" | "initialHereTabs":
                    tab["status"] = "signed"
                case "approveTabs" | "declineTabs" | "radioGroupTabs" | "tabGroups":
                    pass
                case "checkboxTabs":
                    wanted = given or (
                        "true" if is_true(tab.get("required")) else tab.get("selected", "false")
                    )
                    tab["selected"] = wanted
                case _ if kind in automatic:
                    tab["value"] = automatic[kind]
                case _:
                    required = is_true(tab.get("required", "true")) and not is_true(tab.get("locked"))
                    tab["value"] = given or tab.get("value") or ("SANDBOX" if required else "")
