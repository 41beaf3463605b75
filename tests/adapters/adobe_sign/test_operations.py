"""The other operations against scripted answers, above all where the provider answers otherwise."""

import json
from datetime import timedelta

import pytest

from adapters.adobe_sign import ADAPTER
from adapters.kit.exchange import Effect, ProviderResponse, SavedBlob
from adapters.kit.outcome import Rejected, Unknown
from adapters.kit.port import Part, RecipientCorrection
from adapters.kit.scripted import Expected, ScriptedExchange, body_of, finish_operation
from normalizer.envelope import EnvelopeReport
from normalizer.ids import Kind, print_id
from normalizer.recipient import AccessCode, AuthenticationMethod
from normalizer.status import EnvelopeStatus, RecipientStatus
from tests.adapters.adobe_sign.probe import AGREEMENT, AUTHORED, MEMBERS, NOTHING, PDF, REF, SEEN, answer
from tests.adapters.adobe_sign.samples import NOW, connection, recipient, uid

ANY = Expected()
NOT_READY = answer({"code": "AGREEMENT_NOT_EXPOSED", "message": "wait"}, 404)
GONE = answer({"code": "INVALID_AGREEMENT_ID", "message": "no"}, 404)


async def run(name: str, *arguments, script, where=None):
    exchange = ScriptedExchange(
        ADAPTER, [each if isinstance(each, tuple) else (ANY, each) for each in script]
    )
    outcome = await finish_operation(getattr(ADAPTER, name)(exchange, where or connection(), *arguments))
    exchange.finish()
    return outcome, exchange


def events(*types: str, email: str = "ada@example.com") -> ProviderResponse:
    rows = [
        {
            "type": each,
            "date": f"2026-01-15T12:00:{second:02}Z",
            "participantEmail": email,
            "comment": "because",
        }
        for second, each in enumerate(types)
    ]
    return answer({"events": rows})


@pytest.mark.parametrize("word", ["CANCELLED", "ABORTED"])
@pytest.mark.parametrize(
    ("types", "status", "recipient_status", "reason"),
    [
        (("CREATED", "REJECTED"), EnvelopeStatus.DECLINED, RecipientStatus.DECLINED, "because"),
        (("CREATED", "RECALLED"), EnvelopeStatus.VOIDED, RecipientStatus.SENT, "because"),
        (
            ("RECALLED_MAX_SIGNING_PHONE_ATTEMPTS",),
            EnvelopeStatus.FAILED,
            RecipientStatus.AUTH_FAILED,
            "auth_failed: because",
        ),
        (
            ("AUTO_CANCELLED_CONVERSION_PROBLEM",),
            EnvelopeStatus.FAILED,
            RecipientStatus.SENT,
            "conversion_failed: because",
        ),
        (("EXPIRED_AUTOMATICALLY",), EnvelopeStatus.EXPIRED, RecipientStatus.SENT, "because"),
        (("CREATED",), EnvelopeStatus.VOIDED, RecipientStatus.SENT, "unknown"),
        ((), EnvelopeStatus.VOIDED, RecipientStatus.SENT, "unknown"),
    ],
)
async def test_ambiguous_end_is_explained_by_events(word, types, status, recipient_status, reason) -> None:
    ended = answer(AGREEMENT | {"status": word})
    report, _ = await run("get_envelope", REF, script=[ended, answer(MEMBERS), events(*types)])
    assert (report.status, report.provider_status, report.reason) == (status, word, reason)
    assert report.recipients[0].status is recipient_status


async def test_status_word_of_tomorrow_is_unknown_with_a_warning(caplog) -> None:
    report, _ = await run(
        "get_envelope", REF, script=[answer(AGREEMENT | {"status": "OUT_FOR_LUNCH"}), answer(MEMBERS)]
    )
    assert report.status is EnvelopeStatus.UNKNOWN
    assert "status.unmapped" in caplog.messages


async def test_found_envelopes_come_from_every_page_with_their_ends_explained() -> None:
    first = answer({"page": {"nextCursor": "c2"}, "userAgreementList": [{"id": "A", "status": "DRAFT"}]})
    second = answer({"page": {}, "userAgreementList": [{"id": "B", "status": "ABORTED"}]})
    found, exchange = await run("find_envelopes", "ref-1", NOW, script=[first, second, events("RECALLED")])
    assert [(each.provider_ref, each.status, each.reference) for each in found] == [
        ("A", EnvelopeStatus.DRAFT, "ref-1"),
        ("B", EnvelopeStatus.VOIDED, "ref-1"),
    ]
    assert dict(exchange.requests[0].query)["externalId"] == "ref-1"
    assert dict(exchange.requests[1].query)["cursor"] == "c2"


