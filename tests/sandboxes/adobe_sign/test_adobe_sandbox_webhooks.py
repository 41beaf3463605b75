"""Webhooks: registration, the handshake on every message, order, retries, disabling, payloads."""

import base64

import pytest
from adobe_sandbox_kit import CLIENT_ID, Api, Receiver, read_pages, signer, wait_until, webhook_body

EVERYTHING = {
    "webhookAgreementEvents": {
        "includeDetailedInfo": True,
        "includeParticipantsInfo": True,
        "includeDocumentsInfo": True,
        "includeSignedDocuments": True,
    }
}


def register(api: Api, receiver: Receiver, **changes: object) -> str:
    answer = api.call("POST", "/webhooks", webhook_body(receiver.url, **changes))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def events(messages: list[dict]) -> list[str]:
    return [message["body"]["event"] for message in messages]


@pytest.mark.parametrize("in_header", [True, False])
def test_registration_asks_for_the_intent_with_the_client_id(
    api: Api, receiver: Receiver, in_header: bool
) -> None:
    receiver.echo_in_header = in_header
    webhook = register(api, receiver)
    shown = api.get(f"/webhooks/{webhook}")
    assert [each["X-AdobeSign-ClientId"] for each in receiver.gets] == [CLIENT_ID]
    assert (shown["status"], shown["scope"], shown["webhookUrlInfo"]) == (
        "ACTIVE",
        "ACCOUNT",
        {"url": receiver.url},
    )


def test_signed_agreement_sends_its_events_in_order_with_the_client_id(api: Api, receiver: Receiver) -> None:
    register(api, receiver)
    one = api.signed(participantSetsInfo=[signer("ada@example.com"), signer("bob@example.com", 2)])
    messages = receiver.take_until("AGREEMENT_WORKFLOW_COMPLETED")
    assert events(messages) == [
        "AGREEMENT_CREATED",
        "AGREEMENT_ACTION_REQUESTED",
        "AGREEMENT_DOCUMENTS_VIEWED",
        "AGREEMENT_ACTION_COMPLETED",
        "AGREEMENT_ACTION_REQUESTED",
        "AGREEMENT_DOCUMENTS_VIEWED",
        "AGREEMENT_ACTION_COMPLETED",
        "AGREEMENT_WORKFLOW_COMPLETED",
    ]
    assert {message["headers"]["X-AdobeSign-ClientId"] for message in messages} == {CLIENT_ID}
    assert len({message["body"]["webhookNotificationId"] for message in messages}) == 8
    assert {message["body"]["agreement"]["id"] for message in messages} == {one}


def test_message_without_conditional_parts_carries_the_minimum_of_the_agreement(
    api: Api, receiver: Receiver
) -> None:
    webhook = register(api, receiver)
    one = api.create()
    (created,) = receiver.take(1)
    body = created["body"]
    assert body["agreement"] == {"id": one, "name": "Agreement", "status": "OUT_FOR_SIGNATURE"}
    assert list(body)[:6] == [
        "webhookId",
        "webhookName",
        "webhookNotificationId",
        "webhookUrlInfo",
        "webhookScope",
        "event",
    ]
    assert (body["webhookId"], body["eventResourceType"]) == (webhook, "agreement")
    assert body["participantUserEmail"] == body["initiatingUserEmail"] == "sender@sandbox.example"
    assert "webhookNotificationApplicableUsers" not in body


