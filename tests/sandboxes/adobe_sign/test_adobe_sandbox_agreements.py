"""Agreements from creation to their end, over HTTP."""

import time

import pytest
from adobe_sandbox_kit import Api, signer
from adobe_valid_requests import field


def in_days(days: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400))


@pytest.mark.parametrize(
    ("wanted", "landed"),
    [("IN_PROCESS", "OUT_FOR_SIGNATURE"), ("AUTHORING", "AUTHORING"), ("DRAFT", "DRAFT")],
)
def test_created_agreement_is_processed_first_and_then_lands_in_the_wanted_state(
    api: Api, wanted: str, landed: str
) -> None:
    api.options(processing_s=60)
    one = api.create(state=wanted)
    before = api.status(one)
    api.advance(61)
    assert (before, api.status(one)) == ("DOCUMENTS_NOT_YET_PROCESSED", landed)


def test_agreement_shows_what_was_sent_without_state_and_password(api: Api) -> None:
    secret = {"authenticationMethod": "PASSWORD", "password": "k3y-9"}
    one = api.create(
        participantSetsInfo=[signer("ada@example.com", security=secret, name="signer1")],
        externalId={"id": "env_01"},
        ccs=[{"email": "cy@example.com"}],
        message="Please sign",
        firstReminderDelay=48,
        reminderFrequency="WEEKLY_UNTIL_SIGNED",
        expirationTime=in_days(30),
    )
    answer = api.call("GET", f"/agreements/{one}")
    shown = answer.json()
    assert "k3y-9" not in answer.text
    assert "state" not in shown
    assert shown["externalId"] == {"id": "env_01"}
    assert shown["ccs"] == [{"email": "cy@example.com"}]
    assert shown["participantSetsInfo"] == [
        {
            "memberInfos": [
                {"email": "ada@example.com", "securityOption": {"authenticationMethod": "PASSWORD"}}
            ],
            "role": "SIGNER",
            "order": 1,
            "name": "signer1",
        }
    ]


def test_full_create_request_is_accepted(api: Api) -> None:
    phone = {"authenticationMethod": "PHONE", "phoneInfo": {"countryCode": "1", "phone": "5551234567"}}
    generator = {
        "formFieldNamePrefix": "sig",
        "participantSetName": "signer1",
        "anchorTextInfo": {
            "anchorText": "Sign here:",
            "fileInfoLabel": "doc1",
            "anchoredFormFieldLocation": {"offsetX": 10, "offsetY": 0, "width": 150, "height": 30},
        },
        "formFieldDescription": {
            "inputType": "SIGNATURE",
            "contentType": "SIGNATURE_BLOCK",
            "required": True,
        },
    }
    one = api.create(
        fileInfos=[{"transientDocumentId": api.upload(), "label": "doc1"}],
        participantSetsInfo=[
            signer("ada@example.com", name="signer1", security=phone),
            signer(
                "bob@example.com",
                2,
                "APPROVER",
                security={"authenticationMethod": "PASSWORD", "password": "x"},
            ),
            signer("di@example.com", 3, "CERTIFIED_RECIPIENT"),
        ],
        locale="en_US",
        emailOption={
            "sendOptions": {"initEmails": "ALL", "inFlightEmails": "ALL", "completionEmails": "NONE"}
        },
        postSignOption={"redirectUrl": "https://gw.example.com/return", "redirectDelay": 0},
        formFieldGenerators=[generator],
    )
    assert api.status(one) == "OUT_FOR_SIGNATURE"


def test_status_follows_the_role_of_the_current_step_and_ends_with_the_strongest_role(api: Api) -> None:
    one = api.create(
        participantSetsInfo=[
            signer("ada@example.com"),
            signer("bob@example.com", 2, "APPROVER"),
            signer("di@example.com", 3, "CERTIFIED_RECIPIENT"),
        ]
    )
    seen = [api.status(one)]
    for _ in range(3):
        api.act(one, "sign")
        seen.append(api.status(one))
    assert seen == ["OUT_FOR_SIGNATURE", "OUT_FOR_APPROVAL", "OUT_FOR_DELIVERY", "SIGNED"]


