"""Changes after creation: void, resend, expiry, recipients, tabs, documents, locks, custom fields, recycle bin."""

import base64
import hashlib

from sandbox_docusign_kit import Receiver, Sandbox, blank_pdf, document, notification, signer


def put(sandbox: Sandbox, path: str, body: object, status: int = 200, **more: object) -> dict:
    answer = sandbox.api("PUT", path, body, **more)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_draft_is_sent_later_and_voided_with_a_reason_cut_to_200(sandbox: Sandbox) -> None:
    envelope_id = sandbox.create(status="created")
    assert sandbox.get(envelope_id)["recipients"]["signers"][0]["status"] == "created"
    put(sandbox, f"/envelopes/{envelope_id}", {"status": "sent"})
    assert sandbox.get(envelope_id)["status"] == "sent"
    put(sandbox, f"/envelopes/{envelope_id}", {"status": "voided", "voidedReason": "x" * 300})
    shown = sandbox.get(envelope_id)
    assert (shown["status"], len(shown["voidedReason"])) == ("voided", 200)


def test_result_of_get_written_back_is_refused_for_its_purge_state(sandbox: Sandbox) -> None:
    envelope_id = sandbox.create()
    shown = sandbox.api("GET", f"/envelopes/{envelope_id}").json()
    answer = put(sandbox, f"/envelopes/{envelope_id}", shown, status=400)
    assert "Value for 'purgeState' must be" in answer["message"]


def test_envelope_past_its_days_is_voided_with_the_expiry_fields(sandbox: Sandbox) -> None:
    days = {"expirations": {"expireEnabled": "true", "expireAfter": "2", "expireWarn": "1"}}
    envelope_id = sandbox.create(notification=days)
    sandbox.control("POST", "/switches", advance_seconds=2 * 86_400 + 5)
    sandbox.forget_token()
    shown = sandbox.get(envelope_id)
    assert (shown["status"], shown["voidedReason"]) == ("voided", "Envelope has expired.")
    assert shown["expireEnabled"] == "true"
    assert shown["voidedDateTime"] >= shown["expireDateTime"]


def test_expire_now_needs_no_waiting(sandbox: Sandbox) -> None:
    envelope_id = sandbox.create()
    shown = sandbox.control("POST", f"/envelopes/{envelope_id}/expire").json()
    assert (shown["status"], shown["voidedReason"]) == ("voided", "Envelope has expired.")
    assert shown["voidedDateTime"] >= shown["expireDateTime"]


