"""Whatever comes as a body: a clear 4xx as problem+json with a stable code, never a 5xx."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.gateway.bodies import envelope, field, signer
from tests.gateway.world import API, Tenant, World

JSON = {"content-type": "application/json"}
URL = f"{API}/envelopes"


def million_keys() -> bytes:
    return json.dumps({f"k{n}": n for n in range(60_000)}).encode()


BODIES: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "malformed": (b'{"name": "x"', JSON, 400, "payload_malformed"),
    "trailing": (b'{"name": "x"} {}', JSON, 400, "payload_malformed"),
    "empty": (b"", JSON, 422, "validation_failed"),
    "nested": (b"[" * 100_000 + b"]" * 100_000, JSON, 400, "payload_malformed"),
    "nested objects": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, JSON, 400, "payload_malformed"),
    "invalid utf-8": (b'{"name": "\xff\xfe"}', JSON, 400, "payload_malformed"),
    "nan": (b'{"name": NaN}', JSON, 400, "payload_malformed"),
    "many keys": (million_keys(), JSON, 422, "validation_failed"),
    "an array": (b"[]", JSON, 422, "validation_failed"),
    "null": (b"null", JSON, 422, "validation_failed"),
    "a string": (b'"x"', JSON, 422, "validation_failed"),
    "form": (b"name=x", {"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    "multipart": (
        b"--x--",
        {"content-type": "multipart/form-data; boundary=x"},
        415,
        "unsupported_media_type",
    ),
    "xml": (b"<a/>", {"content-type": "text/xml"}, 415, "unsupported_media_type"),
    "too large": (b'{"name": "' + b"x" * 1_100_000 + b'"}', JSON, 413, "too_large"),
    "unknown field": (b'{"name": "x", "nmae": "y"}', JSON, 422, "validation_failed"),
    "wrong type": (b'{"name": 7}', JSON, 422, "validation_failed"),
    "nul": (b'{"name": "a\\u0000b"}', JSON, 422, "validation_failed"),
    "lone surrogate": (b'{"name": "\\ud800"}', JSON, 400, "payload_malformed"),
}


@pytest.mark.parametrize("has_key", [False, True])
async def test_a_bad_body_is_refused_in_a_stable_form(acme: Tenant, has_key: bool) -> None:
    for what, (content, headers, status, code) in BODIES.items():
        more = {"idempotency-key": f"key {what}"} if has_key else {}
        answer = await acme.client.post(URL, content=content, headers=headers | more)
        assert (answer.status_code, answer.json()["code"]) == (status, code), f"{what}: {answer.text}"
        assert answer.headers["content-type"].startswith("application/problem+json"), what
        assert answer.json()["request_id"] == answer.headers["x-request-id"], what
        assert len(answer.content) < 4000, what


async def test_a_body_in_pieces_without_a_length_is_limited_too(acme: Tenant) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"name": "'
        for _ in range(40):
            yield b"x" * 65536
        yield b'"}'

    for more in ({}, {"idempotency-key": "k"}):
        answer = await acme.client.post(URL, content=pieces(), headers=JSON | more)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "/name"),
    ({"name": "x" * 201}, "/name"),
    ({"recipients": [signer(email="nobody")]}, "/recipients/0/email"),
    ({"recipients": [signer(email="a@b..c")]}, "/recipients/0/email"),
    ({"recipients": [signer(email="a@b.c\r\nbcc: x@y.z")]}, "/recipients/0/email"),
    ({"recipients": [signer(role="boss")]}, "/recipients/0/role"),
    ({"recipients": [signer(name="a\nb")]}, "/recipients/0/name"),
    ({"recipients": [signer(authentication="access_code")]}, "/recipients/0/access_code"),
    ({"recipients": [signer(authentication="sms")]}, "/recipients/0/phone"),
    (
        {"recipients": [signer(authentication="sms", phone={"country_code": "+49", "number": "1"})]},
        "/recipients/0/phone",
    ),
    ({"recipients": [signer(role="in_person")]}, "/recipients/0/host_name"),
    ({"recipients": [signer(role="carbon_copy")]}, "/recipients/0/fields/0"),
    ({"recipients": [signer(routing_order=0)]}, "/recipients/0/routing_order"),
    ({"recipients": [signer(fields=[field(type="stamp")])]}, "/recipients/0/fields/0/type"),
    ({"recipients": [signer(fields=[field(page=0)])]}, "/recipients/0/fields/0/page"),
    ({"recipients": [signer(fields=[field(x=-1)])]}, "/recipients/0/fields/0/x"),
    ({"recipients": [signer(fields=[field(document=2)])]}, "/recipients/0/fields/0/document"),
    ({"recipients": [signer(fields=[field(type="dropdown")])]}, "/recipients/0/fields/0/options"),
    ({"recipients": [signer(fields=[field(type="radio")])]}, "/recipients/0/fields/0/group"),
    ({"recipients": [signer(fields=[field(anchor={"text": ""})])]}, "/recipients/0/fields/0/anchor/text"),
    ({"documents": [{}]}, "/documents/0"),
    ({"documents": [{"content_base64": "JVBERi0="}]}, "/documents/0/name"),
    ({"documents": [{"name": "x", "content_base64": "not base64!"}]}, "/documents/0/content_base64"),
    ({"authentication_level": "retina"}, "/authentication_level"),
    ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
    ({"expires_at": "2199-01-01T00:00:00"}, "/expires_at"),
    ({"expires_at": "tomorrow"}, "/expires_at"),
    ({"expiry_warn_days": -1}, "/expiry_warn_days"),
    ({"reminders": {"first_after_hours": 1}}, "/reminders"),
    ({"metadata": {"k": "v" * 1001}}, "/metadata"),
    ({"metadata": {"k": 1}}, "/metadata"),
]


async def test_each_fault_is_named_by_its_place(acme: Tenant) -> None:
    for change, where in FAULTS:
        answer = await acme.post("/envelopes", envelope(**change))
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), answer.text
        assert any(one["where"].startswith(where) for one in answer.json()["findings"]), answer.text


async def test_all_faults_are_told_at_once(acme: Tenant) -> None:
    recipients = [signer(email="x"), signer(authentication="sms")]
    answer = await acme.post("/envelopes", envelope(recipients=recipients, expires_at="2020-01-01T00:00:00Z"))
    assert len(answer.json()["findings"]) == 3


async def test_limits_come_from_the_settings(world: World, acme: Tenant) -> None:
    limits = world.services.settings.limit
    many = [signer(f"P{n}", fields=[]) for n in range(limits.recipients_per_envelope + 1)]
    assert (await acme.post("/envelopes", envelope(recipients=many))).status_code == 422
    fields = [field() for _ in range(limits.fields_per_envelope + 1)]
    answer = await acme.post("/envelopes", envelope(recipients=[signer(fields=fields)]))
    assert answer.json()["findings"][0]["problem"] == (
        f"{limits.fields_per_envelope + 1} fields; an envelope has at most {limits.fields_per_envelope}."
    )


ADDRESSES = [
    ("GET", "/nowhere", 404, "not_found"),
    ("PATCH", f"{API}/envelopes", 405, "method_not_allowed"),
    ("GET", f"{API}/envelopes?limit=0", 422, "validation_failed"),
    ("GET", f"{API}/envelopes?limit=5000", 422, "validation_failed"),
    ("GET", f"{API}/envelopes?limit=x", 422, "validation_failed"),
    ("GET", f"{API}/envelopes?status=lost", 422, "validation_failed"),
    ("GET", f"{API}/envelopes?cursor=zzz", 422, "validation_failed"),
    ("GET", f"{API}/envelopes?created_from=x", 422, "validation_failed"),
    ("GET", f"{API}/envelopes?created_from=0001-01-01T00:00:00%2B14:00", 422, "validation_failed"),
    ("GET", f"{API}/envelopes?created_before=2026-11-22T10:00:00", 422, "validation_failed"),
    ("GET", f"{API}/envelopes?reference=%00", 400, "bad_request"),
    ("POST", f"{API}/envelopes?wait=999", 400, "bad_request"),
]


async def test_bad_addresses_and_parameters_are_problems_too(acme: Tenant) -> None:
    for method, path, status, code in ADDRESSES:
        answer = await acme.client.request(
            method, path, json=envelope(send=True) if method == "POST" else None
        )
        assert (answer.status_code, answer.json()["code"]) == (status, code), f"{path}: {answer.text}"
        assert answer.headers["content-type"].startswith("application/problem+json"), path


async def test_a_mistake_of_ours_is_a_500_that_tells_nothing_but_its_id(
    world: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from gateway.http import envelopes

    async def breaks(*_: object, **__: object) -> Any:
        raise RuntimeError("canary: a driver's text with a password")

    monkeypatch.setattr(envelopes, "create_envelope", breaks)
    answer = await acme.post("/envelopes", envelope())
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "canary" not in answer.text
    assert "canary" in caplog.text