@pytest.mark.parametrize(
    ("role", "out", "waiting", "end"),
    [
        ("SIGNER", "OUT_FOR_SIGNATURE", "WAITING_FOR_MY_SIGNATURE", "SIGNED"),
        ("APPROVER", "OUT_FOR_APPROVAL", "WAITING_FOR_MY_APPROVAL", "APPROVED"),
        ("ACCEPTOR", "OUT_FOR_ACCEPTANCE", "WAITING_FOR_MY_ACCEPTANCE", "ACCEPTED"),
        ("FORM_FILLER", "OUT_FOR_FORM_FILLING", "WAITING_FOR_MY_FORM_FILLING", "FORM_FILLED"),
        ("CERTIFIED_RECIPIENT", "OUT_FOR_DELIVERY", "WAITING_FOR_MY_ACKNOWLEDGEMENT", "DELIVERED"),
    ],
)
def test_agreement_with_one_role_uses_the_words_of_that_role(
    api: Api, role: str, out: str, waiting: str, end: str
) -> None:
    one = api.create(participantSetsInfo=[signer("ada@example.com", role=role)])
    words = (api.status(one), api.sets(one)[0]["status"])
    api.act(one, "sign")
    assert (words, api.status(one), api.sets(one)[0]["status"]) == ((out, waiting), end, "COMPLETED")


def test_parallel_signers_may_act_in_any_order_and_the_next_step_waits_for_both(api: Api) -> None:
    one = api.create(
        participantSetsInfo=[signer("a@example.com"), signer("b@example.com"), signer("c@example.com", 2)]
    )
    first = [each["status"] for each in api.sets(one)]
    api.act(one, "sign", participant="b@example.com")
    api.act(one, "sign", participant="c@example.com", expect=409)
    api.act(one, "sign", participant="a@example.com")
    waiting = "WAITING_FOR_MY_SIGNATURE"
    assert first == [waiting, waiting, "NOT_YET_VISIBLE"]
    assert [each["status"] for each in api.sets(one)] == ["COMPLETED", "COMPLETED", waiting]


def test_any_member_acts_for_a_set_with_several(api: Api) -> None:
    several = signer("ada@example.com")
    several["memberInfos"].append({"email": "amy@example.com"})
    one = api.create(participantSetsInfo=[several])
    api.act(one, "sign", participant="amy@example.com")
    assert api.status(one) == "SIGNED"


def test_declined_agreement_is_cancelled_and_says_who_rejected_it(api: Api) -> None:
    one = api.create()
    api.act(one, "decline", comment="wrong price")
    last = api.get(f"/agreements/{one}/events")["events"][-1]
    assert api.status(one) == "CANCELLED"
    assert api.sets(one)[0]["status"] == "CANCELLED"
    assert (last["type"], last["comment"], last["actingUserEmail"]) == (
        "REJECTED",
        "wrong price",
        "ada@example.com",
    )


def test_participant_rejects_by_the_api_as_that_participant(api: Api) -> None:
    one = api.create()
    part = api.sets(one)[0]
    path = f"/agreements/{one}/members/participantSets/{part['id']}"
    reject = f"{path}/participants/{part['memberInfos'][0]['id']}/reject"
    answer = api.put(reject, {"comment": "no"}, path, **{"x-api-user": "email:ada@example.com"})
    assert (answer.status_code, api.status(one)) == (204, "CANCELLED")


def test_recalled_agreement_is_cancelled_by_its_sender(api: Api) -> None:
    one = api.create()
    body = {"state": "CANCELLED", "agreementCancellationInfo": {"comment": "new terms", "notifyOthers": True}}
    answer = api.put(f"/agreements/{one}/state", body, f"/agreements/{one}")
    assert (answer.status_code, answer.content, api.status(one)) == (204, b"", "CANCELLED")
    assert api.types(one)[-1] == "RECALLED"


def test_cancelled_word_of_the_newer_documents_is_used_when_asked_for(api: Api) -> None:
    api.options(cancelled_word="ABORTED")
    assert api.status(api.cancelled()) == "ABORTED"


def test_agreement_expires_at_its_time_and_not_before(api: Api) -> None:
    one = api.create(expirationTime=in_days(2))
    api.advance(2 * 86400 - 60)
    api.token = api.refresh()
    before = api.status(one)
    api.advance(120)
    assert (before, api.status(one), api.types(one)[-1]) == ("OUT_FOR_SIGNATURE", "EXPIRED", "EXPIRED")


@pytest.mark.parametrize(
    ("method", "more", "word"),
    [
        ("PASSWORD", {"password": "x"}, "RECALLED_MAX_SIGNING_PASSWORD_ATTEMPTS"),
        ("KBA", {}, "RECALLED_MAX_SIGNING_KBA_ATTEMPTS"),
        (
            "PHONE",
            {"phoneInfo": {"countryCode": "1", "phone": "5551234567"}},
            "RECALLED_MAX_SIGNING_PHONE_ATTEMPTS",
        ),
        ("EMAIL_OTP", {}, "RECALLED_MAX_SIGNING_EMAIL_OTP_ATTEMPTS"),
    ],
)
def test_third_failed_authentication_cancels_the_agreement(
    api: Api, method: str, more: dict, word: str
) -> None:
    security = {"authenticationMethod": method, **more}
    one = api.create(participantSetsInfo=[signer("ada@example.com", security=security)])
    api.act(one, "fail_authentication", attempts=2)
    before = api.status(one)
    api.act(one, "fail_authentication", attempts=1)
    assert (before, api.status(one), api.types(one)[-1]) == ("OUT_FOR_SIGNATURE", "CANCELLED", word)


