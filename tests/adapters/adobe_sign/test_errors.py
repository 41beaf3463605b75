"""What the provider's error answers permit next, by code first and status second."""

import json

import pytest

from adapters.adobe_sign import ADAPTER
from adapters.kit.exchange import ProviderResponse
from adapters.kit.port import DecisionKind


def classify(status: int, body: object = "", operation: str = "create_envelope", **headers: str):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ADAPTER.classify(operation, ProviderResponse(status=status, headers=headers, body=content))


@pytest.mark.parametrize(
    ("status", "code", "kind", "ours"),
    [
        (401, "INVALID_ACCESS_TOKEN", DecisionKind.AUTH_EXPIRED, "token_expired"),
        (401, "INVALID_USER", DecisionKind.AUTH_FAILED, "unauthorized"),
        (400, "INVALID_API_ACCESS_POINT", DecisionKind.BASE_MOVED, "base_moved"),
        (403, "PERMISSION_DENIED", DecisionKind.REJECTED, "permission"),
        (403, "SEND_LIMIT_EXCEEDED", DecisionKind.REJECTED, "quota"),
        (403, "OPERATION_NOT_ALLOWED", DecisionKind.REJECTED, "state_conflict"),
        (403, "HYBRID_ROUTING_NOT_ALLOWED", DecisionKind.REJECTED, "unsupported"),
        (404, "INVALID_AGREEMENT_ID", DecisionKind.REJECTED, "not_found"),
        (404, "AGREEMENT_NOT_SIGNABLE", DecisionKind.REJECTED, "not_ready"),
        (409, "AGREEMENT_ALREADY_SIGNED", DecisionKind.REJECTED, "state_conflict"),
        (412, "RESOURCE_MODIFIED", DecisionKind.REJECTED, "state_conflict"),
        (400, "INVALID_JSON", DecisionKind.REJECTED, "validation"),
        (400, "A_CODE_OF_TOMORROW", DecisionKind.REJECTED, "validation"),
        (500, "MISC_SERVER_ERROR", DecisionKind.UNKNOWN, "provider_error"),
    ],
)
def test_code_decides(status, code, kind, ours) -> None:
    decision = classify(status, {"code": code, "message": "words"})
    assert (decision.kind, decision.code, decision.provider_code) == (kind, ours, code)


def test_throttling_keeps_the_wait_that_the_body_says() -> None:
    body = {"code": "THROTTLING_TOO_MANY_REQUESTS", "message": "slow", "retryAfter": 61}
    decision = classify(429, body, **{"retry-after": "7"})
    assert (decision.kind, decision.retry_after_s) == (DecisionKind.THROTTLED, 61.0)


def test_throttling_without_a_body_keeps_the_header() -> None:
    decision = classify(429, b"<html>", **{"retry-after": "7"})
    assert (decision.kind, decision.retry_after_s) == (DecisionKind.THROTTLED, 7.0)


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"\xff", b"[]", b'{"code": 5}'])
def test_page_of_a_proxy_is_unknown_and_never_an_exception(body) -> None:
    assert classify(502, body).kind is DecisionKind.UNKNOWN


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "invalid_grant", "error_description": "expired"}),
        (400, {"code": "INVALID_REQUEST", "message": "no"}),
        (400, {"code": "EXPIRED_TOKEN", "message": "idle"}),
        (401, {"code": "INVALID_CLIENT", "message": "no"}),
    ],
)
def test_dead_refresh_token_needs_a_person(status, body) -> None:
    assert classify(status, body, "authorize").kind is DecisionKind.AUTH_FAILED