def test_message_with_all_conditional_parts_carries_them(api: Api, receiver: Receiver) -> None:
    register(api, receiver, webhookConditionalParams=EVERYTHING)
    api.signed(externalId={"id": "env_1"})
    messages = {
        message["body"]["event"]: message["body"]
        for message in receiver.take_until("AGREEMENT_WORKFLOW_COMPLETED")
    }
    done = messages["AGREEMENT_ACTION_COMPLETED"]
    finished = messages["AGREEMENT_WORKFLOW_COMPLETED"]["agreement"]
    signed = base64.b64decode(finished["signedDocumentInfo"]["document"])
    assert (done["actionType"], done["participantRole"], done["participantUserEmail"]) == (
        "ESIGNED",
        "SIGNER",
        "ada@example.com",
    )
    assert done["actingUserIpAddress"] == "127.0.0.1"
    assert finished["externalId"] == {"id": "env_1"}
    assert finished["participantSetsInfo"]["participantSets"][0]["status"] == "COMPLETED"
    assert finished["documentsInfo"]["documents"][0]["numPages"] == 1
    assert "SANDBOX" in read_pages(signed)[0]
    assert "nextParticipantSets" in messages["AGREEMENT_ACTION_REQUESTED"]["agreement"]["participantSetsInfo"]
    assert "signedDocumentInfo" not in done["agreement"]


def test_resource_webhook_hears_of_its_agreement_only(api: Api, receiver: Receiver) -> None:
    mine, other = api.create(), api.create()
    register(api, receiver, scope="RESOURCE", resourceType="AGREEMENT", resourceId=mine)
    api.act(other, "sign")
    api.act(mine, "sign")
    messages = receiver.take_until("AGREEMENT_WORKFLOW_COMPLETED")
    assert {message["body"]["agreement"]["id"] for message in messages} == {mine}


def test_webhook_hears_the_events_that_it_subscribed_to(api: Api, receiver: Receiver) -> None:
    register(api, receiver, webhookSubscriptionEvents=["AGREEMENT_WORKFLOW_COMPLETED", "AGREEMENT_CREATED"])
    api.signed()
    assert events(receiver.take(2)) == ["AGREEMENT_CREATED", "AGREEMENT_WORKFLOW_COMPLETED"]


@pytest.mark.parametrize("bad", [500, 404, 302, 299])
def test_message_without_2xx_and_echo_is_sent_again_and_blocks_the_ones_behind_it(
    api: Api, receiver: Receiver, bad: int
) -> None:
    api.options(retry_first_s=0.01)
    register(api, receiver)
    receiver.statuses = [bad, bad]
    api.create()
    first, second, third, fourth = receiver.take(4)
    assert events([first, second, third, fourth]) == ["AGREEMENT_CREATED"] * 3 + [
        "AGREEMENT_ACTION_REQUESTED"
    ]
    assert first["bytes"] == second["bytes"] == third["bytes"]


def test_webhook_is_disabled_after_the_last_retry_and_its_queue_is_lost(api: Api, receiver: Receiver) -> None:
    api.options(retry_first_s=0.01, retries=2)
    webhook = register(api, receiver)
    receiver.statuses = [500, 500, 500]
    api.create()
    wait_until(lambda: api.get(f"/webhooks/{webhook}")["status"] == "INACTIVE")
    listed = api.get("/webhooks")["userWebhookList"]
    api.create()
    activated = api.put(f"/webhooks/{webhook}/state", {"state": "ACTIVE"}, f"/webhooks/{webhook}")
    api.create()
    attempts = receiver.take(4)
    assert (listed, activated.status_code) == ([], 204)
    assert [message["status"] for message in attempts] == [500, 500, 500, 200]
    assert len({message["body"]["agreement"]["id"] for message in attempts}) == 2


