"""The adapter against the strict sandbox over HTTP, through the real executor."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from adapters.kit.outcome import Rejected, Throttled, Unknown
from adapters.kit.port import Part, RecipientCorrection, SendMode
from normalizer.envelope import Expiration, Reminders
from normalizer.field import FieldType
from normalizer.recipient import AccessCode, AuthenticationMethod, Phone, Role
from normalizer.status import EnvelopeStatus, RecipientStatus
from normalizer.vocabulary import EventType
from tests.adapters.adobe_sign.samples import document, envelope, field, recipient, uid

FUTURE = datetime.now(UTC) + timedelta(days=20)


@pytest.fixture
def real(sandbox, pdf_bytes):
    """Builds envelopes whose documents exist in the sandbox's blob store."""

    def build(count: int = 1, **changes):
        sandbox.blobs.kept |= {f"blob-{number}": pdf_bytes for number in range(1, count + 1)}
        documents = tuple(
            document(
                number,
                size_bytes=len(pdf_bytes),
                sha256=hashlib.sha256(pdf_bytes).hexdigest(),
            )
            for number in range(1, count + 1)
        )
        return envelope(documents=documents, **changes)

    return build


async def create(sandbox, made, mode=SendMode.SEND):
    return await sandbox.run("create_envelope", made, mode, datetime.now(UTC))


async def settled(sandbox, ref):
    """The report once the sandbox has prepared the documents."""
    for _ in range(100):
        report = await sandbox.run("get_envelope", ref)
        if report.status is not EnvelopeStatus.PROCESSING:
            return report
    raise AssertionError("still processing")


async def test_envelope_with_coordinates_is_sent_signed_and_downloaded(sandbox, real, receiver) -> None:
    made = real(
        2,
        recipients=(
            recipient(1),
            recipient(2, role=Role.APPROVER, routing_order=7),
            recipient(4, role=Role.CARBON_COPY, routing_order=1),
        ),
        fields=(
            field(1),
            field(2, document_id=uid(102), page=2, type=FieldType.DATE_SIGNED, height=18.0),
            field(3, type=FieldType.RADIO, group="g", value="a", y=10.0, width=14.0, height=14.0),
            field(4, type=FieldType.RADIO, group="g", value="b", y=40.0, width=14.0, height=14.0),
        ),
        reminders=Reminders(first_after_hours=48, every_hours=24),
        expiration=Expiration(at=FUTURE),
        language="de",
    )
    created = await create(sandbox, made)
    assert sandbox.learned == [created.provider_ref]
    assert created.report.status is EnvelopeStatus.SENT

    shown = await sandbox.control("GET", f"/agreements/{created.provider_ref}")
    first, second, radio = shown["fields"]
    assert first["locations"] == [
        {"pageNumber": 1, "left": 100.0, "top": 242.0, "width": 150.0, "height": 30.0}
    ]
    assert second["locations"][0]["pageNumber"] == 4
    assert [place["top"] for place in radio["locations"]] == [832.0, 802.0]

    asked = await receiver.wait_for("AGREEMENT_ACTION_REQUESTED")
    assert (asked.type, asked.recipient_id, asked.reference) == (
        EventType.RECIPIENT_SENT,
        uid(201),
        "env_01hxyz.1",
    )
    await sandbox.act(created.provider_ref, "view")
    await sandbox.act(created.provider_ref, "sign")
    done = await receiver.wait_for("AGREEMENT_ACTION_COMPLETED")
    assert (done.status, done.recipient_status, done.confirm) == (
        EnvelopeStatus.SIGNED,
        RecipientStatus.COMPLETED,
        False,
    )
    report = await sandbox.run("get_envelope", created.provider_ref)
    assert report.status is EnvelopeStatus.SIGNED
    assert [each.status for each in report.recipients] == [RecipientStatus.COMPLETED, RecipientStatus.SENT]

    await sandbox.act(created.provider_ref, "sign")
    completed = await receiver.wait_for("AGREEMENT_WORKFLOW_COMPLETED")
    assert (completed.type, completed.status, completed.confirm) == (
        EventType.ENVELOPE_COMPLETED,
        EnvelopeStatus.COMPLETED,
        True,
    )
    assert (await sandbox.run("get_envelope", created.provider_ref)).status is EnvelopeStatus.COMPLETED
    for part, number in ((Part.COMBINED, 0), (Part.DOCUMENT, 2), (Part.CERTIFICATE, 0)):
        saved = await sandbox.run("download", created.provider_ref, part, number)
        assert saved.first_bytes.startswith(b"%PDF-")
        assert sandbox.blobs.kept[saved.key].startswith(b"%PDF-")
    trail = await sandbox.run("audit_trail", created.provider_ref)
    assert "ESIGNED" in {line.action for line in trail}
    assert all(line.at is not None for line in trail)


