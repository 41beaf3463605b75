"""The whole adapter over HTTP through the executor, against the strict sandbox in a process of its own."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from adapters.kit.outcome import AuthFailed, Rejected, Unknown
from adapters.kit.port import Part, RecipientCorrection, SendMode
from normalizer.envelope import Envelope, Expiration, Reminders
from normalizer.recipient import AccessCode, AuthenticationMethod, Phone, Role
from normalizer.status import EnvelopeStatus, RecipientStatus
from normalizer.vocabulary import EventType
from tests.adapters.docusign import samples
from tests.adapters.docusign.running import Bench, Ready, open_bench, sandbox_process


@pytest.fixture(scope="module")
def ready() -> Iterator[Ready]:
    with sandbox_process() as started:
        yield started


@pytest.fixture
async def bench(ready: Ready) -> AsyncIterator[Bench]:
    async with open_bench(ready) as opened:
        yield opened


def two_signers(reference: str) -> Envelope:
    return samples.envelope(
        reference=reference,
        recipients=(samples.recipient(1), samples.recipient(2)),
        fields=(samples.field(1), samples.field(2, person=2, y=700.0)),
    )


async def create(bench: Bench, envelope: Envelope, mode: SendMode = SendMode.SEND) -> str:
    created = await bench.do(
        "create_envelope",
        lambda exchange: bench.adapter.create_envelope(
            exchange, bench.connection, envelope, mode, datetime.now(UTC)
        ),
    )
    assert bench.learned[-1] == created.provider_ref
    return created.provider_ref


async def get(bench: Bench, ref: str):
    return await bench.do("get_envelope", lambda x: bench.adapter.get_envelope(x, bench.connection, ref))


async def test_envelope_signed_by_all_comes_back_completed_by_webhook_and_get(bench: Bench) -> None:
    ref = await create(bench, two_signers("env_story.1"))
    await bench.receiver.wait_for(ref, "envelope-sent")
    await bench.act(f"/envelopes/{ref}/recipients/1/view")
    await bench.act(f"/envelopes/{ref}/recipients/1/sign")
    completed_first = await bench.receiver.wait_for(ref, "recipient-completed")
    assert completed_first.type is EventType.RECIPIENT_COMPLETED
    assert completed_first.recipient_id == samples.uid(201)
    assert completed_first.recipient_email == "person1@example.com"
    assert completed_first.reference == "env_story.1"
    assert (await get(bench, ref)).status is EnvelopeStatus.SIGNED
    await bench.act(f"/envelopes/{ref}/sign_all")
    done = await bench.receiver.wait_for(ref, "envelope-completed")
    assert done.status is EnvelopeStatus.COMPLETED
    assert not bench.receiver.refused

    report = await get(bench, ref)
    assert report.status is EnvelopeStatus.COMPLETED
    assert [person.status for person in report.recipients] == [RecipientStatus.COMPLETED] * 2
    for part, number in ((Part.COMBINED, 0), (Part.DOCUMENT, 1), (Part.CERTIFICATE, 0)):
        saved = await bench.do(
            "download",
            lambda x, part=part, number=number: bench.adapter.download(
                x, bench.connection, ref, part, number
            ),
        )
        assert bench.blobs.blobs[saved.key].startswith(b"%PDF")
    trail = await bench.do("audit_trail", lambda x: bench.adapter.audit_trail(x, bench.connection, ref))
    assert trail
    assert all(record.at is not None and record.action for record in trail)


async def test_rich_envelope_with_every_role_and_field_is_accepted(bench: Bench) -> None:
    envelope = samples.rich_envelope()
    without_anchor = tuple(field for field in envelope.fields if field.anchor is None)
    expiration = Expiration(at=datetime.now(UTC) + timedelta(days=29, hours=1), warn_days=3)
    envelope = msgspec.structs.replace(
        envelope,
        reference="env_rich.1",
        fields=without_anchor,
        expiration=expiration,
        reminders=Reminders(first_after_hours=36, every_hours=72),
    )
    ref = await create(bench, envelope)
    report = await get(bench, ref)
    assert {person.recipient_id for person in report.recipients} == {r.id for r in envelope.recipients}
    in_person = next(person for person in report.recipients if person.recipient_id == samples.uid(205))
    assert (in_person.name, in_person.email) == ("Person 5", "person5@example.com")


async def test_id_verification_uses_the_accounts_own_workflow(bench: Bench) -> None:
    person = samples.recipient(
        authentication=AuthenticationMethod.ID_VERIFICATION, phone=Phone("1", "5551234567")
    )
    ref = await create(bench, samples.envelope(reference="env_idv.1", recipients=(person,)))
    assert (await get(bench, ref)).status is EnvelopeStatus.SENT


async def test_draft_is_found_then_sent(bench: Bench) -> None:
    since = datetime.now(UTC) - timedelta(hours=1)
    ref = await create(bench, two_signers("env_draft.1"), SendMode.DRAFT)

    async def find(reference: str):
        return await bench.do(
            "find_envelopes",
            lambda x: bench.adapter.find_envelopes(x, bench.connection, reference, since),
        )

    (found,) = await find("env_draft.1")
    assert (found.provider_ref, found.status, found.reference) == (ref, EnvelopeStatus.DRAFT, "env_draft.1")
    assert await find("env_nobody.1") == ()
    sent = await bench.do("send_draft", lambda x: bench.adapter.send_draft(x, bench.connection, ref))
    assert sent.status is EnvelopeStatus.SENT
    assert (await get(bench, ref)).status is EnvelopeStatus.SENT


async def test_discarded_draft_is_deleted_and_a_sent_envelope_is_never_discarded(bench: Bench) -> None:
    def discard(ref: str):
        return bench.attempt("discard_draft", lambda x: bench.adapter.discard_draft(x, bench.connection, ref))

    draft = await create(bench, two_signers("env_bin.1"), SendMode.DRAFT)
    await discard(draft)
    assert (await get(bench, draft)).provider_status == "deleted"
    sent = await create(bench, two_signers("env_bin.2"))
    outcome = await discard(sent)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "state_conflict"
    assert (await get(bench, sent)).status is EnvelopeStatus.SENT


async def test_void_reports_the_reason_and_a_second_void_conflicts(bench: Bench) -> None:
    ref = await create(bench, two_signers("env_void.1"))

    def void():
        return bench.attempt(
            "void_envelope", lambda x: bench.adapter.void_envelope(x, bench.connection, ref, "Wrong price.")
        )

    assert (await void()).value.status is EnvelopeStatus.VOIDED
    event = await bench.receiver.wait_for(ref, "envelope-voided")
    assert (event.type, event.reason, event.confirm) == (EventType.ENVELOPE_VOIDED, "Wrong price.", False)
    again = await void()
    assert isinstance(again, Rejected)
    assert (again.code, again.provider_code) == ("state_conflict", "ENVELOPE_CANNOT_VOID_INVALID_STATE")


async def test_expiry_comes_back_as_expired_not_as_voided(bench: Bench) -> None:
    expiration = Expiration(at=datetime.now(UTC) + timedelta(days=1))
    envelope = msgspec.structs.replace(two_signers("env_expiry.1"), expiration=expiration)
    ref = await create(bench, envelope)
    await bench.act(f"/envelopes/{ref}/expire")
    event = await bench.receiver.wait_for(ref, "envelope-voided")
    assert (event.type, event.status) == (EventType.ENVELOPE_EXPIRED, EnvelopeStatus.EXPIRED)
    report = await get(bench, ref)
    assert report.status is EnvelopeStatus.EXPIRED
    assert {person.status for person in report.recipients} == {RecipientStatus.EXPIRED}


async def test_correction_changes_only_the_address_and_later_mail_goes_there(bench: Bench) -> None:
    envelope = two_signers("env_correct.1")
    ref = await create(bench, envelope)

    async def correct(correction: RecipientCorrection):
        return await bench.attempt(
            "correct_recipient",
            lambda x: bench.adapter.correct_recipient(x, bench.connection, ref, correction),
        )

    second = envelope.recipients[1]
    await correct(RecipientCorrection(recipient=second, email="new@example.com"))
    event = await bench.receiver.wait_for(ref, "envelope-corrected")
    assert event.type is EventType.ENVELOPE_CORRECTED
    report = await get(bench, ref)
    assert [(p.name, p.email) for p in report.recipients] == [
        ("Person 1", "person1@example.com"),
        ("Person 2", "new@example.com"),
    ]
    await bench.act(f"/envelopes/{ref}/recipients/1/sign")
    refused = await correct(RecipientCorrection(recipient=envelope.recipients[0], name="Too Late"))
    assert isinstance(refused, Rejected)
    assert refused.provider_code == "RECIPIENT_UPDATE_FAILED"


async def test_resend_reaches_everybody_or_the_chosen_one(bench: Bench) -> None:
    envelope = two_signers("env_resend.1")
    ref = await create(bench, envelope)
    for chosen, note in (((), ""), (envelope.recipients[:1], ""), ((), "Please hurry.")):
        await bench.do(
            "resend",
            lambda x, chosen=chosen, note=note: bench.adapter.resend(x, bench.connection, ref, chosen, note),
        )
    event = await bench.receiver.wait_for(ref, "envelope-resent")
    assert event.type is EventType.ENVELOPE_RESENT


async def test_embedded_recipient_gets_a_signing_url(bench: Bench) -> None:
    person = samples.recipient(embedded=True)
    ref = await create(bench, samples.envelope(reference="env_embedded.1", recipients=(person,)))
    url = await bench.do(
        "signing_url",
        lambda x: bench.adapter.signing_url(x, bench.connection, ref, person, "https://dms.example.com/back"),
    )
    assert url.startswith(bench.ready.url)


async def test_changes_are_listed_in_pages_with_recipients(bench: Bench, monkeypatch) -> None:
    monkeypatch.setattr("adapters.docusign.operations._PAGE", 2)
    since = datetime.now(UTC) - timedelta(hours=1)
    refs = {await create(bench, two_signers(f"env_list.{n}")) for n in range(3)}
    seen: set[str] = set()
    cursor = ""
    for _ in range(50):
        page = await bench.do(
            "list_changes", lambda x, c=cursor: bench.adapter.list_changes(x, bench.connection, since, c)
        )
        assert len(page.reports) <= 2
        seen |= {report.provider_ref for report in page.reports}
        assert all(report.recipients for report in page.reports)
        cursor = page.cursor
        if not cursor:
            break
    assert refs <= seen


async def test_large_document_goes_up_in_parts(bench: Bench, monkeypatch) -> None:
    monkeypatch.setattr("adapters.docusign.uploads.INLINE_BYTES", 600)
    monkeypatch.setattr("adapters.docusign.uploads.PART_BYTES", 500)
    body = samples.pdf()
    assert len(body) > 500
    envelope = samples.envelope(
        reference="env_large.1", documents=(samples.document(1), samples.document(2, samples.pdf(2)))
    )
    ref = await create(bench, envelope)
    saved = await bench.do(
        "download", lambda x: bench.adapter.download(x, bench.connection, ref, Part.DOCUMENT, 2)
    )
    assert bench.blobs.blobs[saved.key].startswith(b"%PDF")


async def test_template_fills_its_role_with_our_recipient(bench: Bench) -> None:
    person = samples.recipient(template_role="Signer", routing_order=1)
    envelope = samples.envelope(
        reference="env_template.1",
        documents=(),
        fields=(),
        recipients=(person,),
        template_ref="5a0b0c5a-0000-4000-8000-0000000007e1",
    )
    ref = await create(bench, envelope)
    report = await get(bench, ref)
    assert [(p.recipient_id, p.email) for p in report.recipients] == [(person.id, "person1@example.com")]
    assert report.reference == "env_template.1"


async def test_decline_bounce_failed_proof_and_reassignment_are_told_apart(bench: Bench) -> None:
    person = samples.recipient(
        authentication=AuthenticationMethod.ACCESS_CODE, access_code=AccessCode("k3y-9")
    )
    ref = await create(bench, samples.envelope(reference="env_trouble.1", recipients=(person,)))
    await bench.act(f"/envelopes/{ref}/recipients/1/autorespond", {"reason": "Out of office"})
    bounced = await bench.receiver.wait_for(ref, "recipient-autoresponded")
    assert (bounced.type, bounced.recipient_status) == (EventType.RECIPIENT_BOUNCED, RecipientStatus.BOUNCED)
    await bench.act(f"/envelopes/{ref}/recipients/1/decline", {"reason": "Too dear"})
    declined = await bench.receiver.wait_for(ref, "recipient-declined")
    assert (declined.type, declined.reason) == (EventType.RECIPIENT_DECLINED, "Too dear")
    ended = await bench.receiver.wait_for(ref, "envelope-declined")
    assert (ended.status, ended.reason) == (EnvelopeStatus.DECLINED, "Too dear")

    ref = await create(bench, samples.envelope(reference="env_trouble.2", recipients=(person,)))
    await bench.act(f"/envelopes/{ref}/recipients/1/fail_authentication")
    failed = await bench.receiver.wait_for(ref, "recipient-authenticationfailed")
    assert failed.type is EventType.RECIPIENT_AUTH_FAILED
    assert (await get(bench, ref)).recipients[0].status is RecipientStatus.AUTH_FAILED

    ref = await create(bench, samples.envelope(reference="env_trouble.3"))
    someone = {"name": "Someone Else", "email": "else@example.com"}
    await bench.act(f"/envelopes/{ref}/recipients/1/reassign", someone)
    handed_on = await bench.receiver.wait_for(ref, "recipient-reassign")
    assert handed_on.type is EventType.RECIPIENT_DELEGATED


async def test_lost_answer_to_a_create_is_unknown_and_found_by_reference(bench: Bench) -> None:
    since = datetime.now(UTC) - timedelta(hours=1)
    await bench.act("/faults", {"kind": "reset_after", "match": "envelopes.create"})
    outcome = await bench.attempt(
        "create_envelope",
        lambda x: bench.adapter.create_envelope(
            x, bench.connection, two_signers("env_lost.1"), SendMode.SEND, datetime.now(UTC)
        ),
    )
    assert isinstance(outcome, Unknown)
    found = await bench.do(
        "find_envelopes", lambda x: bench.adapter.find_envelopes(x, bench.connection, "env_lost.1", since)
    )
    assert [report.status for report in found] == [EnvelopeStatus.SENT]


async def test_token_that_dies_in_flight_is_renewed_once(bench: Bench) -> None:
    ref = await create(bench, two_signers("env_token.1"))
    await bench.act("/faults", {"kind": "token_expired"})
    assert (await get(bench, ref)).status is EnvelopeStatus.SENT


async def test_credentials_are_healthy_until_consent_is_withdrawn(bench: Bench) -> None:
    def ask():
        return bench.attempt(
            "check_credentials", lambda x: bench.adapter.check_credentials(x, bench.connection)
        )

    health = (await ask()).value
    assert health.account == bench.ready.credentials["account_id"]
    await bench.act("/switches", {"has_consent": False})
    try:
        await bench.executor.forget_tokens(bench.adapter, bench.connection)
        refused = await ask()
    finally:
        await bench.act("/switches", {"has_consent": True})
    assert isinstance(refused, AuthFailed)
    assert refused.provider_code == "consent_required"
    assert refused.consent_url.startswith(f"{bench.ready.url}/oauth/auth?response_type=code")


async def test_in_person_signer_acts_at_the_hosts_device(bench: Bench) -> None:
    person = samples.recipient(role=Role.IN_PERSON, host_name="Hal Host", host_email="hal@example.com")
    ref = await create(bench, samples.envelope(reference="env_host.1", recipients=(person,)))
    await bench.act(f"/envelopes/{ref}/sign_all")
    assert (await get(bench, ref)).status is EnvelopeStatus.COMPLETED
