"""Faults on request: each does what it says, is counted down, and is gone afterwards."""

import httpx
import pytest
from sandbox_docusign_kit import Receiver, Sandbox, definition, document, notification, signer


def _transactions(sandbox: Sandbox, transaction_id: str) -> list[dict]:
    answer = sandbox.api("GET", f"/envelopes?transaction_ids={transaction_id}")
    assert answer.status_code == 200, answer.text
    return answer.json().get("envelopes", [])


def test_timeout_after_accept_keeps_the_envelope_though_the_client_gave_up(sandbox: Sandbox) -> None:
    sandbox.fault("timeout_after_accept", match="envelopes.create", seconds=2)
    with pytest.raises(httpx.ReadTimeout):
        sandbox.api("POST", "/envelopes", definition(transactionId="t-timeout"), timeout=0.5)
    assert [e["transactionId"] for e in _transactions(sandbox, "t-timeout")] == ["t-timeout"]
    assert sandbox.control("GET", "/faults").json() == {"faults": []}


@pytest.mark.parametrize(("kind", "kept"), [("reset_before", 0), ("reset_after", 1)])
def test_reset_cuts_the_connection_before_or_after_the_work(sandbox: Sandbox, kind: str, kept: int) -> None:
    sandbox.fault(kind, match="envelopes.create")
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        sandbox.api("POST", "/envelopes", definition(transactionId=f"t-{kind}"))
    assert len(_transactions(sandbox, f"t-{kind}")) == kept


def test_rate_limit_answer_comes_with_headers_as_often_as_asked(sandbox: Sandbox) -> None:
    sandbox.fault("http_429", match="envelopes.*", count=2)
    for _ in range(2):
        answer = sandbox.api("POST", "/envelopes", definition())
        assert (answer.status_code, answer.json()["errorCode"]) == (
            429,
            "HOURLY_APIINVOCATION_LIMIT_EXCEEDED",
        )
        assert "x-ratelimit-reset" in answer.headers
    assert sandbox.api("POST", "/envelopes", definition()).status_code == 201


def test_rate_limit_answer_can_lack_headers_and_have_the_older_status(sandbox: Sandbox) -> None:
    code = "BURST_APIINVOCATION_LIMIT_EXCEEDED"
    sandbox.fault("http_429", match="envelopes.create", has_headers=False, status=400, code=code)
    answer = sandbox.api("POST", "/envelopes", definition())
    assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


def test_html_error_is_no_json(sandbox: Sandbox) -> None:
    sandbox.fault("http_500_html", match="envelopes.create", status=503)
    answer = sandbox.api("POST", "/envelopes", definition())
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_an_error_page_after_the_work_hides_that_the_envelope_is_there(sandbox: Sandbox) -> None:
    sandbox.fault("http_500_after_accept", match="envelopes.create")
    answer = sandbox.api("POST", "/envelopes", definition(transactionId="t-500"))
    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/html")
    assert len(_transactions(sandbox, "t-500")) == 1


def test_embedded_error_stands_inside_a_success(sandbox: Sandbox) -> None:
    envelope_id = sandbox.create()
    sandbox.fault("embedded_error_details", match="recipients.update")
    change = {"signers": [{"recipientId": "1", "name": "New Name"}]}
    answer = sandbox.api("PUT", f"/envelopes/{envelope_id}/recipients", change)
    assert answer.status_code == 200
    assert (
        answer.json()["recipientUpdateResults"][0]["errorDetails"]["errorCode"] == "RECIPIENT_UPDATE_FAILED"
    )


def test_expired_token_is_refused_once_and_needs_a_new_one(sandbox: Sandbox) -> None:
    sandbox.fault("token_expired", match="envelopes.create")
    for _ in range(2):
        answer = sandbox.api("POST", "/envelopes", definition())
        assert (answer.status_code, answer.json()["errorCode"]) == (401, "AUTHORIZATION_INVALID_TOKEN")
    sandbox.forget_token()
    assert sandbox.api("POST", "/envelopes", definition()).status_code == 201


def test_lookup_lag_hides_a_young_envelope_from_the_next_list(sandbox: Sandbox) -> None:
    sandbox.create(transactionId="t-lag")
    sandbox.fault("lookup_lag", count=1, seconds=60)
    assert _transactions(sandbox, "t-lag") == []
    assert len(_transactions(sandbox, "t-lag")) == 1


def test_slow_answer_still_answers(sandbox: Sandbox) -> None:
    sandbox.fault("slow", match="templates.list", seconds=0.05)
    assert sandbox.api("GET", "/templates").status_code == 200


def test_duplicate_webhook_arrives_twice_with_the_same_bytes(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.fault("duplicate_webhook", match="envelope-sent")
    sandbox.create(eventNotification=notification(receiver.url, "envelope-sent"))
    assert receiver.next_raw()[1] == receiver.next_raw()[1]


def test_reordered_webhook_comes_after_its_successor(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.fault("reorder_webhooks", match="recipient-completed", seconds=30)
    hook = notification(receiver.url, "recipient-completed", "envelope-completed")
    envelope_id = sandbox.create(
        eventNotification=hook, documents=[document()], recipients={"signers": [signer()]}
    )
    sandbox.act(envelope_id, "1", "sign")
    assert [m["event"] for m in receiver.take(2)] == ["envelope-completed", "recipient-completed"]


def test_late_webhook_lets_the_others_pass(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.fault("late_webhook", match="envelope-sent", seconds=0.5)
    sandbox.create(eventNotification=notification(receiver.url, "envelope-sent", "recipient-sent"))
    assert [m["event"] for m in receiver.take(2)] == ["recipient-sent", "envelope-sent"]


def test_every_answer_carries_limits_and_a_trace_token(sandbox: Sandbox) -> None:
    first, second = sandbox.api("GET", "/templates"), sandbox.api("GET", "/envelopes/none")
    for answer in (first, second):
        for name in ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-burstlimit-limit"):
            assert answer.headers[name].isdigit()
    assert first.headers["x-docusign-tracetoken"] != second.headers["x-docusign-tracetoken"]