async def test_found_envelope_in_preparation_is_waited_for_and_not_taken_for_sent() -> None:
    listed = answer({"userAgreementList": [{"id": REF, "status": "DOCUMENTS_NOT_YET_PROCESSED"}]})
    processing = answer(AGREEMENT | {"status": "DOCUMENTS_NOT_YET_PROCESSED"})
    found, exchange = await run("find_envelopes", "r", NOW, script=[listed, processing, AUTHORED])
    assert ([each.status for each in found], exchange.paused_s) == ([EnvelopeStatus.DRAFT], [1.0])
    outcome, _ = await run("find_envelopes", "r", NOW, script=[listed, *[processing] * 5])
    assert isinstance(outcome, Unknown)


async def test_changes_explain_recent_ends_only() -> None:
    def row(ref: str, status: str, age: timedelta) -> dict:
        return {"id": ref, "status": status, "displayDate": (NOW - age).isoformat()}

    rows = [
        row("recent", "CANCELLED", timedelta(minutes=-5)),
        row("older", "CANCELLED", timedelta(days=30)),
        row("open", "OUT_FOR_APPROVAL", timedelta(days=30)),
        row("ancient", "OUT_FOR_APPROVAL", timedelta(days=400)),
    ]
    listed = answer({"page": {"nextCursor": "c2"}, "userAgreementList": rows})
    page, exchange = await run("list_changes", NOW, "c1", script=[listed, events("REJECTED")])
    assert [(each.provider_ref, each.status) for each in page.reports] == [
        ("recent", EnvelopeStatus.DECLINED),
        ("older", EnvelopeStatus.UNKNOWN),
        ("open", EnvelopeStatus.SENT),
    ]
    assert page.cursor == "c2"
    assert exchange.requests[1].path == "/agreements/recent/events"


async def test_void_tells_the_others_and_waits_for_preparation() -> None:
    processing = answer(AGREEMENT | {"status": "DOCUMENTS_NOT_YET_PROCESSED"})
    report, exchange = await run("void_envelope", REF, "Wrong", script=[processing, SEEN, SEEN, NOTHING])
    assert report.status is EnvelopeStatus.VOIDED
    assert exchange.paused_s == [1.0]
    assert json.loads(body_of(exchange.requests[-1])) == {
        "state": "CANCELLED",
        "agreementCancellationInfo": {"comment": "Wrong", "notifyOthers": True},
    }
    assert exchange.requests[-1].headers == (("If-Match", "e1"),)


async def test_void_of_what_is_signed_is_a_conflict() -> None:
    signed = answer({"code": "AGREEMENT_ALREADY_SIGNED", "message": "done"}, 409)
    outcome, _ = await run("void_envelope", REF, "Wrong", script=[SEEN, SEEN, signed])
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.status) == ("state_conflict", 409)


async def test_draft_without_its_fields_is_refused() -> None:
    fields = answer({"fields": [{"name": "anchored_fld_1"}]})
    outcome, _ = await run("send_draft", REF, script=[AUTHORED, fields])
    assert isinstance(outcome, Rejected)
    assert outcome.code == "draft_incomplete"


@pytest.mark.parametrize("name", ["send_draft", "discard_draft"])
async def test_what_is_out_is_no_draft(name) -> None:
    outcome, _ = await run(name, REF, script=[SEEN])
    assert isinstance(outcome, Rejected)
    assert outcome.code == "state_conflict"


async def test_plain_draft_is_sent_and_prepared_afterwards() -> None:
    draft = answer(AGREEMENT | {"status": "DRAFT"}, etag="e1")
    report, _ = await run("send_draft", REF, script=[draft, draft, NOTHING])
    assert report.status is EnvelopeStatus.PROCESSING


async def test_resend_asks_everybody_whose_turn_it_is() -> None:
    _, exchange = await run("resend", REF, (), "", script=[answer(MEMBERS), answer({"id": "r"}, 201)])
    assert exchange.requests[1].effect is Effect.CREATES
    assert json.loads(body_of(exchange.requests[1])) == {
        "recipientParticipantIds": ["member-1"],
        "status": "ACTIVE",
        "frequency": "ONCE",
    }


async def test_resend_to_who_is_not_asked_yet_is_refused() -> None:
    outcome, _ = await run("resend", REF, (recipient(2),), "", script=[answer(MEMBERS)])
    assert isinstance(outcome, Rejected)