@pytest.mark.parametrize(
    ("action", "security", "event", "sub_event", "key"),
    [
        ("decline", "NONE", "AGREEMENT_REJECTED", None, "agreementCancellationInfo"),
        ("expire", "NONE", "AGREEMENT_EXPIRED", "EXPIRED", "agreementExpirationInfo"),
        (
            "fail_authentication",
            "KBA",
            "AGREEMENT_RECALLED",
            "MAX_SIGNING_KBA_ATTEMPTS_EXCEEDED",
            "agreementCancellationInfo",
        ),
        (
            "fail_authentication",
            "EMAIL_OTP",
            "AGREEMENT_RECALLED_MAX_SIGNING_EMAIL_OTP_ATTEMPTS",
            None,
            "participantRole",
        ),
        ("conversion_problem", "NONE", "AGREEMENT_AUTO_CANCELLED_CONVERSION_PROBLEM", None, "event"),
        ("bounce", "NONE", "AGREEMENT_EMAIL_BOUNCED", None, "participantRole"),
        ("open_email", "NONE", "AGREEMENT_EMAIL_VIEWED", None, "participantRole"),
    ],
)
def test_event_carries_its_own_part(
    api: Api, receiver: Receiver, action: str, security: str, event: str, sub_event: str | None, key: str
) -> None:
    register(api, receiver, webhookSubscriptionEvents=[event])
    one = api.create(
        participantSetsInfo=[signer("ada@example.com", security={"authenticationMethod": security})]
    )
    api.act(one, action)
    (message,) = receiver.take(1)
    assert (message["body"]["event"], message["body"].get("subEvent")) == (event, sub_event)
    assert key in message["body"]


def test_recall_says_whether_others_are_notified(api: Api, receiver: Receiver) -> None:
    register(api, receiver, webhookSubscriptionEvents=["AGREEMENT_RECALLED"])
    one = api.create()
    info = {"comment": "new terms", "notifyOthers": True}
    api.put(
        f"/agreements/{one}/state",
        {"state": "CANCELLED", "agreementCancellationInfo": info},
        f"/agreements/{one}",
    )
    (message,) = receiver.take(1)
    assert (message["body"]["subEvent"], message["body"]["agreementCancellationInfo"]) == ("RECALLED", info)


def test_reminder_names_whom_it_reminds(api: Api, receiver: Receiver) -> None:
    register(api, receiver, webhookSubscriptionEvents=["AGREEMENT_REMINDER_SENT"])
    one = api.create()
    member = api.sets(one)[0]["memberInfos"][0]
    body = {"recipientParticipantIds": [member["id"]], "status": "ACTIVE", "note": "please"}
    api.call("POST", f"/agreements/{one}/reminders", body)
    (message,) = receiver.take(1)
    info = message["body"]["reminderInfo"]
    assert (info["note"], [each["email"] for each in info["participantList"]]) == (
        "please",
        ["ada@example.com"],
    )


def test_payload_above_the_limit_is_trimmed_in_the_documented_order(api: Api, receiver: Receiver) -> None:
    register(
        api,
        receiver,
        webhookConditionalParams=EVERYTHING,
        webhookSubscriptionEvents=["AGREEMENT_WORKFLOW_COMPLETED"],
    )
    api.options(payload_limit_bytes=2000)
    api.signed()
    (message,) = receiver.take(1)
    trimmed = message["body"]["conditionalParametersTrimmed"]
    order = [
        "includeSignedDocuments",
        "includeParticipantsInfo",
        "includeDocumentsInfo",
        "includeDetailedInfo",
    ]
    assert trimmed == order[: len(trimmed)]
    assert trimmed
    assert "signedDocumentInfo" not in message["body"]["agreement"]
    assert len(message["bytes"]) <= 2000


def test_applicable_users_appear_only_when_switched_on(api: Api, receiver: Receiver) -> None:
    api.options(applicable_users=True)
    register(api, receiver)
    api.create()
    (message,) = receiver.take(1)
    assert message["body"]["webhookNotificationApplicableUsers"][0]["email"] == "sender@sandbox.example"


def test_deleted_webhook_hears_nothing_more(api: Api, receiver: Receiver) -> None:
    gone = register(api, receiver, name="gone", webhookSubscriptionEvents=["AGREEMENT_CREATED"])
    register(api, receiver, name="kept")
    assert api.call("DELETE", f"/webhooks/{gone}").status_code == 204
    api.create()
    assert {message["body"]["webhookName"] for message in receiver.take(2)} == {"kept"}
