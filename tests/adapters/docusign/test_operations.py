"""What operations do with answers that are not simply good."""

from datetime import timedelta
from typing import Any

import pytest

from adapters.docusign.adapter import DocuSign
from adapters.kit.exchange import Effect, ProviderResponse, SavedBlob
from adapters.kit.outcome import Rejected, Throttled, Unknown
from adapters.kit.port import Part, RecipientCorrection, SendMode
from adapters.kit.scripted import Expected, ScriptedExchange, finish_operation, json_answer
from normalizer.errors import ProviderContractBroken, UnsupportedFeature, ValidationFailed
from normalizer.recipient import AuthenticationMethod, Phone, Role
from normalizer.status import EnvelopeStatus
from tests.adapters.docusign import samples

REF = samples.ENVELOPE_REF
HTML = ProviderResponse(status=502, headers={"content-type": "text/html"}, body=b"<html>bad gateway</html>")


class Play:
    """One adapter, one script."""

    def __init__(self, *answers: Any) -> None:
        self.adapter = DocuSign()
        self.connection = samples.connection()
        self.exchange = ScriptedExchange(self.adapter, [(Expected(), answer) for answer in answers])

    async def run(self, name: str, *arguments: Any) -> Any:
        operation = getattr(self.adapter, name)(self.exchange, self.connection, *arguments)
        outcome = await finish_operation(operation)
        self.exchange.finish()
        return outcome

    async def create(self, envelope: Any = None) -> Any:
        return await self.run("create_envelope", envelope or samples.envelope(), SendMode.SEND, samples.NOW)


# -- create -----------------------------------------------------------------------------------------------------


async def test_created_envelope_is_learned_before_anything_else() -> None:
    play = Play(json_answer({"envelopeId": REF.upper(), "status": "sent"}, 201))
    created = await play.create()
    assert play.exchange.learned_refs == [REF]
    assert (created.provider_ref, created.report.status) == (REF, EnvelopeStatus.SENT)
    assert created.report.reference == "env_01hxyz.1"
    assert [request.effect for request in play.exchange.requests] == [Effect.CREATES]


async def test_create_answered_with_an_embedded_error_is_rejected_and_keeps_the_orphan() -> None:
    body = {
        "envelopeId": REF,
        "status": "created",
        "errorDetails": {"errorCode": "INVALID_USER_OFFSET", "message": "m"},
    }
    play = Play(json_answer(body, 201))
    outcome = await play.create()
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.provider_code, outcome.learned_ref) == (
        "validation",
        "INVALID_USER_OFFSET",
        REF,
    )
    assert play.exchange.learned_refs == [REF]


@pytest.mark.parametrize(
    "answer",
    [
        ProviderResponse(status=201, headers={}, body=b"<html>"),
        json_answer({"status": "Processing"}, 201),
        HTML,
        ProviderResponse(status=500, headers={}, body=b""),
        ProviderResponse(status=408, headers={}, body=b""),
    ],
)
async def test_create_whose_answer_does_not_say_is_unknown(answer: ProviderResponse) -> None:
    outcome = await Play(answer).create()
    assert isinstance(outcome, Unknown)


async def test_create_with_a_duplicate_of_an_unmapped_error_in_201_is_still_refused() -> None:
    body = {"envelopeId": REF, "recipients": {"signers": [{"errorDetails": {"errorCode": "BRAND_NEW"}}]}}
    outcome = await Play(json_answer(body, 201)).create()
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.provider_code) == ("validation", "BRAND_NEW")


async def test_identity_checks_are_asked_once_and_only_when_needed() -> None:
    person = samples.recipient(authentication=AuthenticationMethod.SMS, phone=Phone("1", "5551234567"))
    envelope = samples.envelope(recipients=(person,))
    checks = {"identityVerification": [{"workflowId": "wf", "defaultName": "Phone Authentication"}]}
    sent = json_answer({"envelopeId": REF, "status": "sent"}, 201)
    play = Play(sent, json_answer(checks), sent, sent, json_answer(checks), sent)
    arguments = (play.exchange, play.connection)
    await play.adapter.create_envelope(*arguments, samples.envelope(), SendMode.SEND, samples.NOW)
    await play.adapter.create_envelope(*arguments, envelope, SendMode.SEND, samples.NOW)
    await play.adapter.create_envelope(
        *arguments, envelope, SendMode.SEND, samples.NOW + timedelta(minutes=14)
    )
    await play.adapter.create_envelope(
        *arguments, envelope, SendMode.SEND, samples.NOW + timedelta(minutes=16)
    )
    play.exchange.finish()


async def test_check_that_the_account_does_not_offer_is_unsupported() -> None:
    person = samples.recipient(authentication=AuthenticationMethod.ID_VERIFICATION)
    disabled = {"workflowId": "wf", "defaultName": "DocuSign ID Verification", "isDisabled": "true"}
    play = Play(json_answer({"identityVerification": [disabled]}))
    with pytest.raises(UnsupportedFeature, match="DocuSign ID Verification"):
        await play.create(samples.envelope(recipients=(person,)))