async def test_correction_keeps_authentication_order_and_name() -> None:
    correction = RecipientCorrection(
        recipient=recipient(
            1, authentication=AuthenticationMethod.ACCESS_CODE, access_code=AccessCode("k3y-9")
        ),
        email="ada.new@example.com",
    )
    seen = answer(MEMBERS["participantSets"][0], etag="p1")
    _, exchange = await run("correct_recipient", REF, correction, script=[answer(MEMBERS), seen, NOTHING])
    assert json.loads(body_of(exchange.requests[2])) == {
        "memberInfos": [
            {
                "email": "ada.new@example.com",
                "name": "Ada Signer",
                "securityOption": {"authenticationMethod": "PASSWORD", "password": "k3y-9"},
            }
        ],
        "order": 1,
        "role": "SIGNER",
        "name": print_id(Kind.RECIPIENT, uid(201)),
    }
    assert exchange.requests[2].headers == (("If-Match", "p1"),)


async def test_correction_of_a_stranger_is_refused() -> None:
    correction = RecipientCorrection(recipient=recipient(9), email="x@example.com")
    outcome, _ = await run("correct_recipient", REF, correction, script=[answer(MEMBERS)])
    assert isinstance(outcome, Rejected)
    assert outcome.code == "not_found"


async def test_document_is_found_by_label_then_by_place() -> None:
    listed = answer({"documents": [{"id": "t", "label": ""}, {"id": "d-1", "label": "doc1"}]})
    saved, exchange = await run("download", REF, Part.DOCUMENT, 1, script=[listed, PDF])
    assert exchange.requests[1].path.endswith("/documents/d-1")
    assert exchange.requests[1].save is True
    _, exchange = await run("download", REF, Part.DOCUMENT, 2, script=[listed, PDF])
    assert exchange.requests[1].path.endswith("/documents/d-1")
    missing, _ = await run("download", REF, Part.DOCUMENT, 3, script=[listed])
    assert isinstance(missing, Rejected)
    assert saved == PDF.saved


async def test_page_of_a_proxy_is_no_signed_document() -> None:
    page = SavedBlob(key="k", sha256="0", size_bytes=6, media_type="text/html", first_bytes=b"<html>")
    answered = ProviderResponse(status=200, headers={}, saved=page)
    outcome, _ = await run("download", REF, Part.COMBINED, 0, script=[answered])
    assert isinstance(outcome, Unknown)


async def test_signing_url_is_waited_for_within_bounds() -> None:
    urls = {"signingUrlSetInfos": [{"signingUrls": [{"email": "ADA@example.com", "esignUrl": "https://x"}]}]}
    url, exchange = await run(
        "signing_url", REF, recipient(1), "", script=[NOT_READY, NOT_READY, answer(urls)]
    )
    assert (url, exchange.paused_s) == ("https://x", [1.0, 2.0])
    outcome, exchange = await run("signing_url", REF, recipient(1), "", script=[NOT_READY] * 5)
    assert isinstance(outcome, Rejected)
    assert (outcome.code, exchange.paused_s) == ("not_ready", [1.0, 2.0, 4.0, 8.0])


async def test_signing_url_of_an_unknown_agreement_is_not_waited_for() -> None:
    outcome, exchange = await run("signing_url", REF, recipient(1), "", script=[GONE, GONE])
    assert isinstance(outcome, Rejected)
    assert (outcome.code, exchange.paused_s) == ("not_found", [])


async def test_signing_url_is_chosen_by_set_name_before_address() -> None:
    def named(number: int, url: str) -> dict:
        return {
            "signingUrlSetName": print_id(Kind.RECIPIENT, uid(200 + number)),
            "signingUrls": [{"email": "ada@example.com", "esignUrl": url}],
        }

    urls = answer({"signingUrlSetInfos": [named(2, "https://two"), named(1, "https://one")]})
    url, _ = await run("signing_url", REF, recipient(1), "", script=[urls])
    assert url == "https://one"


async def test_id_from_outside_cannot_become_a_path() -> None:
    evil = "../users/me?x=1#"
    _, exchange = await run("audit_trail", evil, script=[events()])
    assert exchange.requests[0].path == "/agreements/..%2Fusers%2Fme%3Fx%3D1%23/events"


async def test_account_wide_token_acts_for_the_named_user_in_every_request() -> None:
    where = connection(credentials={"api_user": "sam@example.com"})
    _, exchange = await run("void_envelope", REF, "Wrong", script=[SEEN, SEEN, NOTHING], where=where)
    assert all(("x-api-user", "email:sam@example.com") in each.headers for each in exchange.requests)


async def test_undocumented_answer_is_unknown_and_not_a_report() -> None:
    outcome, _ = await run("get_envelope", REF, script=[answer({"status": 7})])
    assert isinstance(outcome, Unknown)
    assert not isinstance(outcome, EnvelopeReport)
