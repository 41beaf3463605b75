"""How to spoil a valid request in the ways that many operations share."""

from collections.abc import Callable

import httpx
from adobe_sandbox_kit import Api
from adobe_valid_requests import Valid

READ_ONLY = "sandbox-adobe-refresh-read-only"
GONE = "CBJCHBCAABAAunknown"

WRONG_TYPES = {
    "create_agreement": {"name": 7},
    "update_agreement": {"name": 7},
    "set_state": {"agreementCancellationInfo": {"notifyOthers": "true"}},
    "replace_participant": {"order": "1"},
    "delegate_participant": {"memberInfos": {"email": "bo@example.com"}},
    "reject": {"comment": 7},
    "create_reminder": {"firstReminderDelay": "1"},
    "put_form_fields": {"fields": [{"name": "a", "required": "true"}]},
    "create_view": {"commonViewConfiguration": {"noChrome": "true"}},
    "create_webhook": {"webhookUrlInfo": "https://example.com"},
    "update_webhook": {
        "webhookConditionalParams": {"webhookAgreementEvents": {"includeDetailedInfo": "true"}}
    },
    "set_visibility": {"visibility": ["HIDE"]},
    "set_webhook_state": {"state": 1},
}
BAD_VALUES = {
    "create_agreement": {"signatureType": "INK"},
    "update_agreement": {"state": "SENT"},
    "set_state": {"state": "DRAFT"},
    "replace_participant": {"role": "WITNESS"},
    "create_reminder": {"frequency": "HOURLY"},
    "put_form_fields": {"fields": [{"name": "a", "contentType": "SCRIBBLE"}]},
    "create_view": {"name": "EVERYTHING"},
    "set_visibility": {"visibility": "GONE"},
    "create_webhook": {"scope": "WORLD"},
    "update_webhook": {"state": "PAUSED"},
    "set_webhook_state": {"state": "PAUSED"},
}
BAD_EMAILS = {
    "create_agreement": {"ccs": [{"email": "not an address"}]},
    "update_agreement": {"ccs": [{"email": "a@b"}]},
    "replace_participant": {"memberInfos": [{"email": "ada@"}]},
    "delegate_participant": {"memberInfos": [{"email": "@example.com"}]},
}
REQUIRED = {
    "create_agreement": "name",
    "update_agreement": "signatureType",
    "set_state": "state",
    "replace_participant": "memberInfos",
    "delegate_participant": "memberInfos",
    "create_reminder": "recipientParticipantIds",
    "put_form_fields": "fields",
    "create_view": "name",
    "set_visibility": "visibility",
    "create_webhook": "webhookUrlInfo",
    "update_webhook": "scope",
    "set_webhook_state": "state",
}


def without(valid: Valid, key: str) -> Valid:
    return valid._replace(body={k: v for k, v in (valid.body or {}).items() if k != key})


def with_changes(valid: Valid, changes: dict) -> Valid:
    return valid._replace(body={**(valid.body or {}), **changes})


def _bytes(api: Api, valid: Valid, content: bytes, **headers: str) -> httpx.Response:
    return api.call(valid.method, valid.path, content=content, headers={**valid.headers, **headers})


SPOILERS: dict[str, Callable[[Api, Valid, str], httpx.Response]] = {
    "missing_scope": lambda api, v, op: v.send(api, token=api.refresh(READ_ONLY)),
    "not_json": lambda api, v, op: _bytes(api, v, b'{"name":'),
    "not_an_object": lambda api, v, op: _bytes(api, v, b"[]"),
    "wrong_content_type": lambda api, v, op: v.send(api, headers={"Content-Type": "text/plain"}),
    "unknown_attribute": lambda api, v, op: with_changes(v, {"surprise": 1}).send(api),
    "missing_attribute": lambda api, v, op: without(v, REQUIRED[op]).send(api),
    "wrong_type": lambda api, v, op: with_changes(v, WRONG_TYPES[op]).send(api),
    "bad_value": lambda api, v, op: with_changes(v, BAD_VALUES[op]).send(api),
    "bad_date": lambda api, v, op: with_changes(v, {"expirationTime": "2030-01-01"}).send(api),
    "bad_email": lambda api, v, op: with_changes(v, BAD_EMAILS[op]).send(api),
    "unknown_agreement": lambda api, v, op: v._replace(path=v.path.replace(v.agreement, GONE)).send(api),
    "no_if_match": lambda api, v, op: v._replace(headers=_other_than_if_match(v)).send(api),
    "stale_if_match": lambda api, v, op: v.send(api, headers={"If-Match": '"0123"'}),
}


def _other_than_if_match(valid: Valid) -> dict[str, str]:
    return {key: value for key, value in valid.headers.items() if key != "If-Match"}