def test_corrected_recipient_is_told_apart_from_a_failed_one_inside_a_200(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    people = {"signers": [signer(), signer("2", "2")]}
    events = ("envelope-corrected", "recipient-resent")
    envelope_id = sandbox.create(recipients=people, eventNotification=notification(receiver.url, *events))
    sandbox.act(envelope_id, "1", "sign")
    change = {
        "signers": [{"recipientId": "1", "name": "Late"}, {"recipientId": "2", "email": "new@example.com"}]
    }
    results = put(sandbox, f"/envelopes/{envelope_id}/recipients", change)["recipientUpdateResults"]
    assert [result["errorDetails"]["errorCode"] for result in results] == [
        "RECIPIENT_UPDATE_FAILED",
        "SUCCESS",
    ]
    assert [message["event"] for message in receiver.take(2)] == ["recipient-resent", "envelope-corrected"]
    shown = sandbox.get(envelope_id)["recipients"]["signers"]
    assert [person["email"] for person in shown] == ["signer1@example.com", "new@example.com"]


def test_resend_notifies_the_outstanding_only(sandbox: Sandbox, receiver: Receiver) -> None:
    people = {"signers": [signer(), signer("2", "2"), signer("3", "2")]}
    hook = notification(receiver.url, "envelope-resent", "recipient-resent")
    envelope_id = sandbox.create(recipients=people, eventNotification=hook)
    sandbox.act(envelope_id, "1", "sign")
    put(sandbox, f"/envelopes/{envelope_id}?resend_envelope=true", {})
    told = [(message["event"], message["data"].get("recipientId")) for message in receiver.take(3)]
    assert told == [("envelope-resent", None), ("recipient-resent", "2"), ("recipient-resent", "3")]


def test_added_recipient_keeps_the_envelope_open_and_a_removed_one_lets_it_complete(sandbox: Sandbox) -> None:
    envelope_id = sandbox.create()
    more = {"signers": [{"recipientId": "2", "name": "Two", "email": "two@example.com"}]}
    assert sandbox.api("POST", f"/envelopes/{envelope_id}/recipients", more).status_code == 201
    sandbox.act(envelope_id, "1", "sign")
    assert sandbox.get(envelope_id)["status"] in {"sent", "delivered"}
    sandbox.api("DELETE", f"/envelopes/{envelope_id}/recipients", {"signers": [{"recipientId": "2"}]})
    assert sandbox.get(envelope_id)["status"] == "completed"


def test_decline_ends_the_envelope_and_certified_delivery_completes_by_view(sandbox: Sandbox) -> None:
    people = {
        "certifiedDeliveries": [{"recipientId": "9", "name": "Di", "email": "di@example.com"}],
        "signers": [signer("1", "2"), signer("2", "2")],
    }
    envelope_id = sandbox.create(recipients=people)
    sandbox.act(envelope_id, "9", "view")
    sandbox.act(envelope_id, "1", "decline", reason="Wrong price")
    shown = sandbox.get(envelope_id)
    assert shown["status"] == "declined"
    assert shown["recipients"]["certifiedDeliveries"][0]["status"] == "completed"
    assert [person["status"] for person in shown["recipients"]["signers"]] == ["declined", "sent"]
    assert shown["recipients"]["signers"][0]["declinedReason"] == "Wrong price"


def test_approver_and_in_person_signer_complete_in_turn(sandbox: Sandbox) -> None:
    approve = {"documentId": "1", "pageNumber": "1", "xPosition": "10", "yPosition": "10", "buttonText": "OK"}
    people = {
        "signers": [signer(tabs={"approveTabs": [approve]})],
        "inPersonSigners": [
            {
                "recipientId": "2", "routingOrder": "2", "hostName": "Hal", "hostEmail": "hal@example.com",
                "signerName": "Walk In",
            }
        ],
    }  # fmt: skip
    envelope_id = sandbox.create(recipients=people)
    sandbox.act(envelope_id, "1", "sign")
    assert sandbox.act(envelope_id, "2", "sign").json()["status"] == "completed"


def test_tabs_are_added_changed_and_removed(sandbox: Sandbox) -> None:
    envelope_id = sandbox.create()
    path = f"/envelopes/{envelope_id}/recipients/1/tabs"
    tab = {"documentId": "1", "pageNumber": "1", "xPosition": "10", "yPosition": "20", "tabLabel": "po"}
    added = sandbox.api("POST", path, {"textTabs": [tab]})
    assert added.status_code == 201
    tab_id = added.json()["textTabs"][0]["tabId"]
    put(sandbox, path, {"textTabs": [{"tabId": tab_id, "value": "4711"}]})
    assert sandbox.api("GET", path).json()["textTabs"][0]["value"] == "4711"
    sandbox.api("DELETE", path, {"textTabs": [{"tabId": tab_id}]})
    assert sandbox.api("GET", path).json()["textTabs"] == []


def test_documents_are_added_replaced_and_removed(sandbox: Sandbox) -> None:
    envelope_id = sandbox.create(status="created")
    path = f"/envelopes/{envelope_id}/documents"
    put(sandbox, path, {"documents": [document("2"), document("1", blank_pdf(3))]})
    headers = {"Content-Type": "application/pdf", "Content-Disposition": 'filename="third.pdf"'}
    put(sandbox, f"{path}/3", None, content=blank_pdf(2), headers=headers)
    sandbox.api("DELETE", path, {"documents": [{"documentId": "2"}]})
    shown = sandbox.api("GET", path).json()["envelopeDocuments"]
    assert [(d["documentId"], d["name"], len(d["pages"])) for d in shown] == [
        ("1", "doc1.pdf", 3),
        ("3", "third.pdf", 2),
    ]


def test_lock_lets_its_owner_write_and_is_released(sandbox: Sandbox) -> None:
    envelope_id = sandbox.create()
    path = f"/envelopes/{envelope_id}/lock"
    body = {"lockType": "edit", "lockedByApp": "gateway", "lockDurationInSeconds": "300"}
    token = sandbox.api("POST", path, body).json()["lockToken"]
    owner = {"X-DocuSign-Edit": f'{{"LockToken":"{token}","LockDurationInSeconds":"300"}}'}
    put(sandbox, f"/envelopes/{envelope_id}", {"emailSubject": "Mine"}, headers=owner)
    assert sandbox.api("DELETE", path).status_code == 400
    assert sandbox.api("DELETE", path, headers=owner).status_code == 200
    put(sandbox, f"/envelopes/{envelope_id}", {"emailSubject": "Anybody's"})
    assert sandbox.get(envelope_id)["emailSubject"] == "Anybody's"


def test_recycle_bin_deletes_a_draft_and_voids_what_is_in_process(sandbox: Sandbox) -> None:
    draft, sent = sandbox.create(status="created"), sandbox.create()
    put(sandbox, "/folders/recyclebin", {"envelopeIds": [draft, sent]})
    assert [sandbox.get(draft)["status"], sandbox.get(sent)["status"]] == ["deleted", "voided"]


def test_custom_fields_and_notification_can_be_read_back(sandbox: Sandbox) -> None:
    envelope_id = sandbox.create(status="created")
    path = f"/envelopes/{envelope_id}/custom_fields"
    made = sandbox.api("POST", path, {"textCustomFields": [{"name": "ref", "value": "1", "show": "false"}]})
    field_id = made.json()["textCustomFields"][0]["fieldId"]
    put(sandbox, path, {"textCustomFields": [{"fieldId": field_id, "name": "ref", "value": "2"}]})
    assert sandbox.api("GET", path).json()["textCustomFields"][0]["value"] == "2"
    reminders = {"reminders": {"reminderEnabled": "true", "reminderDelay": "2", "reminderFrequency": "3"}}
    put(sandbox, f"/envelopes/{envelope_id}/notification", reminders)
    shown = sandbox.api("GET", f"/envelopes/{envelope_id}/notification").json()
    assert shown["reminders"] == reminders["reminders"]
    assert shown["expirations"]["expireAfter"] == "120"


def test_chunked_upload_becomes_a_document(sandbox: Sandbox) -> None:
    pdf = blank_pdf(2)
    half = len(pdf) // 2
    first, second = (base64.b64encode(part).decode() for part in (pdf[:half], pdf[half:]))
    made = sandbox.api("POST", "/chunked_uploads", {"data": first}).json()
    path = f"/chunked_uploads/{made['chunkedUploadId']}"
    put(sandbox, f"{path}/1", {"data": second})
    assert put(sandbox, f"{path}?action=commit", None)["committed"] == "true"
    assert (
        sandbox.api("GET", f"{path}?include=checksum").json()["checksum"] == hashlib.sha256(pdf).hexdigest()
    )
    remote = document(documentBase64=None, remoteUrl=made["chunkedUploadUri"])
    draft = sandbox.create(status="created", documents=[remote])
    assert sandbox.api("GET", f"/envelopes/{draft}/documents/1").content == pdf
