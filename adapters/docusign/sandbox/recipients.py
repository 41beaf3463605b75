"""Takes recipients in, corrects and removes them, under the rules of draft and in-process envelopes."""

from . import lifecycle, tabs
from .catalogue import JsonObject, is_true
from .identity import CHECK_NAMES, WORKFLOW_IDS
from .refusals import Refusal
from .state import RECIPIENT_KINDS, Envelope, Recipient
from .world import World

_LIMITS = {"name": 100, "email": 100, "accessCode": 50, "note": 1000, "clientUserId": 100, "roleName": 100}
_EDITABLE_AFTER_SEND = frozenset(
    {
        "recipientId", "accessCode", "agentCanEditEmail", "agentCanEditName", "customFields",
        "deliveryMethod",
        "documentVisibility", "email", "emailNotification", "idCheckConfigurationName",
        "identityVerification",
        "name", "note", "phoneAuthentication", "recipientType", "requireIdLookup", "routingOrder",
        "signingGroupId", "smsAuthentication", "suppressEmails", "userName", "tabs", "recipientIdGuid",
        "hostEmail", "hostName", "signerName", "clientUserId", "roleName",
    }
)  # fmt: skip
_READ_ONLY = frozenset({"tabs", "status", "recipientIdGuid", "userId", "recipientType"})


def take_all(world: World, envelope: Envelope, wire: JsonObject, *, with_tabs: bool) -> list[Recipient]:
    """Adds all recipients of a `recipients` object; `with_tabs` is false where the provider ignores tabs."""
    added: list[Recipient] = []
    for kind in RECIPIENT_KINDS:
        for item in wire.get(kind) or []:
            recipient = _build(world, kind, item)
            if any(known.recipient_id == recipient.recipient_id for known in envelope.recipients):
                raise Refusal("recipient-duplicate", f"recipientId {recipient.recipient_id}.")
            envelope.recipients.append(recipient)
            added.append(recipient)
            if with_tabs:
                tabs.place_all(world, envelope, recipient, item.get("tabs") or {})
    return added


def find(envelope: Envelope, recipient_id: str) -> Recipient:
    for recipient in envelope.recipients:
        if recipient_id in {recipient.recipient_id, recipient.guid}:
            return recipient
    raise Refusal("recipient-unknown", f"recipientId {recipient_id}.")


def require_correctable(envelope: Envelope) -> None:
    if envelope.status not in {"created", "sent", "delivered"}:
        raise Refusal("recipients-invalid-state")


def correct_all(world: World, envelope: Envelope, wire: JsonObject, *, is_resend: bool) -> list[JsonObject]:
    """One result per recipient given; an item that fails is told inside the answer, not by its status."""
    require_correctable(envelope)
    results = [
        _correct(world, envelope, kind, item, is_resend=is_resend)
        for kind in RECIPIENT_KINDS
        for item in wire.get(kind) or []
    ]
    has_changed = any(result["errorDetails"]["errorCode"] == "SUCCESS" for result in results)
    if has_changed and envelope.is_open and not is_resend:
        world.record(envelope, "Corrected", "The sender corrected the recipients")
        world.emit(envelope, "envelope-corrected")
    world.touch()
    return results


def remove_all(world: World, envelope: Envelope, ids: list[str]) -> list[Recipient]:
    require_correctable(envelope)
    doomed = [find(envelope, recipient_id) for recipient_id in ids]
    if any(recipient.is_done for recipient in doomed):
        raise Refusal("recipient-already-completed")
    for recipient in doomed:
        envelope.recipients.remove(recipient)
    if envelope.is_open:
        world.record(envelope, "Corrected", "The sender removed recipients")
        world.emit(envelope, "envelope-corrected")
        lifecycle.advance_after_change(world, envelope)
    world.touch()
    return doomed


def given_ids(wire: JsonObject) -> list[str]:
    return [str(item.get("recipientId")) for kind in RECIPIENT_KINDS for item in wire.get(kind) or []]