def test_replaced_signer_stays_visible_and_the_new_one_signs(api: Api) -> None:
    one = api.create()
    path = f"/agreements/{one}/members/participantSets/{api.sets(one)[0]['id']}"
    answer = api.put(path, signer("new@example.com"), path)
    members = [(each["email"], each["status"]) for each in api.sets(one)[0]["memberInfos"]]
    api.act(one, "sign", participant="ada@example.com", expect=409)
    api.act(one, "sign", participant="new@example.com")
    assert answer.status_code == 204
    assert members == [("ada@example.com", "REPLACED"), ("new@example.com", "ACTIVE")]
    assert api.status(one) == "SIGNED"


def test_delegator_hands_on_and_the_delegate_signs(api: Api) -> None:
    one = api.create(participantSetsInfo=[signer("boss@example.com", role="DELEGATE_TO_SIGNER")])
    assert api.sets(one)[0]["status"] == "WAITING_FOR_MY_DELEGATION"
    api.act(one, "sign", expect=409)
    api.act(one, "delegate", to="clerk@example.com")
    api.act(one, "sign", participant="clerk@example.com")
    assert api.status(one) == "SIGNED"
    assert [each["role"] for each in api.sets(one)] == ["DELEGATE_TO_SIGNER", "SIGNER"]


def test_share_set_does_not_have_to_act(api: Api) -> None:
    one = api.create(
        participantSetsInfo=[signer("ada@example.com"), signer("watch@example.com", None, "SHARE")]
    )
    api.act(one, "sign")
    assert api.status(one) == "SIGNED"


