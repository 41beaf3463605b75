"""Every fault that can be injected does what its name says, as often as it was asked to."""

import httpx
import pytest
from adobe_sandbox_kit import Api, Receiver, webhook_body

from adapters.adobe_sign.sandbox.faults import FaultKind


def ids(api: Api) -> list[str]:
    return [each["id"] for each in api.get("/agreements")["userAgreementList"]]


def register(api: Api, receiver: Receiver, **changes: object) -> None:
    answer = api.call("POST", "/webhooks", webhook_body(receiver.url, **changes))
    assert answer.status_code == 201, answer.text


def test_reset_before_cuts_the_connection_and_nothing_was_done(api: Api) -> None:
    body = api.body()
    api.fault("reset_before", "create_agreement")
    with pytest.raises(httpx.TransportError):
        api.call("POST", "/agreements", body)
    assert ids(api) == []
    assert api.call("POST", "/agreements", body).status_code == 201


def test_reset_after_cuts_the_connection_although_the_agreement_exists(api: Api) -> None:
    body = api.body(externalId={"id": "env_1"})
    api.fault("reset_after", "create_agreement")
    with pytest.raises(httpx.TransportError):
        api.call("POST", "/agreements", body)
    assert len(api.get("/agreements?externalId=env_1")["userAgreementList"]) == 1


def test_timeout_after_accept_leaves_the_client_waiting_although_the_agreement_exists(api: Api) -> None:
    body = api.body()
    api.fault("timeout_after_accept", "create_agreement", seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        api.call("POST", "/agreements", body, timeout=0.3)
    assert len(ids(api)) == 1


def test_slow_call_is_answered_in_the_end(api: Api) -> None:
    api.fault("slow", "base_uris", seconds=0.05)
    assert api.call("GET", "/baseUris").status_code == 200
    assert api.sandbox("GET", "/faults")[0]["fired"] == 1


def test_throttled_call_says_how_long_to_wait(api: Api) -> None:
    api.fault("http_429", "get_agreement", count=2, seconds=7)
    one = api.create()
    answers = [api.call("GET", f"/agreements/{one}") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert (answers[0].headers["Retry-After"], answers[0].json()["retryAfter"]) == ("7", 7)
    assert answers[0].json()["code"] == "THROTTLING_TOO_MANY_REQUESTS"


@pytest.mark.parametrize(("kind", "status"), [("http_500_html", 500), ("html_502", 502)])
def test_html_error_comes_instead_of_json_and_nothing_was_done(api: Api, kind: str, status: int) -> None:
    body = api.body()
    api.fault(kind, "create_agreement")
    answer = api.call("POST", "/agreements", body)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (status, "text/html")
    assert ids(api) == []


def test_precondition_fails_once_and_then_the_same_etag_is_accepted(api: Api) -> None:
    one = api.create()
    api.fault("precondition_412_once")
    path = f"/agreements/{one}"
    first = api.put(f"{path}/state", {"state": "CANCELLED"}, path)
    second = api.put(f"{path}/state", {"state": "CANCELLED"}, path)
    assert (first.status_code, first.json()["code"]) == (412, "RESOURCE_MODIFIED")
    assert second.status_code == 204


def test_expired_token_stays_expired_until_it_is_refreshed(api: Api) -> None:
    api.fault("token_expired", "get_agreement")
    one = api.create()
    first = api.call("GET", f"/agreements/{one}")
    again = api.call("GET", f"/agreements/{one}")
    api.token = api.refresh()
    assert [each.json()["code"] for each in (first, again)] == ["INVALID_ACCESS_TOKEN"] * 2
    assert api.call("GET", f"/agreements/{one}").status_code == 200


def test_wrong_access_point_is_reported_once_and_base_uris_still_answer(api: Api) -> None:
    api.fault("invalid_access_point_once", "list_agreements")
    first = api.call("GET", "/agreements")
    assert first.json()["code"] == "INVALID_API_ACCESS_POINT"
    assert api.get("/baseUris")["apiAccessPoint"] == f"{api.url}/"
    assert api.call("GET", "/agreements").status_code == 200


def test_lookup_lag_hides_what_was_created_just_now(api: Api) -> None:
    one = api.create()
    api.fault("lookup_lag", "list_agreements", seconds=60)
    assert (ids(api), ids(api)) == ([], [one])


def test_duplicate_webhook_comes_twice_with_the_same_notification_id(api: Api, receiver: Receiver) -> None:
    register(api, receiver)
    api.fault("duplicate_webhook", "AGREEMENT_CREATED")
    api.create()
    first, second, third = receiver.take(3)
    assert first["bytes"] == second["bytes"]
    assert third["body"]["event"] == "AGREEMENT_ACTION_REQUESTED"


def test_reordered_webhook_follows_the_one_after_it(api: Api, receiver: Receiver) -> None:
    register(api, receiver)
    api.fault("reorder_webhooks", "AGREEMENT_CREATED")
    api.create()
    messages = receiver.take(2)
    assert [each["body"]["event"] for each in messages] == ["AGREEMENT_ACTION_REQUESTED", "AGREEMENT_CREATED"]


def test_late_webhook_does_not_hold_up_the_others(api: Api, receiver: Receiver) -> None:
    register(api, receiver)
    api.fault("late_webhook", "AGREEMENT_CREATED", seconds=0.3)
    api.signed()
    messages = receiver.take(5)
    assert [each["body"]["event"] for each in messages][-2:] == [
        "AGREEMENT_WORKFLOW_COMPLETED",
        "AGREEMENT_CREATED",
    ]


def test_trimmed_payload_lists_what_is_missing(api: Api, receiver: Receiver) -> None:
    parts = {"webhookAgreementEvents": {"includeDetailedInfo": True, "includeParticipantsInfo": True}}
    register(api, receiver, webhookConditionalParams=parts)
    api.fault("trimmed_payload", "AGREEMENT_CREATED")
    api.create()
    trimmed, whole = receiver.take(2)
    assert trimmed["body"]["conditionalParametersTrimmed"] == [
        "includeParticipantsInfo",
        "includeDetailedInfo",
    ]
    assert set(trimmed["body"]["agreement"]) == {"id", "name", "status"}
    assert "participantSetsInfo" in whole["body"]["agreement"]


def test_unknown_fault_and_unknown_match_are_refused_and_the_list_shows_what_is_armed(api: Api) -> None:
    api.sandbox("POST", "/faults", {"kind": "earthquake"}, 400)
    api.sandbox("POST", "/faults", {"kind": "slow", "match": {"operatoin": "x"}}, 400)
    api.fault("slow", "get_user", count=3, seconds=1)
    (armed,) = api.sandbox("GET", "/faults")
    assert (armed["kind"], armed["operation"], armed["remaining"]) == ("slow", "get_user", 3)
    assert api.sandbox("DELETE", "/faults") == []


def test_every_fault_kind_has_a_test() -> None:
    from pathlib import Path

    text = Path(__file__).read_text()
    missing = [kind for kind in FaultKind if f'"{kind.value}"' not in text]
    assert missing == []


def test_error_page_after_the_work_hides_that_the_agreement_exists(api: Api) -> None:
    body = api.body(externalId={"id": "env_500"})
    api.fault("http_500_after_accept", "create_agreement")
    answer = api.call("POST", "/agreements", body)
    assert answer.status_code == 500
    assert answer.text.startswith("<html>")
    assert len(api.get("/agreements?externalId=env_500")["userAgreementList"]) == 1