async def test_document_that_arrives_changed_is_rejected_before_anything_is_created() -> None:
    upload = {"chunkedUploadId": "u1", "chunkedUploadUri": "/chunked_uploads/u1"}
    large = samples.envelope(documents=(samples.document(1, size_bytes=21 * 1024 * 1024),))
    parts = [json_answer(upload)] * 5
    play = Play(json_answer(upload, 201), *parts, json_answer(upload | {"checksum": "0" * 64}))
    outcome = await play.create(large)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "integrity"


# -- find, get, list --------------------------------------------------------------------------------------------


async def test_find_merges_both_look_ups_and_ignores_strangers() -> None:
    mine = {"envelopeId": REF, "status": "created", "transactionId": "r.1"}
    other = {"envelopeId": "4" * 8, "status": "sent", "transactionId": "r.2"}
    field = {"customFields": {"textCustomFields": [{"name": "gateway_envelope_id", "value": "r.1"}]}}
    late = {"envelopeId": "5" * 8, "status": "sent"} | field
    play = Play(json_answer({"envelopes": [mine, other]}), json_answer({"envelopes": [mine | field, late]}))
    found = await play.run("find_envelopes", "r.1", samples.NOW)
    assert [(report.provider_ref, report.status) for report in found] == [
        (REF, EnvelopeStatus.DRAFT),
        ("5" * 8, EnvelopeStatus.SENT),
    ]


async def test_find_takes_an_envelope_that_only_the_transaction_list_names() -> None:
    status = {"envelopeId": REF, "status": "sent", "transactionId": "r.1"}
    play = Play(json_answer({"envelopeTransactionStatuses": [status]}), json_answer({}))
    (found,) = await play.run("find_envelopes", "r.1", samples.NOW)
    assert (found.provider_ref, found.status) == (REF, EnvelopeStatus.SENT)


async def test_answer_about_another_envelope_breaks_the_contract() -> None:
    with pytest.raises(ProviderContractBroken):
        await Play(json_answer({"envelopeId": "other", "status": "sent"})).run("get_envelope", REF)


async def test_page_without_a_next_one_ends_the_list() -> None:
    page = {"envelopes": [{"envelopeId": REF, "status": "sent"}], "endPosition": "0", "totalSetSize": "2"}
    more = await Play(json_answer(page)).run("list_changes", samples.NOW, "")
    assert more.cursor == "1"
    last = await Play(json_answer(page | {"endPosition": "1"})).run("list_changes", samples.NOW, "1")
    assert last.cursor == ""


async def test_unreadable_answer_to_a_read_breaks_the_contract() -> None:
    with pytest.raises(ProviderContractBroken):
        await Play(ProviderResponse(status=200, headers={}, body=b"<html>")).run("get_envelope", REF)


# -- writes to an envelope --------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201])
async def test_void_reason_outside_1_to_200_characters_sends_nothing(reason: str) -> None:
    play = Play()
    with pytest.raises(ValidationFailed):
        await play.run("void_envelope", REF, reason)
    assert play.exchange.requests == []


async def test_discard_of_a_sent_envelope_is_a_conflict_and_bins_nothing() -> None:
    play = Play(json_answer({"envelopeId": REF, "status": "sent"}))
    outcome = await play.run("discard_draft", REF)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "state_conflict"


async def test_discard_of_what_is_in_the_bin_already_is_done() -> None:
    assert await Play(json_answer({"envelopeId": REF, "status": "deleted"})).run("discard_draft", REF) is None


async def test_update_answered_200_with_an_error_inside_is_rejected() -> None:
    body = {
        "envelopeId": REF,
        "errorDetails": {"errorCode": "ENVELOPE_CANNOT_VOID_INVALID_STATE", "message": "m"},
    }
    outcome = await Play(json_answer(body)).run("void_envelope", REF, "Wrong price.")
    assert isinstance(outcome, Rejected)
    assert outcome.code == "state_conflict"


# -- recipients -------------------------------------------------------------------------------------------------


def members(**changes: Any) -> ProviderResponse:
    member = {
        "recipientId": "1",
        "routingOrder": "1",
        "email": "PERSON1@example.com",
        "name": "P",
        "status": "sent",
    }
    return json_answer({"signers": [member | changes]})


async def test_failed_item_inside_a_200_makes_the_correction_rejected() -> None:
    result = {"recipientId": "1", "errorDetails": {"errorCode": "RECIPIENT_UPDATE_FAILED", "message": "no"}}
    play = Play(members(), json_answer({"recipientUpdateResults": [result]}))
    correction = RecipientCorrection(recipient=samples.recipient(), name="New")
    outcome = await play.run("correct_recipient", REF, correction)
    assert isinstance(outcome, Rejected)
    assert (outcome.provider_code, outcome.status) == ("RECIPIENT_UPDATE_FAILED", 200)


async def test_correction_sends_only_what_changes_and_needs_no_look_up_when_the_id_is_known() -> None:
    play = Play(json_answer({"recipientUpdateResults": []}))
    person = samples.recipient(provider_ref="7")
    await play.run("correct_recipient", REF, RecipientCorrection(recipient=person, name="New"))
    (request,) = play.exchange.requests
    assert request.content == (b'{"signers":[{"recipientId":"7","name":"New"}]}',)