def test_unchanged_agreement_answers_304_and_a_changed_one_200(api: Api) -> None:
    one = api.create()
    etag = api.etag(f"/agreements/{one}")
    unchanged = api.call("GET", f"/agreements/{one}", headers={"If-None-Match": etag})
    api.act(one, "sign")
    changed = api.call("GET", f"/agreements/{one}", headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert (changed.status_code, changed.headers["etag"] == etag) == (200, False)


def test_etag_of_one_resource_does_not_match_another(api: Api) -> None:
    one = api.create(state="AUTHORING")
    body = {"fields": [field(api.sets(one)[0]["id"])]}
    answer = api.put(f"/agreements/{one}/formFields", body, f"/agreements/{one}")
    assert answer.status_code == 412


def test_list_finds_by_external_id_and_pages_with_a_cursor(api: Api) -> None:
    wanted = api.create(externalId={"id": "env_1"})
    others = {api.create(externalId={"id": "env_2"}), api.create()}
    found = api.get("/agreements?externalId=env_1")["userAgreementList"]
    first = api.get("/agreements?pageSize=2")
    second = api.get(f"/agreements?pageSize=2&cursor={first['page']['nextCursor']}")
    ids = [each["id"] for each in first["userAgreementList"] + second["userAgreementList"]]
    assert [each["id"] for each in found] == [wanted]
    assert (set(ids), len(ids), second["page"]) == ({wanted} | others, 3, {})


def test_list_shows_an_agreement_only_after_the_index_lag(api: Api) -> None:
    api.options(index_lag_s=30)
    one = api.create(externalId={"id": "env_1"})
    before = api.get("/agreements?externalId=env_1")["userAgreementList"]
    api.advance(31)
    after = api.get("/agreements?externalId=env_1")["userAgreementList"]
    assert (before, [each["id"] for each in after]) == ([], [one])


def test_draft_is_changed_authored_and_sent(api: Api) -> None:
    one = api.create(state="DRAFT")
    path = f"/agreements/{one}"
    changed = api.put(path, api.body(state="DRAFT", name="Better", externalId={"id": "env_9"}), path)
    authored = api.put(f"{path}/state", {"state": "AUTHORING"}, path)
    fields = {"fields": [field(api.sets(one)[0]["id"])]}
    placed = api.put(f"{path}/formFields", fields, f"{path}/formFields")
    sent = api.put(f"{path}/state", {"state": "IN_PROCESS"}, path)
    assert [each.status_code for each in (changed, authored, placed, sent)] == [204, 204, 200, 204]
    assert (api.get(path)["name"], api.status(one)) == ("Better", "OUT_FOR_SIGNATURE")
    assert api.get(f"{path}/formFields")["fields"] == fields["fields"]


def test_signing_urls_name_the_waiting_participants_only(api: Api) -> None:
    one = api.create(participantSetsInfo=[signer("ada@example.com"), signer("bob@example.com", 2)])
    (urls,) = api.get(f"/agreements/{one}/signingUrls")["signingUrlSetInfos"]
    assert [each["email"] for each in urls["signingUrls"]] == ["ada@example.com"]
    assert urls["signingUrls"][0]["esignUrl"].startswith(api.url)


def test_reminder_once_is_sent_at_once_and_a_daily_one_every_day_until_signed(api: Api) -> None:
    one = api.create()
    member = api.sets(one)[0]["memberInfos"][0]["id"]
    body = {"recipientParticipantIds": [member], "status": "ACTIVE", "note": "please"}
    once = api.call("POST", f"/agreements/{one}/reminders", body | {"frequency": "ONCE"})
    sent_at_once = api.types(one).count("REMINDER_SENT")
    api.call("POST", f"/agreements/{one}/reminders", body | {"frequency": "DAILY_UNTIL_SIGNED"})
    api.advance(86400 + 1)
    api.advance(86400 + 1)
    api.token = api.refresh()
    sent_daily = api.types(one).count("REMINDER_SENT")
    api.act(one, "sign")
    api.advance(86400 + 1)
    api.token = api.refresh()
    assert once.status_code == 201
    assert (sent_at_once, sent_daily, api.types(one).count("REMINDER_SENT")) == (1, 3, 3)
    assert [each["status"] for each in api.get(f"/agreements/{one}/reminders")["reminderInfoList"]] == [
        "COMPLETE",
        "ACTIVE",
    ]


def test_template_brings_its_document_and_fields(api: Api) -> None:
    (nda, two_party) = api.get("/libraryDocuments")["libraryDocumentList"]
    one = api.create(
        fileInfos=[{"libraryDocumentId": two_party["id"]}],
        participantSetsInfo=[signer("ada@example.com"), signer("bob@example.com", 2)],
    )
    first, second = api.sets(one)
    fields = api.get(f"/agreements/{one}/formFields")["fields"]
    assert nda["name"] == "Sandbox NDA"
    assert {each["name"]: each["assignee"] for each in fields} == {
        "signature_1": first["id"],
        "date_1": first["id"],
        "signature_2": second["id"],
        "date_2": second["id"],
    }


def test_damaged_pdf_cancels_the_agreement_with_a_conversion_problem(api: Api) -> None:
    broken = api.upload(b"%PDF-1.4 this is no PDF")
    one = api.create(fileInfos=[{"transientDocumentId": broken}])
    assert (api.status(one), api.types(one)) == ("CANCELLED", ["AUTO_CANCELLED_CONVERSION_PROBLEM"])


def test_agreement_of_someone_else_is_unknown_to_a_stranger(api: Api) -> None:
    one = api.create()
    api.create(participantSetsInfo=[signer("eve@example.com")])
    answer = api.call("GET", f"/agreements/{one}", headers={"x-api-user": "email:eve@example.com"})
    assert (answer.status_code, answer.json()["code"]) == (404, "INVALID_AGREEMENT_ID")


def test_authorization_code_leads_to_tokens_and_the_access_point(api: Api) -> None:
    query = {
        "client_id": "sandbox-adobe-client",
        "response_type": "code",
        "redirect_uri": "http://127.0.0.1:1/back",
        "state": "s",
    }
    redirect = api.http.get("/public/oauth/v2", params=query)
    code = redirect.next_request.url.params["code"]
    answer = api.oauth("token", grant_type="authorization_code", code=code).json()
    assert redirect.next_request.url.params["state"] == "s"
    assert (answer["api_access_point"], answer["expires_in"]) == (f"{api.url}/", 3600)
    assert api.get("/baseUris", token=api.refresh(answer["refresh_token"]))["apiAccessPoint"] == f"{api.url}/"


def test_revoked_refresh_token_gives_no_more_tokens(api: Api) -> None:
    assert api.oauth("revoke", token="sandbox-adobe-refresh").status_code == 200
    answer = api.oauth("refresh", grant_type="refresh_token", refresh_token="sandbox-adobe-refresh")
    assert answer.json()["code"] == "INVALID_TOKEN"


def test_integration_key_is_a_token_by_itself_and_other_users_send_for_themselves(api: Api) -> None:
    api.options(users=["legal@sandbox.example"])
    key = "sandbox-adobe-integration-key"
    as_legal = {"x-api-user": "email:legal@sandbox.example"}
    created = api.call("POST", "/agreements", api.body(), token=key, headers=as_legal)
    path = f"/agreements/{created.json()['id']}"
    assert api.call("GET", path, headers=as_legal).json()["senderEmail"] == "legal@sandbox.example"
    assert api.call("GET", path).status_code == 404
