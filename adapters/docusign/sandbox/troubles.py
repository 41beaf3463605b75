"""What goes wrong without ending the envelope: failed authentication, bounces, delegation."""

from . import lifecycle
from .catalogue import is_true
from .clock import trimmed
from .refusals import Refusal
from .state import Envelope, Recipient
from .world import World

MAX_WRONG_CODES = 3


def fail_authentication(world: World, envelope: Envelope, recipient: Recipient) -> None:
    """Marks the recipient's configured check as failed; the envelope's status does not move."""
    _require_waiting(envelope, recipient)
    recipient.authentication[_result_name(recipient)] = {
        "status": "Failed",
        "eventTimestamp": trimmed(world.now()),
        "failureDescription": "Sandbox: the recipient did not pass the check.",
    }
    world.record(envelope, "Authentication Failed", "The recipient failed authentication", recipient)
    world.emit(envelope, "recipient-authenticationfailed", recipient)


def pass_authentication(world: World, recipient: Recipient) -> None:
    recipient.authentication[_result_name(recipient)] = {
        "status": "Passed",
        "eventTimestamp": trimmed(world.now()),
    }
    world.touch()


def enter_access_code(world: World, envelope: Envelope, recipient: Recipient, code: str) -> bool:
    """Whether the code is right; the third wrong one fails the authentication."""
    if code == recipient.wire.get("accessCode"):
        pass_authentication(world, recipient)
        return True
    recipient.wrong_codes += 1
    world.touch()
    if recipient.wrong_codes >= MAX_WRONG_CODES:
        fail_authentication(world, envelope, recipient)
    return False


def autorespond(world: World, envelope: Envelope, recipient: Recipient, reason: str) -> None:
    """The recipient's mail server answers by itself: a bounce or an absence note."""
    _require_waiting(envelope, recipient)
    recipient.status, recipient.auto_responded_reason = "autoresponded", reason
    world.record(envelope, "Autoresponded", reason, recipient)
    world.emit(envelope, "recipient-autoresponded", recipient)


def reassign(
    world: World, envelope: Envelope, recipient: Recipient, name: str, email: str, event: str
) -> None:
    """The recipient hands the task to somebody else, unless the sender forbade it."""
    _require_waiting(envelope, recipient)
    if not is_true(envelope.wire.get("allowReassign", "true")):
        raise Refusal("control-reassign-forbidden")
    if not name or "@" not in email:
        raise Refusal("control-body", "name and email of the new recipient are needed.")
    world.emit(envelope, event, recipient)
    recipient.wire["name"], recipient.wire["email"] = name, email
    recipient.status, recipient.user_id = "sent", world.new_id()
    recipient.sent_at, recipient.delivered_at = world.now(), None
    world.record(envelope, "Reassigned", f"The envelope was reassigned to {name}", recipient)
    world.emit(envelope, "recipient-sent", recipient)


def finish_later(world: World, envelope: Envelope, recipient: Recipient) -> None:
    lifecycle.view(world, envelope, recipient)
    world.emit(envelope, "recipient-finish-later", recipient)


def _require_waiting(envelope: Envelope, recipient: Recipient) -> None:
    if not envelope.is_open:
        raise Refusal("control-envelope-not-open")
    if not recipient.is_waiting:
        raise Refusal("control-recipient-not-waiting", f"It is '{recipient.status}'.")


def _result_name(recipient: Recipient) -> str:
    if recipient.wire.get("accessCode"):
        return "accessCodeResult"
    if recipient.wire.get("identityVerification"):
        return "identityVerificationResult"
    check = str(recipient.wire.get("idCheckConfigurationName") or "")
    if check.startswith("Phone"):
        return "phoneAuthResult"
    return "smsAuthResult" if check.startswith("SMS") else "idQuestionsResult"
