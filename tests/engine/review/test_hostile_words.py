"""Texts that nobody types by accident: refused or cleaned, never an error of ours, never stored as they came."""

import pytest

from tests.engine.signing.house import House, printed_fields
from tests.gateway.bodies import envelope, field, signer

ADA = "ada@example.com"
HOSTILE = (
    "a\\u0000bcdefgh",
    "\\ud800bcdefgh",
    "abc\\u202Edefgh",
    "abc\\r\\nBcc: x@example.com",
    "\\ud83d" * 50,
    "a" * 300_000,
    "\\ufdfa" * 50_000,
)


@pytest.mark.parametrize(
    "text", HOSTILE, ids=["nul", "surrogate", "bidi", "lines", "halves", "long", "swelling"]
)
async def test_hostile_text_is_an_answer_and_no_error(house: House, text: str) -> None:
    fields = [field(), field(type="text", y=100)]
    await house.send(envelope(recipients=[signer(fields=fields)]))
    ada = await house.reader(ADA)
    kept = await house.envelope()
    value = printed_fields(kept, "text")[0]
    bodies = [
        ("PUT", f"fields/{value}", '{"value": "%s"}'),
        ("PUT", f"fields/{value}/signature", '{"signature_id": "%s"}'),
        ("POST", "signatures", '{"type": "typed", "text": "%s"}'),
        ("POST", "signatures", '{"type": "typed", "text": "Ada", "font": "%s"}'),
        ("POST", "signatures", '{"type": "draw", "image": "%s"}'),
        ("POST", "save", '{"signature_text": "%s"}'),
        ("POST", "save", '{"signature_text": "Ada", "signature_font": "%s"}'),
        ("POST", "save", '{"field_%s": "x", "group_%s": "y"}'),
        ("POST", "consent", '{"agree": "yes", "demonstration": "%s"}'),
        ("POST", "finish", '{"intent": true, "idempotency_key": "%s"}'),
        (
            "POST",
            "finish",
            '{"intent": true, "idempotency_key": "a-key-of-eight", "meaning": "%s", "time_zone": "%s"}',
        ),
        ("POST", "delegate", '{"name": "%s", "email": "cy@example.com", "reason": "On leave"}'),
        ("POST", "delegate", '{"name": "Cy", "email": "%s", "reason": "On leave"}'),
        ("POST", "decline", '{"reason": "no"}'),
    ]
    for method, part, body in bodies:
        content = body.replace("%s", text).encode()
        answer = await ada.call(
            method, part, content, **{"content-type": "application/json", "if-match": "1"}
        )
        assert answer.status_code < 500, (part, answer.text[:300])
        if part == "delegate" and answer.status_code < 300:
            ada = await house.reader((await house.envelope()).recipients[-1].email)
    for path in (f"fields/%00{value}", "signatures/%00.png", "documents/%00.pdf", "download/%00", "%00"):
        assert (await ada.look(path)).status_code < 500, path
    client = ada.client
    for path in ("/sign/%00", "/sign/s/%00", "/sign/s/%ED%A0%80/document", "/prepare/%00", "/prepare/s/%00"):
        for method in ("GET", "POST"):
            answer = await client.request(method, path, headers={"cookie": "sign-\x00=a; prepare-\x00=b"})
            assert answer.status_code < 500, (path, answer.text[:200])
    after = await house.envelope()
    stored = "".join([one.value for one in after.fields] + [one.text for one in after.signatures])
    stored += "".join(one.name + one.email + one.reason for one in after.recipients)
    assert not set(stored) & set("\0\u202e\ud800\r")
