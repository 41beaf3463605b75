"""How an envelope moves in the DocuSign sandbox, over real HTTP."""

import pytest
from sandbox_docusign_kit import Receiver, Sandbox, definition, notification, signer


def test_envelope_of_two_steps_goes_sent_delivered_sent_and_completes(sandbox: Sandbox) -> None:
    people = {
        "signers": [signer("1", "1"), signer("2", "2")],
        "carbonCopies": [{"recipientId": "3", "routingOrder": "3", "name": "Cy", "email": "cy@example.com"}],
    }
    envelope_id = sandbox.create(recipients=people)
    seen = [sandbox.get(envelope_id)["status"]]
    for recipient_id, action in (("1", "view"), ("1", "sign"), ("2", "view"), ("2", "sign")):
        answer = sandbox.act(envelope_id, recipient_id, action)
        assert answer.status_code == 200, answer.text
        seen.append(answer.json()["status"])
    assert seen == ["sent", "delivered", "sent", "delivered", "completed"]
    shown = sandbox.get(envelope_id)
    assert shown["completedDateTime"].endswith("Z")
    assert shown["recipients"]["carbonCopies"][0]["status"] == "completed"
    assert shown["recipients"]["recipientCount"] == "3"


def test_create_answers_with_a_summary_in_the_providers_form(sandbox: Sandbox) -> None:
    answer = sandbox.api("POST", "/envelopes", definition())
    assert answer.status_code == 201
    summary = answer.json()
    assert set(summary) == {"envelopeId", "uri", "status", "statusDateTime"}
    assert summary["uri"] == f"/envelopes/{summary['envelopeId']}"
    assert len(summary["statusDateTime"]) == len("2024-03-05T10:15:30.4030000Z")


@pytest.mark.parametrize("action", ["reassign", "delegate"])
def test_recipient_hands_over_and_the_new_one_signs(
    sandbox: Sandbox, receiver: Receiver, action: str
) -> None:
    hook = notification(receiver.url, f"recipient-{action}")
    envelope_id = sandbox.create(eventNotification=hook)
    sandbox.act(envelope_id, "1", "view")
    sandbox.act(envelope_id, "1", action, name="New One", email="new@example.com")
    assert receiver.next()["data"]["recipientId"] == "1"
    person = sandbox.get(envelope_id)["recipients"]["signers"][0]
    assert (person["name"], person["email"], person["status"]) == ("New One", "new@example.com", "sent")
    assert sandbox.act(envelope_id, "1", "sign").json()["status"] == "completed"


def test_bounced_recipient_is_asked_again_by_a_resend(sandbox: Sandbox) -> None:
    envelope_id = sandbox.create()
    bounced = sandbox.act(envelope_id, "1", "autorespond", reason="550 no such mailbox").json()
    person = bounced["recipients"]["signers"][0]
    assert (person["status"], person["autoRespondedReason"]) == ("autoresponded", "550 no such mailbox")
    assert sandbox.api("PUT", f"/envelopes/{envelope_id}?resend_envelope=true", {}).status_code == 200
    assert sandbox.get(envelope_id)["recipients"]["signers"][0]["status"] == "sent"


def test_refused_definition_leaves_no_envelope_and_no_message(sandbox: Sandbox, receiver: Receiver) -> None:
    before = len(sandbox.control("GET", "/envelopes").json()["envelopes"])
    hook = notification(receiver.url, "envelope-created", "envelope-sent")
    people = {"signers": [signer(), signer("2", email="nobody")]}
    body = definition(eventNotification=hook, recipients=people)
    assert sandbox.api("POST", "/envelopes", body).status_code == 400
    assert len(sandbox.control("GET", "/envelopes").json()["envelopes"]) == before
    messages = sandbox.control("GET", "/webhooks").json()["messages"]
    assert receiver.url not in [message["url"] for message in messages]
