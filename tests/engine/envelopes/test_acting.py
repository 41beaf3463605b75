"""What recipients do: in turn, once, under the lock; and how it ends."""

import asyncio
from datetime import timedelta

import pytest

from engine.ceremony.links import find_link
from engine.envelopes.act import note_authentication
from engine.envelopes.correct import correct_recipient
from engine.envelopes.due import expire_due, remind_due, warn_due
from engine.envelopes.end import complete_envelope
from engine.envelopes.look import history_of, list_changes
from engine.envelopes.void import discard_draft, void_envelope
from engine.model import EngineStatus
from engine.store import lock_envelope
from normalizer.envelope import Expiration, Reminders
from normalizer.errors import InvalidTransition, ValidationFailed
from normalizer.recipient import AccessCode, AuthenticationMethod, Phone, Role
from normalizer.status import EnvelopeStatus, RecipientStatus
from tests.conformance.envelopes import person
from tests.engine.envelopes import people
from tests.engine.envelopes.desk import Desk

ANN, BOB, CARL = "ann@people.example", "bob@people.example", "carl@people.example"
_R = RecipientStatus


async def sign(desk: Desk, own, email: str):
    return await people.sign(desk.engine, desk.tenant_id, own, email)


async def test_each_order_acts_after_the_one_before(desk: Desk) -> None:
    own = await desk.sent(
        person("ann", 1), person("bob", 2), person("carl", 2), person("dave", 3, role=Role.APPROVER)
    )
    with pytest.raises(InvalidTransition, match="not this recipient's turn"):
        await sign(desk, own, BOB)
    assert (await sign(desk, own, ANN)).status is EngineStatus.SENT
    assert [address for _, address in await desk.mailed()] == [ANN, BOB, CARL]
    await sign(desk, own, CARL)
    await sign(desk, own, BOB)
    with pytest.raises(InvalidTransition, match="completed already"):
        await sign(desk, own, BOB)
    after = await sign(desk, own, "dave@people.example")
    assert after.status is EngineStatus.SEALING
    assert desk.woken[-1] == "seal"
    assert after.seal_due_at == desk.clock.now()


async def test_two_recipients_and_two_tabs_at_once_finish_once_each(desk: Desk) -> None:
    own = await desk.sent(person("ann"), person("bob"))
    results = await asyncio.gather(
        *(sign(desk, own, email) for email in (ANN, BOB, ANN, BOB)), return_exceptions=True
    )
    refused = [one for one in results if isinstance(one, InvalidTransition)]
    assert len(refused) == 2
    assert (await desk.load(own)).status is EngineStatus.SEALING
    assert (await desk.words()).count("recipient_finished") == 2


async def test_opening_is_told_once_and_finishing_unopened_tells_both(desk: Desk) -> None:
    own = await desk.sent(person("ann"), person("bob"))
    for _ in range(2):
        await people.view(desk.engine, desk.tenant_id, own, ANN)
    assert (await desk.words()).count("recipient_viewed") == 1
    await sign(desk, own, BOB)
    assert (await desk.words())[-2:] == ["recipient_viewed", "recipient_finished"]
    bob = (await desk.load(own)).recipients[1]
    assert (bob.ip_address, bob.user_agent, bob.time_zone) == ("127.0.0.1", "a browser", "Europe/Berlin")


async def test_refusal_ends_it_for_all_and_no_link_opens_any_more(desk: Desk) -> None:
    own = await desk.sent(person("ann"), person("bob"), person("carl", 2))
    token = await desk.token(BOB)
    await people.decline(desk.engine, desk.tenant_id, own, ANN, "Wrong price")
    ended = await desk.load(own)
    assert (ended.status, ended.reason) == (EngineStatus.DECLINED, "Wrong price")
    assert [one.status for one in ended.recipients] == [_R.DECLINED, _R.CANCELLED, _R.CANCELLED]
    assert await find_link(desk.engine, token, people.VISITOR) is None
    with pytest.raises(InvalidTransition, match="declined"):
        await sign(desk, own, BOB)
    # Those who were asked and the sender are told; the letters that asked and were not sent yet are taken back.
    assert await desk.mailed() == [("declined", ANN), ("declined", BOB), ("declined", "sam@dms.example")]
    report = (await desk.reports())[-1].report
    assert (report.status, report.recipients[0].reason) == (EnvelopeStatus.DECLINED, "Wrong price")