async def test_envelope_without_fields_goes_out_in_one_create(sandbox, real) -> None:
    made = real(
        recipients=(
            recipient(1, authentication=AuthenticationMethod.SMS, phone=Phone("1", "5551234567")),
            recipient(
                2,
                routing_order=1,
                authentication=AuthenticationMethod.ACCESS_CODE,
                access_code=AccessCode("k3y-9"),
            ),
            recipient(3, role=Role.REVIEWER),
        ),
    )
    created = await create(sandbox, made)
    assert created.report.status is EnvelopeStatus.PROCESSING
    report = await settled(sandbox, created.provider_ref)
    assert report.status is EnvelopeStatus.SENT
    assert report.reference == made.reference
    assert [(each.recipient_id, each.routing_order) for each in report.recipients] == [
        (uid(201), 1),
        (uid(202), 1),
        (uid(203), 2),
    ]


@pytest.mark.parametrize("placed", [(), (field(1),)])
async def test_draft_is_found_sent_and_only_then_out(sandbox, real, placed) -> None:
    made = real(fields=placed)
    created = await create(sandbox, made, SendMode.DRAFT)
    assert created.report.status is EnvelopeStatus.DRAFT
    await sandbox.run("get_envelope", created.provider_ref)
    found = await sandbox.run("find_envelopes", made.reference, FUTURE)
    assert [(each.provider_ref, each.reference) for each in found] == [(created.provider_ref, made.reference)]
    await sandbox.run("send_draft", created.provider_ref)
    assert (await sandbox.run("get_envelope", created.provider_ref)).status is EnvelopeStatus.SENT
    again = await sandbox.outcome("send_draft", created.provider_ref)
    assert isinstance(again, Rejected)
    assert again.code == "state_conflict"


async def test_discarded_draft_is_not_found_again(sandbox, real) -> None:
    made = real()
    created = await create(sandbox, made, SendMode.DRAFT)
    await sandbox.run("discard_draft", created.provider_ref)
    assert await sandbox.run("find_envelopes", made.reference, FUTURE) == ()


async def test_voided_envelope_keeps_the_reason(sandbox, real, receiver) -> None:
    created = await create(sandbox, real())
    report = await sandbox.run("void_envelope", created.provider_ref, "Wrong price")
    assert (report.status, report.reason) == (EnvelopeStatus.VOIDED, "Wrong price")
    seen = await sandbox.run("get_envelope", created.provider_ref)
    assert (seen.status, seen.reason) == (EnvelopeStatus.VOIDED, "Wrong price")
    told = await receiver.wait_for("AGREEMENT_RECALLED")
    assert (told.status, told.confirm, told.reason) == (EnvelopeStatus.VOIDED, True, "Wrong price")
    again = await sandbox.outcome("void_envelope", created.provider_ref, "Again")
    assert isinstance(again, Rejected)
    assert (again.code, again.provider_code) == ("state_conflict", "AGREEMENT_ALREADY_CANCELLED")


