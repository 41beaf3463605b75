"""Several methods of authentication and the sender's own questions: taken in, handed on, and never shown."""

import msgspec
import pytest

from normalizer.capabilities import Support
from normalizer.recipient import AuthenticationMethod, Recipient
from tests.fixtures.store import Store
from tests.gateway.bodies import envelope, signer
from tests.gateway.world import Tenant, World

ANSWER = "Rosebud-canary"
CODE = "canary-code-4711"
QUESTIONS = [
    {"question": "Your first sled?", "answer": f"  {ANSWER} "},
    {"question": "Und die Straße?", "answer": "Hauptstraße"},
]


def careful(**given) -> dict:
    return signer(
        **{
            "authentication_methods": ["email", "sms", "access_code", "knowledge"],
            "phone": {"country_code": "49", "number": "1701234567"},
            "access_code": CODE,
            "knowledge_questions": QUESTIONS,
        }
        | given
    )


def enable(world: World) -> None:
    fake = world.fake("alpha")
    fake.capabilities = msgspec.structs.replace(
        fake.capabilities,
        several_methods=True,
        knowledge_questions=True,
        frame_origins=True,
        authentication=dict.fromkeys(AuthenticationMethod, Support.NATIVE),
    )


async def test_methods_and_questions_reach_the_provider_in_order_and_answers_as_hashes(
    world: World, acme: Tenant, store: Store
) -> None:
    enable(world)
    made = await acme.made(envelope(recipients=[careful()], send=True))
    sent = world.fake("alpha").outgoing[0].recipients[0]
    assert sent.methods == (
        AuthenticationMethod.SMS,
        AuthenticationMethod.ACCESS_CODE,
        AuthenticationMethod.KNOWLEDGE,
    )
    assert [one.question for one in sent.knowledge] == ["Your first sled?", "Und die Straße?"]
    assert all(one.answer_hash.startswith("$argon2id$") for one in sent.knowledge)
    assert made["recipients"][0]["authentication_methods"] == ["sms", "access_code", "knowledge"]
    stored = await store.hub.fetchval("SELECT string_agg(r::text, ' ') FROM recipients r")
    trail = (await acme.get(f"/envelopes/{made['id']}/audit-trail")).text
    for secret in (ANSWER, CODE, "argon2"):
        assert secret not in str(made) + stored + trail + repr(sent)


async def test_a_draft_of_a_recipient_is_replaced_with_its_methods(world: World, acme: Tenant) -> None:
    enable(world)
    made = await acme.made(envelope(recipients=[careful()]))
    path = f"/envelopes/{made['id']}/recipients/{made['recipients'][0]['id']}"
    body = careful(authentication_methods=["email_otp"], knowledge_questions=[], access_code="")
    body.pop("fields", None)
    changed = await acme.client.put(f"/api/v1/signatures{path}", json=body)
    assert changed.status_code == 200, changed.text
    assert changed.json()["recipients"][0]["authentication_methods"] == ["email_otp"]
    await acme.made({}, f"/envelopes/{made['id']}/send")
    sent: Recipient = world.fake("alpha").outgoing[0].recipients[0]
    assert (sent.methods, sent.knowledge, sent.access_code) == (
        (AuthenticationMethod.EMAIL_OTP,),
        (),
        None,
    )


@pytest.mark.parametrize(
    ("given", "feature"),
    [
        ({"authentication_methods": ["sms", "access_code"], "knowledge_questions": []}, "several methods"),
        ({"authentication_methods": ["knowledge"]}, "knowledge questions"),
    ],
)
async def test_a_provider_without_them_is_not_given_less(
    acme: Tenant, given: dict[str, object], feature: str
) -> None:
    answer = await acme.post("/envelopes", envelope(recipients=[careful(**given)], send=True))
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported_feature")
    assert feature in answer.json()["detail"]


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"access_code": " "}, "/recipients/0/access_code"),
        ({"phone": None}, "/recipients/0/phone"),
        ({"authentication": "id_verification"}, "/recipients/0/authentication_methods"),
        ({"authentication_methods": ["sms"]}, "/recipients/0/knowledge_questions"),
        (
            {"knowledge_questions": [{"question": "Q?", "answer": " \t "}]},
            "/recipients/0/knowledge_questions/0",
        ),
    ],
)
async def test_methods_that_lack_their_proof_are_refused(
    acme: Tenant, given: dict[str, object], where: str
) -> None:
    answer = await acme.post("/envelopes", envelope(recipients=[careful(**given)]))
    assert answer.status_code == 422, answer.text
    assert where in [one["where"] for one in answer.json()["findings"]]
    assert ANSWER not in answer.text


async def test_origins_reach_a_provider_that_binds_urls_to_them_and_no_other(
    world: World, acme: Tenant
) -> None:
    enable(world)
    made = await acme.made(envelope(recipients=[signer(embedded=True)], send=True))
    path = f"/envelopes/{made['id']}/recipients/{made['recipients'][0]['id']}/signing-url"
    body = {"return_url": "https://dms.example/back", "origins": ["https://dms.example"]}
    assert (await acme.post(path, body)).status_code == 201
    assert "signing_url ('https://dms.example',)" in world.fake("alpha").calls
    fake = world.fake("alpha")
    fake.capabilities = msgspec.structs.replace(fake.capabilities, frame_origins=False)
    refused = await acme.post(path, body)
    assert (refused.status_code, refused.json()["code"]) == (422, "unsupported_feature")