async def test_delegate_takes_the_place_with_a_link_and_proofs_of_their_own(desk: Desk) -> None:
    own = await desk.sent(person("ann", access_code=AccessCode("4711")), person("bob", 2))
    token, place = await desk.token(ANN), (await desk.load(own)).recipients[0].id
    heir = await people.delegate(
        desk.engine, desk.tenant_id, own, ANN, name="Dora Deputy", to="dora@people.example"
    )
    envelope = await desk.load(own)
    former, _, successor = envelope.recipients
    assert (former.status, successor.id, successor.delegated_from) == (_R.REASSIGNED, heir, place)
    assert AuthenticationMethod.ACCESS_CODE in successor.authentication
    assert successor.access_code != former.access_code
    assert {field.recipient_id for field in envelope.fields_of(heir)} == {heir}
    assert envelope.fields_of(place) == ()
    assert await find_link(desk.engine, token, people.VISITOR) is None
    assert await find_link(desk.engine, await desk.token("dora@people.example"), people.VISITOR)
    with pytest.raises(InvalidTransition):
        await sign(desk, own, ANN)
    told = (await desk.reports())[-1]
    assert [one.recipient_id for one in told.report.recipients][-1] == place
    assert told.happenings[0].new_email == "dora@people.example"
    assert (await sign(desk, own, "dora@people.example")).status is EngineStatus.SENT


async def test_place_whose_proof_is_ones_own_is_not_handed_over(desk: Desk) -> None:
    ann = person("ann", authentication=AuthenticationMethod.SMS, phone=Phone("49", "1701234567"))
    own = await desk.sent(ann, person("bob"))
    for email, to in ((ANN, "dora@people.example"), (BOB, ANN)):
        with pytest.raises(ValidationFailed) as refused:
            await people.delegate(desk.engine, desk.tenant_id, own, email, name="Dora", to=to)
        assert refused.value.code == "delegation_refused"
    assert len((await desk.load(own)).recipients) == 2


async def test_corrected_address_gets_a_new_link_and_starts_anew(desk: Desk) -> None:
    own = await desk.sent(person("ann"))
    token, before = await desk.token(ANN), await desk.load(own)
    await people.view(desk.engine, desk.tenant_id, own, ANN)
    after = await correct_recipient(
        desk.engine, desk.tenant_id, own, before.recipients[0].id, name="", email="new@people.example"
    )
    assert (after.recipients[0].status, after.recipients[0].delivered_at) == (_R.SENT, None)
    assert after.version == before.version + 1
    assert await find_link(desk.engine, token, people.VISITOR) is None
    assert await desk.mailed() == [("signing_request", "new@people.example")]


async def test_sealed_envelope_goes_to_everybody_copies_too(desk: Desk) -> None:
    own = await desk.sent(person("ann"), person("carl", 5, role=Role.CARBON_COPY))
    assert [address for _, address in await desk.mailed()] == [ANN]
    await sign(desk, own, ANN)
    with pytest.raises(InvalidTransition):
        await void_envelope(desk.engine, desk.tenant_id, own, "Too late")
    await people.seal(desk.engine, desk.tenant_id, own)
    done = await desk.load(own)
    assert (done.status, done.completed_at) == (EngineStatus.COMPLETED, desk.clock.now())
    assert {one.status for one in done.recipients} == {_R.COMPLETED}
    assert done.documents[0].sealed_sha256
    kinds = [one for one in await desk.mailed() if one[0] == "completed"]
    assert kinds == [("completed", ANN), ("completed", CARL), ("completed", "sam@dms.example")]
    assert (await desk.words())[-2:] == ["recipient_asked", "envelope_completed"]
    assert history_of(done)[-1].action == "completed"


async def test_only_what_is_sealed_as_a_whole_is_completed(desk: Desk) -> None:
    own = await desk.sent(person("ann"))
    async with desk.engine.database.transaction(desk.tenant_id) as tx:
        open_envelope = await lock_envelope(tx, desk.tenant_id, own)
        with pytest.raises(InvalidTransition):
            await complete_envelope(desk.engine, tx, open_envelope, (), *people.NO_FILES)
    await sign(desk, own, ANN)
    async with desk.engine.database.transaction(desk.tenant_id) as tx:
        sealing = await lock_envelope(tx, desk.tenant_id, own)
        with pytest.raises(ValueError, match="sealed once"):
            await complete_envelope(desk.engine, tx, sealing, (), *people.NO_FILES)