@pytest.mark.parametrize("word", ["CANCELLED", "ABORTED"])
@pytest.mark.parametrize(
    ("action", "envelope_status", "recipient_status"),
    [
        ("decline", EnvelopeStatus.DECLINED, RecipientStatus.DECLINED),
        ("fail_authentication", EnvelopeStatus.FAILED, RecipientStatus.AUTH_FAILED),
        ("conversion_problem", EnvelopeStatus.FAILED, RecipientStatus.CANCELLED),
        ("expire", EnvelopeStatus.EXPIRED, RecipientStatus.EXPIRED),
    ],
)
async def test_end_is_told_apart_by_its_events(
    sandbox, real, receiver, word, action, envelope_status, recipient_status
) -> None:
    await sandbox.control("PATCH", "/options", {"cancelled_word": word})
    made = real(
        recipients=(
            recipient(1, authentication=AuthenticationMethod.ACCESS_CODE, access_code=AccessCode("k3y-9")),
        )
    )
    created = await create(sandbox, made)
    await settled(sandbox, created.provider_ref)
    await sandbox.act(created.provider_ref, action, comment="No, thanks")
    report = await sandbox.run("get_envelope", created.provider_ref)
    assert report.status is envelope_status
    assert report.recipients[0].status is recipient_status
    listed = await sandbox.run("list_changes", datetime.now(UTC) - timedelta(hours=1), "")
    assert [each.status for each in listed.reports] == [envelope_status]
    async with asyncio.timeout(20):
        while not (told := [event for event in receiver.events if event.status is envelope_status]):
            receiver.has_more.clear()
            await receiver.has_more.wait()
    assert told[0].confirm is True
    await sandbox.control("PATCH", "/options", {"cancelled_word": "CANCELLED"})


async def test_waiting_recipient_is_reminded_corrected_and_gets_a_url(sandbox, real) -> None:
    made = real(recipients=(recipient(1), recipient(2)))
    created = await create(sandbox, made)
    url = await sandbox.run("signing_url", created.provider_ref, recipient(1), "https://dms.example/back")
    assert url.startswith(sandbox.url)
    not_yet = await sandbox.outcome("signing_url", created.provider_ref, recipient(2), "")
    assert isinstance(not_yet, Rejected)
    assert not_yet.code == "state_conflict"

    await sandbox.run("resend", created.provider_ref, (), "Please")
    await sandbox.run("resend", created.provider_ref, (recipient(1),), "")
    nobody = await sandbox.outcome("resend", created.provider_ref, (recipient(2),), "")
    assert isinstance(nobody, Rejected)

    correction = RecipientCorrection(recipient=recipient(1), name="Ada New", email="ada.new@example.com")
    await sandbox.run("correct_recipient", created.provider_ref, correction)
    report = await sandbox.run("get_envelope", created.provider_ref)
    assert [each.email for each in report.recipients] == ["ada.new@example.com", "bob@example.com"]
    assert report.recipients[0].status is RecipientStatus.SENT


async def test_changes_come_in_pages_until_the_cursor_is_empty(sandbox, real) -> None:
    refs = {(await create(sandbox, real(), SendMode.DRAFT)).provider_ref for _ in range(3)}
    page = await sandbox.run("list_changes", datetime.now(UTC) - timedelta(hours=1), "")
    assert {each.provider_ref for each in page.reports} == refs
    assert page.cursor == ""


async def test_credentials_are_checked_and_bad_ones_refused(sandbox) -> None:
    health = await sandbox.run("check_credentials")
    assert health.account
    assert "sender@sandbox.example" in health.detail


@pytest.mark.parametrize("fault", ["invalid_access_point_once", "token_expired", "precondition_412_once"])
async def test_passing_trouble_is_overcome_within_the_operation(sandbox, real, fault) -> None:
    made = real(fields=(field(1),))
    await sandbox.run("check_credentials")
    operation = "put_form_fields" if fault == "precondition_412_once" else "create_agreement"
    await sandbox.control("POST", "/faults", {"kind": fault, "match": {"operation": operation}})
    created = await create(sandbox, made)
    assert created.report.status is EnvelopeStatus.SENT
    assert [each["remaining"] for each in await sandbox.control("GET", "/faults")] == [0]
    assert len(await sandbox.control("GET", "/agreements")) == 1


