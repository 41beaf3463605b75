"""Creating, step by step against scripted answers: what is sent, what is not sent, and where it stops."""

import json
from datetime import timedelta

import pytest

from adapters.adobe_sign import ADAPTER
from adapters.kit.exchange import BlobChunk, Effect, ProviderResponse
from adapters.kit.outcome import NotSent, Rejected, Unknown
from adapters.kit.port import SendMode
from adapters.kit.scripted import Expected, ScriptedExchange, body_of, finish_operation
from normalizer.envelope import Expiration
from normalizer.errors import UnsupportedFeature, ValidationFailed
from normalizer.field import FieldType
from normalizer.ids import Kind, print_id
from normalizer.recipient import AuthenticationLevel, AuthenticationMethod, Phone, Role
from normalizer.status import EnvelopeStatus
from tests.adapters.adobe_sign.probe import (
    AGREEMENT,
    AUTHORED,
    CREATED,
    HOOKED,
    MEMBERS,
    NOTHING,
    PLACED,
    REF,
    UPLOADED,
    answer,
)
from tests.adapters.adobe_sign.samples import (
    A4,
    LETTER,
    NOW,
    anchored,
    connection,
    document,
    envelope,
    field,
    recipient,
    uid,
)

UPLOAD = Expected(method="POST", path="/transientDocuments", effect=Effect.NONE)
CREATE = Expected(method="POST", path="/agreements", effect=Effect.CREATES)
READ = Expected(method="GET", path=f"/agreements/{REF}")
PEOPLE = Expected(method="GET", path=f"/agreements/{REF}/members")
FIELDS = Expected(method="GET", path=f"/agreements/{REF}/formFields")
PLACE = Expected(method="PUT", path=f"/agreements/{REF}/formFields", effect=Effect.KEYED)
STATE = Expected(method="PUT", path=f"/agreements/{REF}/state", effect=Effect.KEYED)
HOOK = Expected(method="POST", path="/webhooks")
PROCESSING = answer(AGREEMENT | {"status": "DOCUMENTS_NOT_YET_PROCESSED"}, etag="e0")
UNCHANGED = ProviderResponse(status=304, headers={})
MODIFIED = answer({"code": "RESOURCE_MODIFIED", "message": "again"}, 412)
NO_FIELDS = answer({"fields": []}, etag="f1")
BUILD = ((UPLOAD, UPLOADED), (CREATE, CREATED))
PLACING = ((PEOPLE, answer(MEMBERS)), (FIELDS, NO_FIELDS), (PLACE, NOTHING))
SENDING = ((READ, AUTHORED), (STATE, NOTHING))


def exchange_of(*script) -> ScriptedExchange:
    return ScriptedExchange(ADAPTER, script)


async def create(exchange, made, mode=SendMode.SEND, where=None):
    outcome = await finish_operation(
        ADAPTER.create_envelope(exchange, where or connection(), made, mode, NOW)
    )
    exchange.finish()
    return outcome


def sent(exchange, number: int) -> dict:
    return json.loads(body_of(exchange.requests[number]))


async def test_document_is_streamed_and_never_held() -> None:
    exchange = exchange_of(*BUILD)
    await create(exchange, envelope())
    head, chunk, tail = exchange.requests[0].content
    assert chunk == BlobChunk(blob_key="blob-1", size_bytes=1001)
    assert b'name="File-Name"\r\n\r\nAgreement 1.pdf\r\n' in head
    assert tail.endswith(b"--\r\n")


async def test_hostile_file_name_cannot_leave_its_header() -> None:
    made = envelope(documents=(document(name='a"\r\nX-Evil: 1/../\u00fc.pdf'),))
    exchange = exchange_of(*BUILD)
    await create(exchange, made)
    head = exchange.requests[0].content[0].decode()
    assert "X-Evil: 1_.._\u00fc.pdf\r\n" in head
    assert head.count("\r\n") == 12  # as many as a harmless name has


async def test_documents_go_up_in_their_order_and_are_labelled() -> None:
    made = envelope(documents=(document(2), document(1)))
    exchange = exchange_of((UPLOAD, UPLOADED), *BUILD)
    await create(exchange, made)
    assert [each.content[1].blob_key for each in exchange.requests[:2]] == ["blob-1", "blob-2"]
    assert [each["label"] for each in sent(exchange, 2)["fileInfos"]] == ["doc1", "doc2"]


async def test_without_coordinates_one_create_sends() -> None:
    exchange = exchange_of(*BUILD)
    created = await create(exchange, envelope(fields=(anchored(),)))
    assert sent(exchange, 1)["state"] == "IN_PROCESS"
    assert (created.provider_ref, created.report.status) == (REF, EnvelopeStatus.PROCESSING)
    assert exchange.learned_refs == [REF]


async def test_draft_without_coordinates_stays_a_draft() -> None:
    exchange = exchange_of(*BUILD)
    created = await create(exchange, envelope(), SendMode.DRAFT)
    assert sent(exchange, 1)["state"] == "DRAFT"
    assert created.report.status is EnvelopeStatus.DRAFT