def _build(world: World, kind: str, item: JsonObject) -> Recipient:
    recipient_id = str(item.get("recipientId") or "")
    if not recipient_id:
        raise Refusal("recipient-id-missing")
    check_attributes(kind, item)
    return Recipient(
        kind=kind,
        wire={key: value for key, value in item.items() if key not in _READ_ONLY and value is not None},
        recipient_id=recipient_id,
        guid=world.new_id(),
        user_id=world.new_id(),
        order=int(item.get("routingOrder") or 1),
    )


def check_attributes(kind: str, item: JsonObject) -> None:
    """Lengths, routing order and authentication of one recipient's wire form."""
    for name, limit in _LIMITS.items():
        if len(str(item.get(name) or "")) > limit:
            raise Refusal("recipient-attribute-too-long", f"'{name}' may have at most {limit} characters.")
    if int(item.get("routingOrder") or 1) < 1:
        raise Refusal("recipient-order-invalid")
    if kind == "inPersonSigners":
        missing = [name for name in ("hostName", "hostEmail", "signerName") if not item.get(name)]
        if missing and not item.get("roleName"):
            raise Refusal("recipient-host-missing", f"Missing: {', '.join(missing)}.")
    elif kind not in {"seals", "notaries"} and not (
        item.get("name") or item.get("roleName") or item.get("email")
    ):
        raise Refusal("recipient-name-missing", f"Recipient Id: {item.get('recipientId')}")
    workflow = (item.get("identityVerification") or {}).get("workflowId")
    if item.get("identityVerification") is not None and workflow not in WORKFLOW_IDS:
        raise Refusal("recipient-workflow-unknown", f"workflowId '{workflow}'.")
    check_name = item.get("idCheckConfigurationName")
    if check_name and check_name not in CHECK_NAMES:
        raise Refusal("recipient-id-check-unknown", f"'{check_name}'.")
    if is_true(item.get("requireIdLookup")) and not check_name:
        raise Refusal("recipient-id-check-missing")


def _correct(world: World, envelope: Envelope, kind: str, item: JsonObject, *, is_resend: bool) -> JsonObject:
    recipient_id = str(item.get("recipientId") or "")
    if not recipient_id:
        raise Refusal("recipient-id-missing")
    known = [r for r in envelope.recipients if recipient_id in {r.recipient_id, r.guid}]
    if not known:
        if envelope.status != "created":
            return _failed(recipient_id, "", "The recipient is not in the envelope.")
        recipient = take_all(world, envelope, {kind: [item]}, with_tabs=False)[0]
        return _succeeded(recipient)
    recipient = known[0]
    problem = _problem(envelope, recipient, kind, item)
    if problem:
        return _failed(recipient.recipient_id, recipient.guid, problem)
    check_attributes(kind, {**recipient.wire, **item})
    had = recipient.email
    recipient.wire.update({key: value for key, value in item.items() if key not in _READ_ONLY})
    recipient.order = int(recipient.wire.get("routingOrder") or 1)
    if envelope.is_open and recipient.is_waiting and (is_resend or item.get("email")):
        # Any e-mail address in the request sends a correction mail, also an unchanged one.
        if recipient.email != had:
            recipient.status, recipient.delivered_at = "sent", None
        lifecycle.resend_to(world, envelope, recipient)
    return _succeeded(recipient)


def _problem(envelope: Envelope, recipient: Recipient, kind: str, item: JsonObject) -> str:
    if recipient.kind != kind:
        return f"The recipient is one of {recipient.kind}."
    if envelope.status == "created":
        return ""
    if recipient.is_done or recipient.status == "declined":
        return "The recipient has already completed or declined."
    fixed = sorted(set(item) - _EDITABLE_AFTER_SEND)
    return f"Not editable after sending: {', '.join(fixed)}." if fixed else ""


def _succeeded(recipient: Recipient) -> JsonObject:
    return {
        "recipientId": recipient.recipient_id,
        "recipientIdGuid": recipient.guid,
        "errorDetails": {"errorCode": "SUCCESS", "message": ""},
    }


def _failed(recipient_id: str, guid: str, message: str) -> JsonObject:
    return {
        "recipientId": recipient_id,
        "recipientIdGuid": guid or None,
        "errorDetails": {"errorCode": "RECIPIENT_UPDATE_FAILED", "message": message},
    }
