"""Every operation of the port against every provider's sandbox, over real HTTP."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from adapters.kit.outcome import Rejected
from adapters.kit.port import Part, RecipientCorrection, SendMode
from normalizer.document import DOCX
from normalizer.envelope import Envelope, Expiration, Reminders
from normalizer.field import DEFAULT_SIZE
from normalizer.recipient import Role
from normalizer.status import EnvelopeStatus, RecipientStatus
from tests.conformance.envelopes import anchored, contract, paper, person, photo, signature, word_file
from tests.conformance.stage import RETURN_URL, Stage

_S = EnvelopeStatus


async def test_envelope_with_several_documents_is_sent_at_once(stage: Stage) -> None:
    envelope = contract(stage.blobs, documents=(paper(stage.blobs), photo(stage.blobs, 2)))
    created = await stage.create(envelope)
    assert stage.learned == [created.provider_ref]
    assert created.report.status in {_S.PROCESSING, _S.SENT}
    report = await stage.until_status(created.provider_ref, _S.SENT)
    assert report.provider_ref == created.provider_ref
    assert report.reference == envelope.reference
    first, second = report.recipients
    ann, bob = envelope.recipients
    assert (first.email, first.status, first.recipient_id) == (ann.email, RecipientStatus.SENT, ann.id)
    assert (second.email, second.status, second.recipient_id) == (bob.email, RecipientStatus.PENDING, bob.id)


async def test_document_that_the_provider_converts_goes_along(stage: Stage) -> None:
    if DOCX not in stage.adapter.capabilities.media_types:
        pytest.skip("the provider takes PDF only")
    ann = person("ann")
    papers = (paper(stage.blobs), word_file(stage.blobs, 2))
    envelope = contract(stage.blobs, ann, documents=papers, fields=(anchored(papers[0], ann),))
    ref = await stage.sent(envelope)
    await stage.hand.sign(ref, ann.email)
    await stage.until_status(ref, _S.COMPLETED)
    saved = await stage.done("download", ref, Part.DOCUMENT, 2)
    assert stage.blobs.stored[saved.key].startswith(b"%PDF")


async def test_field_at_an_anchor_is_placed_and_the_envelope_sent(stage: Stage) -> None:
    ann = person("ann")
    document = paper(stage.blobs)
    envelope = contract(stage.blobs, ann, documents=(document,), fields=(anchored(document, ann),))
    ref = await stage.sent(envelope)
    await stage.hand.sign(ref, ann.email)
    await stage.until_status(ref, _S.COMPLETED)


async def test_draft_is_found_by_reference_and_then_sent(stage: Stage) -> None:
    envelope = contract(stage.blobs)
    created = await stage.create(envelope, SendMode.DRAFT)
    draft = await stage.until_status(created.provider_ref, _S.DRAFT)
    assert all(each.status is RecipientStatus.PENDING for each in draft.recipients)
    found = await stage.find(envelope.reference)
    assert [(each.provider_ref, each.status) for each in found] == [(created.provider_ref, _S.DRAFT)]
    report = await stage.done("send_draft", created.provider_ref)
    assert report.status in {_S.PROCESSING, _S.SENT}
    sent = await stage.until_status(created.provider_ref, _S.SENT)
    assert sent.recipients[0].status is RecipientStatus.SENT
    found = await stage.find(envelope.reference)
    assert [each.provider_ref for each in found] == [created.provider_ref]


async def test_draft_that_is_discarded_can_no_longer_be_sent(stage: Stage) -> None:
    envelope = contract(stage.blobs)
    ref = (await stage.create(envelope, SendMode.DRAFT)).provider_ref
    await stage.until_status(ref, _S.DRAFT)
    await stage.done("discard_draft", ref)
    assert all(each.status is _S.VOIDED for each in await stage.find(envelope.reference))
    assert isinstance(await stage.outcome("send_draft", ref), Rejected)


async def test_envelope_that_was_sent_is_never_discarded_as_a_draft(stage: Stage) -> None:
    ref = await stage.sent(contract(stage.blobs))
    outcome = await stage.outcome("discard_draft", ref)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "state_conflict"
    assert (await stage.done("get_envelope", ref)).status is _S.SENT


async def test_signed_envelope_is_completed_and_its_papers_come_down(stage: Stage) -> None:
    papers = (paper(stage.blobs), paper(stage.blobs, 2))
    envelope = contract(stage.blobs, documents=papers)
    ref = await stage.sent(envelope)
    for recipient in envelope.recipients:
        await stage.hand.sign(ref, recipient.email)
    report = await stage.until_status(ref, _S.COMPLETED)
    assert {each.status for each in report.recipients} == {RecipientStatus.COMPLETED}
    sizes = {}
    for part, number in ((Part.COMBINED, 0), (Part.DOCUMENT, 1), (Part.DOCUMENT, 2), (Part.CERTIFICATE, 0)):
        saved = await stage.done("download", ref, part, number)
        assert saved.media_type == "application/pdf"
        assert stage.blobs.stored[saved.key].startswith(b"%PDF")
        assert saved.size_bytes == len(stage.blobs.stored[saved.key])
        sizes[part, number] = saved.sha256
    assert len(set(sizes.values())) >= 3  # the two papers are alike, the parts are not


async def test_document_that_is_not_there_is_not_found(stage: Stage) -> None:
    ref = await stage.sent(contract(stage.blobs))
    outcome = await stage.outcome("download", ref, Part.DOCUMENT, 9)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "not_found"


async def test_audit_trail_tells_who_did_what(stage: Stage) -> None:
    envelope = contract(stage.blobs, person("ann"))
    ref = await stage.sent(envelope)
    await stage.hand.sign(ref, envelope.recipients[0].email)
    await stage.until_status(ref, _S.COMPLETED)
    records = await stage.done("audit_trail", ref)
    assert len(records) >= 3
    assert all(record.action for record in records)
    assert all(record.at is not None and record.at.tzinfo is not None for record in records)
    assert any(
        envelope.recipients[0].email in record.actor or envelope.recipients[0].name in record.actor
        for record in records
    )


async def test_voided_envelope_is_voided_once_with_its_reason(stage: Stage) -> None:
    ref = await stage.sent(contract(stage.blobs))
    report = await stage.done("void_envelope", ref, "Sent by mistake")
    assert report.status is _S.VOIDED
    seen = await stage.until_status(ref, _S.VOIDED)
    assert seen.reason == "Sent by mistake"
    again = await stage.outcome("void_envelope", ref, "Once more")
    assert isinstance(again, Rejected)
    assert again.code == "state_conflict"


async def test_declined_envelope_tells_who_and_why(stage: Stage) -> None:
    envelope = contract(stage.blobs)
    ref = await stage.sent(envelope)
    await stage.hand.decline(ref, envelope.recipients[0].email, "Wrong price")
    report = await stage.until_status(ref, _S.DECLINED)
    assert report.reason == "Wrong price"
    assert report.recipients[0].status is RecipientStatus.DECLINED


async def test_expired_envelope_is_expired_and_not_voided(stage: Stage) -> None:
    expiration = Expiration(datetime.now(UTC) + timedelta(days=3))
    ref = await stage.sent(contract(stage.blobs, expiration=expiration))
    await stage.hand.expire(ref)
    await stage.until_status(ref, _S.EXPIRED)


async def test_second_signer_waits_until_the_first_has_signed(stage: Stage) -> None:
    envelope = contract(stage.blobs)
    ref = await stage.sent(envelope)
    await stage.hand.sign(ref, envelope.recipients[0].email)
    report = await stage.until_status(ref, _S.SIGNED, _S.SENT, _S.DELIVERED)
    by_email = {each.email: each.status for each in report.recipients}
    assert by_email[envelope.recipients[0].email] is RecipientStatus.COMPLETED
    assert by_email[envelope.recipients[1].email] is RecipientStatus.SENT


async def test_parallel_signers_are_asked_together(stage: Stage) -> None:
    ref = await stage.sent(contract(stage.blobs, person("ann", 1), person("bob", 1)))
    report = await stage.done("get_envelope", ref)
    assert [each.status for each in report.recipients] == [RecipientStatus.SENT] * 2


async def test_resend_asks_everybody_whose_turn_it_is_or_only_those_named(stage: Stage) -> None:
    envelope = contract(stage.blobs, person("ann", 1), person("bob", 1))
    ref = await stage.sent(envelope)
    assert await stage.done("resend", ref, (), "") is None
    assert await stage.done("resend", ref, envelope.recipients[:1], "A gentle reminder") is None


async def test_resend_of_an_ended_envelope_is_refused(stage: Stage) -> None:
    ref = await stage.sent(contract(stage.blobs))
    await stage.done("void_envelope", ref, "Sent by mistake")
    outcome = await stage.outcome("resend", ref, (), "")
    assert isinstance(outcome, Rejected)
    assert outcome.code == "state_conflict"


async def test_corrected_recipient_is_asked_at_the_new_address(stage: Stage) -> None:
    envelope = contract(stage.blobs, person("ann"))
    ref = await stage.sent(envelope)
    known = (await stage.done("get_envelope", ref)).recipients[0]
    recipient = person("ann", id=envelope.recipients[0].id, provider_ref=known.provider_ref)
    correction = RecipientCorrection(recipient=recipient, email="ann.new@people.example")
    await stage.done("correct_recipient", ref, correction)
    report = await stage.done("get_envelope", ref)
    assert "ann.new@people.example" in {each.email for each in report.recipients}
    await stage.hand.sign(ref, "ann.new@people.example")
    await stage.until_status(ref, _S.COMPLETED)


async def test_embedded_signer_gets_a_page_that_opens(stage: Stage) -> None:
    envelope = contract(stage.blobs, person("ann", embedded=True))
    ref = await stage.sent(envelope)
    known = (await stage.done("get_envelope", ref)).recipients[0]
    recipient = person("ann", embedded=True, id=envelope.recipients[0].id, provider_ref=known.provider_ref)
    url = await stage.done("signing_url", ref, recipient, RETURN_URL)
    page = await stage.open_page(url)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")


async def test_signing_url_out_of_turn_is_refused(stage: Stage) -> None:
    envelope = contract(stage.blobs, person("ann", 1, embedded=True), person("bob", 2, embedded=True))
    ref = await stage.sent(envelope)
    known = (await stage.done("get_envelope", ref)).recipients[1]
    recipient = person("bob", 2, embedded=True, id=envelope.recipients[1].id, provider_ref=known.provider_ref)
    outcome = await stage.outcome("signing_url", ref, recipient, RETURN_URL)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "state_conflict"


async def test_template_of_the_provider_is_filled_with_our_recipients(stage: Stage) -> None:
    if not stage.adapter.capabilities.templates:
        pytest.skip("the provider has no templates")
    roles = stage.hand.template_roles
    people = tuple(
        person(name, order, template_role=role)
        for order, (name, role) in enumerate(zip(("ann", "bob"), roles, strict=False), start=1)
    )
    envelope = contract(
        stage.blobs, *people, template_ref=stage.hand.template_ref, documents=(paper(stage.blobs),)
    )
    envelope = _without_documents(envelope)
    ref = await stage.sent(envelope)
    report = await stage.done("get_envelope", ref)
    assert [each.email for each in report.recipients] == [each.email for each in people]
    for recipient in people:
        await stage.hand.sign(ref, recipient.email)
    await stage.until_status(ref, _S.COMPLETED)


async def test_changes_since_a_moment_list_the_envelope_once(stage: Stage) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    ref = await stage.sent(contract(stage.blobs))
    seen, cursor = [], ""
    for _ in range(50):
        page = await stage.done("list_changes", since, cursor)
        seen += page.reports
        cursor = page.cursor
        if not cursor:
            break
    assert not cursor
    assert [each.status for each in seen if each.provider_ref == ref] == [_S.SENT]


async def test_unknown_reference_finds_nothing(stage: Stage) -> None:
    assert await stage.find("env_00000000000000000000000000-1") == ()


async def test_unknown_envelope_is_not_found(stage: Stage) -> None:
    outcome = await stage.outcome("get_envelope", "00000000-0000-4000-8000-000000000000")
    assert isinstance(outcome, Rejected)
    assert outcome.code == "not_found"


async def test_good_credentials_name_the_account(stage: Stage) -> None:
    health = await stage.done("check_credentials")
    assert health.account
    assert health.detail


async def test_reminders_expiry_copies_and_notes_are_taken(stage: Stage) -> None:
    ann, carl = person("ann", note="For you first"), person("carl", 2, role=Role.CARBON_COPY)
    envelope = contract(
        stage.blobs,
        ann,
        carl,
        reminders=Reminders(first_after_hours=24, every_hours=24),
        expiration=Expiration(datetime.now(UTC) + timedelta(days=10), warn_days=2),
        language="de",
    )
    stage.adapter.check(stage.connection, envelope)
    ref = await stage.sent(envelope)
    await stage.hand.sign(ref, ann.email)
    await stage.until_status(ref, _S.COMPLETED)


async def test_every_field_type_that_is_declared_is_taken(stage: Stage) -> None:
    ann, document = person("ann"), paper(stage.blobs)
    fields = [signature(document, ann)]
    for number, kind in enumerate(stage.adapter.capabilities.fields):
        if kind.value == "signature":
            continue
        width, height = DEFAULT_SIZE[kind]
        place = {"x": 40.0 + 270 * (number % 2), "y": 60.0 + 50 * (number // 2)}
        options = {"dropdown": ("red", "blue"), "radio": ("yes", "no")}.get(kind.value, ())
        group = "choice" if kind.value == "radio" else ""
        fields.append(
            signature(
                document,
                ann,
                type=kind,
                width=width,
                height=height,
                label=f"{kind}-1",
                options=options,
                group=group,
                required=kind.value not in {"attachment", "date", "number"},
                **place,
            )
        )
    envelope = contract(stage.blobs, ann, documents=(document,), fields=tuple(fields))
    stage.adapter.check(stage.connection, envelope)
    ref = await stage.sent(envelope)
    await stage.hand.sign(ref, ann.email)
    await stage.until_status(ref, _S.COMPLETED)


def _without_documents(envelope: Envelope) -> Envelope:
    return msgspec.structs.replace(envelope, documents=(), fields=())