async def test_recipient_is_found_by_our_id_then_by_address_and_order() -> None:
    by_id = members(email="other@example.com", customFields=[f"countersign_recipient_id={samples.uid(201)}"])
    for answer in (by_id, members()):
        play = Play(answer, json_answer({}))
        await play.run(
            "correct_recipient", REF, RecipientCorrection(recipient=samples.recipient(), name="New")
        )
        assert b'"recipientId":"1"' in play.exchange.requests[1].content[0]


async def test_recipient_who_is_not_there_is_not_found_and_nothing_is_changed() -> None:
    play = Play(members(routingOrder="2"))
    correction = RecipientCorrection(recipient=samples.recipient(), name="New")
    outcome = await play.run("correct_recipient", REF, correction)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "not_found"


async def test_correction_of_nothing_and_of_an_in_person_address_are_refused() -> None:
    with pytest.raises(ValidationFailed):
        await Play().run("correct_recipient", REF, RecipientCorrection(recipient=samples.recipient()))
    host = samples.recipient(role=Role.IN_PERSON, provider_ref="1")
    with pytest.raises(UnsupportedFeature):
        await Play().run(
            "correct_recipient", REF, RecipientCorrection(recipient=host, email="new@example.com")
        )


async def test_signing_url_uses_the_name_as_it_is_now_at_the_provider() -> None:
    person = samples.recipient(embedded=True)
    now = members(name="Name As Adopted", clientUserId=str(person.id))
    play = Play(now, json_answer({"url": "https://demo.docusign.net/x"}, 201))
    url = await play.run("signing_url", REF, person, "https://dms.example.com/back")
    assert url == "https://demo.docusign.net/x"
    assert b'"userName":"Name As Adopted"' in play.exchange.requests[1].content[0]


async def test_signing_url_needs_an_embedded_recipient_and_a_short_return_url() -> None:
    with pytest.raises(UnsupportedFeature):
        await Play().run("signing_url", REF, samples.recipient(), "https://dms.example.com")
    with pytest.raises(ValidationFailed):
        await Play().run(
            "signing_url", REF, samples.recipient(embedded=True), "https://d.example/" + "x" * 470
        )


async def test_resend_with_a_note_names_only_those_who_are_waiting() -> None:
    people = [
        {"recipientId": str(n), "name": f"P{n}", "email": f"p{n}@example.com", "status": status}
        for n, status in enumerate(("completed", "sent", "created", "delivered"), start=1)
    ]
    play = Play(json_answer({"signers": people}), json_answer({}))
    await play.run("resend", REF, (), "Please hurry.")
    body = play.exchange.requests[1].content[0]
    assert [name in body for name in (b'"P1"', b'"P2"', b'"P3"', b'"P4"')] == [False, True, False, True]


# -- downloads and the rest -------------------------------------------------------------------------------------


async def test_download_that_is_no_pdf_breaks_the_contract() -> None:
    saved = SavedBlob("k", "0" * 64, 5, "text/html", b"<html")
    with pytest.raises(ProviderContractBroken):
        await Play(ProviderResponse(status=200, headers={}, saved=saved)).run(
            "download", REF, Part.COMBINED, 0
        )


async def test_audit_trail_reads_name_value_pairs() -> None:
    pairs = {
        "logTime": "2024-03-05T10:16:00.09Z",
        "UserName": "Ada",
        "Action": "Signed",
        "Message": "m",
        "ClientIPAddress": "192.0.2.1",
    }
    fields = [{"name": name, "value": value} for name, value in pairs.items()]
    (record,) = await Play(json_answer({"auditEvents": [{"eventFields": fields}]})).run("audit_trail", REF)
    assert (record.action, record.actor, record.ip_address) == ("Signed", "Ada", "192.0.2.1")
    assert record.at is not None
    assert record.at.isoformat() == "2024-03-05T10:16:00.090000+00:00"


async def test_provider_reference_cannot_leave_its_place_in_the_path() -> None:
    play = Play(json_answer({"envelopeId": "../../x?y", "status": "sent"}))
    await play.run("get_envelope", "../../x?y")
    assert play.exchange.requests[0].path == "/envelopes/..%2F..%2Fx%3Fy"


async def test_limit_answered_as_400_or_429_is_throttled_until_the_window_ends() -> None:
    for status in (400, 429):
        headers = {"x-ratelimit-reset": "1772709000", "date": "Thu, 05 Mar 2026 11:00:00 GMT"}
        answer = json_answer(
            {"errorCode": "HOURLY_APIINVOCATION_LIMIT_EXCEEDED", "message": "m"}, status, headers
        )
        outcome = await Play(answer).run("get_envelope", REF)
        assert outcome == Throttled(600.0, "HOURLY_APIINVOCATION_LIMIT_EXCEEDED")


async def test_resend_with_a_note_when_nobody_waits_is_a_conflict_and_sends_nothing() -> None:
    play = Play(members(status="Completed"))
    outcome = await play.run("resend", REF, (), "Please hurry.")
    assert isinstance(outcome, Rejected)
    assert outcome.code == "state_conflict"