async def test_coordinates_are_placed_while_authoring_and_sent_last() -> None:
    exchange = exchange_of(*BUILD, (READ, PROCESSING), (READ, AUTHORED), *PLACING, *SENDING)
    created = await create(exchange, PLACED)
    assert sent(exchange, 1)["state"] == "AUTHORING"
    assert exchange.paused_s == [1.0, 2.0]
    assert ("If-None-Match", "e0") in exchange.requests[3].headers
    assert [each["assignee"] for each in sent(exchange, 6)["fields"]] == ["set-1", "set-2"]
    assert ("If-Match", "f1") in exchange.requests[6].headers
    assert sent(exchange, 8) == {"state": "IN_PROCESS"}
    assert created.report.status is EnvelopeStatus.SENT


async def test_draft_with_coordinates_has_its_fields_and_is_not_sent() -> None:
    exchange = exchange_of(*BUILD, (READ, AUTHORED), *PLACING)
    created = await create(exchange, PLACED, SendMode.DRAFT)
    assert created.report.status is EnvelopeStatus.DRAFT


async def test_fields_made_by_anchors_go_back_as_they_came() -> None:
    there = {"name": "anchored_1", "origin": "GENERATED", "unknownToUs": [1.5]}
    exchange = exchange_of(
        *BUILD,
        (READ, AUTHORED),
        (PEOPLE, answer(MEMBERS)),
        (FIELDS, answer({"fields": [there]}, etag="f1")),
        (PLACE, NOTHING),
        *SENDING,
    )
    await create(exchange, PLACED)
    assert sent(exchange, 5)["fields"][0] == there
    assert len(sent(exchange, 5)["fields"]) == 3


async def test_modified_meanwhile_is_read_and_written_once_more() -> None:
    changed = answer({"fields": []}, etag="f2")
    exchange = exchange_of(
        *BUILD,
        (READ, AUTHORED),
        (PEOPLE, answer(MEMBERS)),
        (FIELDS, NO_FIELDS),
        (PLACE, MODIFIED),
        (FIELDS, changed),
        (PLACE, NOTHING),
        *SENDING,
    )
    await create(exchange, PLACED)
    assert ("If-Match", "f2") in exchange.requests[7].headers


async def test_modified_twice_is_a_conflict() -> None:
    exchange = exchange_of(
        *BUILD,
        (READ, AUTHORED),
        *PLACING,
        (READ, AUTHORED),
        (STATE, MODIFIED),
        (READ, AUTHORED),
        (STATE, MODIFIED),
    )
    outcome = await create(exchange, PLACED)
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.provider_code) == ("state_conflict", "RESOURCE_MODIFIED")


@pytest.mark.parametrize("status", ["ABORTED", "CANCELLED", "OUT_FOR_SIGNATURE"])
async def test_failed_preparation_places_nothing_and_names_the_orphan(status) -> None:
    exchange = exchange_of(*BUILD, (READ, answer(AGREEMENT | {"status": status})))
    outcome = await create(exchange, PLACED)
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.learned_ref) == ("conversion_failed", REF)


async def test_endless_preparation_ends_as_unknown() -> None:
    exchange = exchange_of(
        *BUILD, (READ, PROCESSING), (READ, UNCHANGED), (READ, PROCESSING), (READ, UNCHANGED)
    )
    outcome = await create(exchange, PLACED)
    assert isinstance(outcome, Unknown)
    assert outcome.learned_ref == REF
    assert exchange.paused_s == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize(
    "response",
    [
        answer({"id": "hook-1"}, 201),
        answer({"code": "DUPLICATE_WEBHOOK_CONFIGURATION", "message": "there"}, 400),
    ],
)
async def test_webhook_that_is_there_is_no_trouble(response, caplog) -> None:
    exchange = exchange_of(*BUILD, (HOOK, response))
    assert (await create(exchange, envelope(), where=HOOKED)).provider_ref == REF
    assert caplog.messages == []


@pytest.mark.parametrize(
    "response",
    [answer({"code": "INVALID_WEBHOOK_URL", "message": "no"}, 400), NotSent("refused"), Unknown("no answer")],
)
async def test_webhook_that_fails_is_told_and_undoes_nothing(response, caplog) -> None:
    exchange = exchange_of(*BUILD, (HOOK, response))
    assert (await create(exchange, envelope(), where=HOOKED)).provider_ref == REF
    assert caplog.messages == ["webhook.not_registered"]


async def test_create_answer_that_is_not_documented_is_unknown() -> None:
    outcome = await create(exchange_of((UPLOAD, UPLOADED), (CREATE, answer({}, 201))), envelope())
    assert isinstance(outcome, Unknown)