@pytest.mark.parametrize("fault", ["reset_after", "html_502"])
async def test_create_without_an_answer_is_unknown_and_a_look_up_decides(sandbox, real, fault) -> None:
    made = real()
    await sandbox.control("POST", "/faults", {"kind": fault, "match": {"operation": "create_agreement"}})
    outcome = await sandbox.outcome("create_envelope", made, SendMode.SEND, datetime.now(UTC))
    assert isinstance(outcome, Unknown)
    assert sandbox.learned == []
    there = [each["id"] for each in await sandbox.control("GET", "/agreements")]
    found = await sandbox.run("find_envelopes", made.reference, FUTURE)
    assert [each.provider_ref for each in found] == there


async def test_throttled_create_says_how_long_to_wait(sandbox, real) -> None:
    await sandbox.control(
        "POST", "/faults", {"kind": "http_429", "match": {"operation": "create_agreement", "seconds": 7}}
    )
    outcome = await sandbox.outcome("create_envelope", real(), SendMode.SEND, datetime.now(UTC))
    assert isinstance(outcome, Throttled)
    assert outcome.retry_after_s >= 7
    assert await sandbox.control("GET", "/agreements") == []


async def test_half_built_draft_is_never_sent(sandbox, real) -> None:
    fault = {"kind": "reset_before", "match": {"operation": "put_form_fields"}}
    await sandbox.control("POST", "/faults", fault)
    made = real(fields=(field(1),))
    outcome = await sandbox.outcome("create_envelope", made, SendMode.SEND, datetime.now(UTC))
    assert isinstance(outcome, Unknown)
    assert outcome.learned_ref == sandbox.learned[0]
    sent = await sandbox.outcome("send_draft", outcome.learned_ref)
    assert isinstance(sent, Rejected)
    assert sent.code == "draft_incomplete"
    await sandbox.run("discard_draft", outcome.learned_ref)
    assert await sandbox.run("find_envelopes", made.reference, FUTURE) == ()


async def test_template_is_sent_by_reference(sandbox) -> None:
    made = envelope(
        documents=(),
        template_ref="CBJCHBCAABAAsandboxTemplateTwoParty",
        recipients=(recipient(1), recipient(2)),
    )
    created = await create(sandbox, made)
    assert (await settled(sandbox, created.provider_ref)).status is EnvelopeStatus.SENT
    await sandbox.act(created.provider_ref, "sign_all")
    report = await sandbox.run("get_envelope", created.provider_ref)
    assert report.status is EnvelopeStatus.COMPLETED


async def test_webhook_that_cannot_be_made_does_not_undo_the_envelope(sandbox, real, caplog) -> None:
    nowhere = msgspec.structs.replace(sandbox.connection, webhook_url="https://127.0.0.2:8443/hooks")
    outcome = await sandbox.run(
        "create_envelope", real(), SendMode.SEND, datetime.now(UTC), connection=nowhere
    )
    assert outcome.provider_ref
    assert "webhook.not_registered" in caplog.messages


async def test_trimmed_and_repeated_notifications_are_the_same_fact(sandbox, real, receiver) -> None:
    for kind in ("trimmed_payload", "duplicate_webhook"):
        await sandbox.control(
            "POST", "/faults", {"kind": kind, "match": {"operation": "AGREEMENT_WORKFLOW_COMPLETED"}}
        )
    created = await create(sandbox, real())
    await settled(sandbox, created.provider_ref)
    await sandbox.act(created.provider_ref, "sign_all")
    first = await receiver.wait_for("AGREEMENT_WORKFLOW_COMPLETED")
    assert (first.report, first.status, first.confirm) == (None, EnvelopeStatus.COMPLETED, True)
    async with asyncio.timeout(20):
        while len(same := [each for each in receiver.events if each.dedupe_key == first.dedupe_key]) < 2:
            receiver.has_more.clear()
            await receiver.has_more.wait()
    assert same[0] == same[1]
