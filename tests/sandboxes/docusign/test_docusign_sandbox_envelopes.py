"""How an envelope moves in the DocuSign sandbox, over real HTTP."""

from sandbox_docusign_kit import Sandbox, definition, signer


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
