"""Connect messages of the DocuSign sandbox: form, signatures, acknowledgement, order, republishing."""

import base64
import hashlib
import hmac
import time

from sandbox_docusign_kit import Receiver, Sandbox, document, notification, signer

ALL = (
    "envelope-created", "envelope-sent", "envelope-delivered", "envelope-completed", "envelope-declined",
    "envelope-voided", "recipient-sent", "recipient-delivered", "recipient-completed", "recipient-declined",
    "recipient-authenticationfailed",
)  # fmt: skip


def _wait_for(condition: object, what: str) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(what)


def _signature(key: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def test_signing_to_the_end_posts_every_event_in_order(sandbox: Sandbox, receiver: Receiver) -> None:
    envelope_id = sandbox.create(eventNotification=notification(receiver.url, *ALL))
    sandbox.act(envelope_id, "1", "view")
    sandbox.act(envelope_id, "1", "sign")
    assert [message["event"] for message in receiver.take(7)] == [
        "envelope-created",
        "envelope-sent",
        "recipient-sent",
        "recipient-delivered",
        "envelope-delivered",
        "recipient-completed",
        "envelope-completed",
    ]


def test_message_has_the_providers_form_and_every_active_key_signs_it(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    sandbox.control("POST", "/hmac_keys")
    keys = sandbox.control("GET", "/hmac_keys").json()["keys"]
    fields = {"textCustomFields": [{"name": "gateway_envelope_id", "value": "env_1"}]}
    envelope_id = sandbox.create(
        eventNotification=notification(receiver.url, "recipient-sent"), customFields=fields
    )
    headers, body = receiver.next_raw()
    sandbox.control("DELETE", f"/hmac_keys/{len(keys)}")
    assert headers["x-authorization-digest"] == "HMACSHA256"
    shown = {name: value for name, value in headers.items() if name.startswith("x-docusign-signature-")}
    assert shown == {f"x-docusign-signature-{n}": _signature(key, body) for n, key in enumerate(keys, 1)}
    message = Receiver.decode(body)
    assert {name: message[name] for name in ("event", "apiVersion", "retryCount", "uri")} == {
        "event": "recipient-sent",
        "apiVersion": "v2.1",
        "retryCount": 0,
        "uri": f"{sandbox.base}/envelopes/{envelope_id}",
    }
    assert isinstance(message["configurationId"], int)
    assert len(message["generatedDateTime"]) == len("2022-12-09T18:29:29.7360000Z")
    data = message["data"]
    assert (data["accountId"], data["recipientId"]) == (sandbox.credentials["account_id"], "1")
    summary = data["envelopeSummary"]
    assert summary["anySigner"] is None
    assert summary["customFields"]["textCustomFields"][0]["value"] == "env_1"
    assert summary["recipients"]["signers"][0]["status"] == "sent"
    assert "envelopeDocuments" not in summary


def test_message_without_include_data_has_no_summary_and_without_hmac_no_signature(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    bare = {"version": "restv2.1", "format": "json"}
    hook = notification(receiver.url, "envelope-sent", includeHMAC="false", eventData=bare)
    envelope_id = sandbox.create(eventNotification=hook)
    headers, body = receiver.next_raw()
    assert not [name for name in headers if name.startswith("x-docusign-signature")]
    assert Receiver.decode(body)["data"] == {
        "accountId": sandbox.credentials["account_id"],
        "userId": sandbox.credentials["user_id"],
        "envelopeId": envelope_id,
    }


def test_message_with_documents_carries_their_bytes(sandbox: Sandbox, receiver: Receiver) -> None:
    chosen = {"version": "restv2.1", "format": "json", "includeData": ["documents"]}
    sandbox.create(eventNotification=notification(receiver.url, "envelope-sent", eventData=chosen))
    listed = receiver.next()["data"]["envelopeSummary"]["envelopeDocuments"]
    assert base64.b64decode(listed[0]["PDFBytes"]).startswith(b"%PDF")
    assert [shown["type"] for shown in listed] == ["content", "summary"]


def test_refused_message_is_sent_again_with_a_higher_retry_count_before_the_next(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    receiver.statuses = [500, 503]
    sandbox.create(eventNotification=notification(receiver.url, "envelope-sent", "recipient-sent"))
    assert [(message["event"], message["retryCount"]) for message in receiver.take(4)] == [
        ("envelope-sent", 0),
        ("envelope-sent", 1),
        ("envelope-sent", 2),
        ("recipient-sent", 0),
    ]


def test_refused_message_without_acknowledgement_is_lost_until_it_is_republished(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    hook = notification(receiver.url, "envelope-sent", requireAcknowledgment="false")
    envelope_id = sandbox.create(eventNotification=hook)
    receiver.next()

    def failed() -> list[dict]:
        shown = sandbox.api("GET", "/connect/failures").json()["failures"]
        return [failure for failure in shown if failure["envelopeId"] == envelope_id]

    _wait_for(failed, "the failure is listed")
    assert failed()[0]["error"] == "HTTP 500"
    sandbox.api("PUT", f"/connect/envelopes/{envelope_id}/retry_queue").raise_for_status()
    assert receiver.next()["event"] == "envelope-sent"
    _wait_for(lambda: not failed(), "the failure is gone")
    logs = sandbox.api("GET", "/connect/logs").json()["logs"]
    assert [log["status"] for log in logs if log["envelopeId"] == envelope_id] == ["Successful"]


def test_account_configuration_serves_every_envelope_until_it_is_removed(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    configuration = {
        "name": "all",
        "urlToPublishTo": receiver.url,
        "allowEnvelopePublish": "true",
        "allUsers": "true",
        "requiresAcknowledgement": "true",
        "includeHMAC": "true",
        "events": ["envelope-sent"],
        "eventData": {"version": "restv2.1", "format": "json"},
    }
    made = sandbox.api("POST", "/connect", configuration)
    assert made.status_code == 201, made.text
    connect_id = made.json()["connectId"]
    envelope_id = sandbox.create()
    message = receiver.next()
    assert (message["data"]["envelopeId"], str(message["configurationId"])) == (envelope_id, connect_id)
    paused = sandbox.api("PUT", "/connect", {"connectId": connect_id, "allowEnvelopePublish": "false"})
    assert paused.json()["allowEnvelopePublish"] == "false"
    assert sandbox.api("DELETE", f"/connect/{connect_id}").status_code == 200
    sandbox.create()
    assert sandbox.api("GET", "/connect").json() == {"configurations": [], "totalRecords": "0"}
    messages = sandbox.control("GET", "/webhooks").json()["messages"]
    assert [message["url"] for message in messages].count(receiver.url) == 1


def test_webhook_to_a_host_off_the_allow_list_is_not_sent_but_listed(sandbox: Sandbox) -> None:
    hook = notification("https://hooks.example.com/in", "envelope-sent", requireAcknowledgment="false")
    envelope_id = sandbox.create(eventNotification=hook)

    def shown() -> list[str]:
        listed = sandbox.control("GET", "/webhooks").json()["messages"]
        return [m["error"] for m in listed if m["envelopeId"] == envelope_id and m["status"] == "failed"]

    _wait_for(shown, "the message is given up")
    assert "--webhook-allow" in shown()[0]


def test_failed_authentication_is_told_by_event_and_by_the_recipients_status(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    people = {"signers": [signer(accessCode="k3y")]}
    hook = notification(receiver.url, "recipient-authenticationfailed")
    envelope_id = sandbox.create(recipients=people, eventNotification=hook, documents=[document()])
    sandbox.act(envelope_id, "1", "fail_authentication")
    message = receiver.next()
    shown = message["data"]["envelopeSummary"]["recipients"]["signers"][0]
    assert message["event"] == "recipient-authenticationfailed"
    assert shown["recipientAuthenticationStatus"]["accessCodeResult"]["status"] == "Failed"
    assert shown["accessCode"] == "*****"
    assert sandbox.get(envelope_id)["status"] == "sent"