async def test_orders_are_numbered_from_one_without_gaps() -> None:
    made = envelope(
        recipients=(
            recipient(1, routing_order=40),
            recipient(2, routing_order=10),
            recipient(3, routing_order=10),
            recipient(4, routing_order=5, role=Role.CARBON_COPY),
        )
    )
    exchange = exchange_of(*BUILD)
    await create(exchange, made)
    sets = sent(exchange, 1)["participantSetsInfo"]
    assert [(each["order"], each["memberInfos"][0]["email"]) for each in sets] == [
        (1, "bob@example.com"),
        (1, "di@example.com"),
        (2, "ada@example.com"),
    ]
    assert sent(exchange, 1)["ccs"] == [{"email": "cy@example.com"}]


async def test_level_of_the_envelope_raises_who_has_no_method_of_their_own() -> None:
    made = envelope(
        authentication_level=AuthenticationLevel.SMS,
        recipients=(
            recipient(1, phone=Phone("49", "301234567")),
            recipient(2, authentication=AuthenticationMethod.KNOWLEDGE),
        ),
    )
    exchange = exchange_of(*BUILD)
    await create(exchange, made)
    sets = sent(exchange, 1)["participantSetsInfo"]
    assert [each["memberInfos"][0]["securityOption"]["authenticationMethod"] for each in sets] == [
        "PHONE",
        "KBA",
    ]


@pytest.mark.parametrize("method", [AuthenticationMethod.SMS, AuthenticationMethod.ACCESS_CODE])
async def test_method_without_its_means_is_refused_before_anything_is_sent(method) -> None:
    exchange = exchange_of()
    with pytest.raises(ValidationFailed) as raised:
        await create(exchange, envelope(recipients=(recipient(1, authentication=method),)))
    assert raised.value.findings[0].where.startswith(f"/recipients/{print_id(Kind.RECIPIENT, uid(201))}/")


async def test_expiration_beyond_half_a_year_is_refused_before_anything_is_sent() -> None:
    made = envelope(expiration=Expiration(at=NOW + timedelta(days=181)))
    with pytest.raises(UnsupportedFeature):
        await create(exchange_of(), made)


async def test_embedded_signers_alone_get_no_mail() -> None:
    exchange = exchange_of(*BUILD)
    await create(exchange, envelope(recipients=(recipient(1, embedded=True),)))
    assert set(sent(exchange, 1)["emailOption"]["sendOptions"].values()) == {"NONE"}


async def test_template_stands_before_the_documents() -> None:
    exchange = exchange_of(*BUILD)
    await create(exchange, envelope(template_ref="T-1"))
    assert sent(exchange, 1)["fileInfos"] == [
        {"libraryDocumentId": "T-1"},
        {"transientDocumentId": "3AAA", "label": "doc1"},
    ]


async def test_places_are_counted_through_all_pages_and_from_the_bottom() -> None:
    made = envelope(
        documents=(document(1, pages=(A4, LETTER)), document(2, pages=(LETTER,))),
        fields=(
            field(1, x=10.0, y=20.0),
            field(2, page=2, x=10.0, y=20.0),
            field(3, document_id=uid(102), x=10.0, y=20.0, type=FieldType.CHECKBOX, width=0.0, height=0.0),
        ),
    )
    exchange = exchange_of((UPLOAD, UPLOADED), *BUILD, (READ, AUTHORED), *PLACING, *SENDING)
    await create(exchange, made)
    places = [each["locations"][0] for each in sent(exchange, 6)["fields"]]
    assert places == [
        {"pageNumber": 1, "left": 10.0, "top": 822.0, "width": 150.0, "height": 30.0},
        {"pageNumber": 2, "left": 10.0, "top": 772.0, "width": 150.0, "height": 30.0},
        {"pageNumber": 3, "left": 10.0, "top": 772.0, "width": 14.0, "height": 14.0},
    ]


async def test_radio_buttons_of_a_group_are_one_field() -> None:
    radios = tuple(
        field(number, type=FieldType.RADIO, group="g", value=value, y=20.0 * number, label="Choice")
        for number, value in ((1, "yes"), (2, "no"))
    )
    exchange = exchange_of(*BUILD, (READ, AUTHORED), *PLACING, *SENDING)
    await create(exchange, envelope(fields=radios))
    (made,) = sent(exchange, 5)["fields"]
    assert made["hiddenOptions"] == made["visibleOptions"] == ["yes", "no"]
    assert [place["top"] for place in made["locations"]] == [822.0, 802.0]


async def test_read_only_text_is_a_label_of_nobody() -> None:
    label = field(type=FieldType.TEXT, read_only=True, value="Clause 7", height=18.0)
    exchange = exchange_of(*BUILD, (READ, AUTHORED), *PLACING, *SENDING)
    await create(exchange, envelope(fields=(label,)))
    (made,) = sent(exchange, 5)["fields"]
    assert (made["assignee"], made["readOnly"], made["defaultValue"], made["required"]) == (
        "NOBODY",
        True,
        "Clause 7",
        False,
    )