async def test_failed_proof_is_told_and_stops_nobody(desk: Desk) -> None:
    own = await desk.sent(person("ann"))
    async with desk.engine.database.transaction(desk.tenant_id) as tx:
        envelope = await lock_envelope(tx, desk.tenant_id, own)
        for passed in (False, True):
            await note_authentication(
                desk.engine,
                tx,
                envelope,
                envelope.recipients[0],
                people.VISITOR,
                AuthenticationMethod.EMAIL_OTP,
                passed=passed,
            )
        await tx.commit()
    failed, passed = (await desk.reports())[-2:]
    assert (failed.happenings[0].word, failed.happenings[0].status) == (
        "recipient_refused",
        _R.AUTH_FAILED,
    )
    assert (passed.happenings[0].word, passed.happenings[0].method) == (
        "recipient_authenticated",
        AuthenticationMethod.EMAIL_OTP,
    )
    assert (await sign(desk, own, ANN)).status is EngineStatus.SEALING


async def test_clock_reminds_warns_once_and_ends(desk: Desk) -> None:
    deadline = desk.clock.now() + timedelta(days=10)
    own = await desk.sent(
        person("ann"),
        person("bob", 2),
        reminders=Reminders(first_after_hours=24, every_hours=48),
        expiration=Expiration(deadline, warn_days=2),
    )
    assert (await remind_due(desk.engine), await warn_due(desk.engine), await expire_due(desk.engine)) == (
        0,
    ) * 3
    desk.clock.advance(timedelta(hours=24))
    assert (await remind_due(desk.engine), await remind_due(desk.engine)) == (1, 0)
    desk.clock.advance(timedelta(hours=48))
    assert await remind_due(desk.engine) == 1
    assert [one for one in await desk.mailed() if one[0] == "reminder"] == [("reminder", ANN)] * 2
    desk.clock.advance(timedelta(days=5))
    assert (await warn_due(desk.engine), await warn_due(desk.engine)) == (1, 0)
    assert (await desk.mailed())[-1] == ("expiry_warning", ANN)
    desk.clock.advance(timedelta(days=2))
    assert (await expire_due(desk.engine), await expire_due(desk.engine)) == (1, 0)
    ended = await desk.load(own)
    assert (ended.status, [one.status for one in ended.recipients]) == (
        EngineStatus.EXPIRED,
        [_R.EXPIRED, _R.EXPIRED],
    )
    assert await remind_due(desk.engine) == 0
    assert (await desk.words())[-1] == "envelope_expired"


async def test_voided_envelope_is_told_to_those_who_were_asked_and_opens_no_more(desk: Desk) -> None:
    own = await desk.sent(person("ann", embedded=True), person("bob"), person("carl", 2))
    token = await desk.token(BOB)
    ended = await void_envelope(desk.engine, desk.tenant_id, own, "Sent by mistake")
    assert (ended.status, ended.version, ended.ended_at) == (EngineStatus.VOIDED, 2, desk.clock.now())
    assert await desk.mailed() == [("voided", BOB), ("voided", "sam@dms.example")]
    assert (await desk.letters())[0].values["reason"] == "Sent by mistake"
    assert await find_link(desk.engine, token, people.VISITOR) is None
    with pytest.raises(InvalidTransition):
        await void_envelope(desk.engine, desk.tenant_id, own, "Once more")


async def test_papers_signed_in_person_go_to_the_signer_and_not_to_the_host(desk: Desk) -> None:
    host = {"host_name": "Hanna Host", "host_email": "hanna@people.example"}
    own = await desk.sent(person("ann", role=Role.IN_PERSON, **host))
    assert await desk.mailed() == [("signing_request", "hanna@people.example")]
    await sign(desk, own, ANN)
    await people.seal(desk.engine, desk.tenant_id, own)
    assert ("completed", ANN) in await desk.mailed()


async def test_discarded_draft_says_nothing_and_is_never_sent(desk: Desk) -> None:
    own = await desk.create(await desk.envelope(), send=False)
    for _ in range(2):
        await discard_draft(desk.engine, desk.tenant_id, own)
    assert (await desk.load(own)).status is EngineStatus.VOIDED
    assert (await desk.letters(), await desk.reports()) == ([], [])
    sent = await desk.sent()
    with pytest.raises(InvalidTransition):
        await discard_draft(desk.engine, desk.tenant_id, sent)


async def test_changes_are_listed_page_by_page_each_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [await desk.create(await desk.envelope(), send=False) for _ in range(3)]
    monkeypatch.setattr("engine.envelopes.look._PAGE", 2)
    since, seen, cursor = desk.clock.now() - timedelta(hours=1), [], ""
    while True:
        page = await list_changes(desk.engine, desk.tenant_id, desk.connection_id, since, cursor)
        seen += [one.provider_ref for one in page.reports]
        cursor = page.cursor
        if not cursor:
            break
    assert seen == [str(own) for own in made]
