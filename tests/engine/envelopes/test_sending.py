"""Taking an envelope in and sending it: once per reference, with every secret hashed and everybody asked in turn."""

import asyncio

import msgspec
import pytest

from engine.ceremony.access_code import is_access_code
from engine.ceremony.links import find_link
from engine.envelopes.resend import resend
from engine.envelopes.send import send_envelope
from engine.model import EngineStatus
from normalizer.document import PageSize
from normalizer.errors import InvalidTransition, NotFound, ValidationFailed
from normalizer.field import Anchor
from normalizer.recipient import AccessCode, AuthenticationLevel, AuthenticationMethod, Phone, Role
from normalizer.status import RecipientStatus
from tests.adapters.kit.fake_provider import MemoryBlobs
from tests.conformance.envelopes import paper, person, signature
from tests.conformance.papers import ANCHOR
from tests.engine.envelopes import people
from tests.engine.envelopes.desk import Desk

ANN, BOB = "ann@people.example", "bob@people.example"
_M = AuthenticationMethod


async def test_create_repeated_finds_what_the_first_made(desk: Desk) -> None:
    envelope = await desk.envelope()
    first, second, third = await asyncio.gather(*(desk.create(envelope) for _ in range(3)))
    assert first == second == third == await desk.create(envelope)
    assert await desk.words() == ["envelope_sent", "recipient_asked"]
    assert len(await desk.letters()) == 1


async def test_draft_asks_nobody_until_it_is_sent_and_is_sent_once(desk: Desk) -> None:
    own = await desk.create(await desk.envelope(), send=False)
    assert (await desk.letters(), await desk.reports()) == ([], [])
    sent = await send_envelope(desk.engine, desk.tenant_id, own)
    assert (sent.status, [one.status for one in sent.recipients]) == (
        EngineStatus.SENT,
        [RecipientStatus.SENT, RecipientStatus.PENDING],
    )
    with pytest.raises(InvalidTransition):
        await send_envelope(desk.engine, desk.tenant_id, own)
    assert await desk.mailed() == [("signing_request", ANN)]


async def test_field_is_a_fraction_of_its_page_and_an_anchor_is_found(desk: Desk) -> None:
    ann, memory = person("ann"), MemoryBlobs()
    document = paper(memory)
    at_text = signature(document, ann, page=0, x=0.0, y=0.0, anchor=Anchor(ANCHOR, 10.0, 20.0))
    placed = signature(document, ann, x=61.2, y=79.2, width=153.0, height=39.6)
    own = await desk.create(
        await desk.envelope(ann, documents=(await desk.stored(document, memory),), fields=(placed, at_text))
    )
    envelope = await desk.load(own)
    fields = {field.id: field for field in envelope.fields}
    exact = fields[placed.id]
    assert (exact.x, exact.y, exact.width, exact.height) == pytest.approx((0.1, 0.1, 0.25, 0.05))
    assert envelope.documents[0].pages == (PageSize(612.0, 792.0),)
    found = fields[at_text.id]
    # The paper writes its anchor 400 points above the lower edge, at x 72.
    assert found.page == 1
    assert found.x * 612 == pytest.approx(82, abs=2)
    assert found.y * 792 == pytest.approx(792 - 400 - 14 + 20, abs=8)


async def test_anchor_that_is_not_there_makes_no_envelope(desk: Desk) -> None:
    ann, memory = person("ann"), MemoryBlobs()
    document = paper(memory)
    field = signature(document, ann, page=0, anchor=Anchor("never written"))
    envelope = await desk.envelope(ann, documents=(await desk.stored(document, memory),), fields=(field,))
    with pytest.raises(ValidationFailed) as refused:
        await desk.create(envelope)
    assert refused.value.code == "anchor_not_found"
    assert await desk.services.hub.fetchval("SELECT count(*) FROM engine_envelopes") == 0


async def test_document_with_a_fault_is_refused_with_what_was_found(desk: Desk) -> None:
    memory = MemoryBlobs()
    broken = paper(memory, content=b"%PDF-1.7\nnothing more")
    envelope = await desk.envelope(documents=(await desk.stored(broken, memory),))
    with pytest.raises(ValidationFailed) as refused:
        await desk.create(envelope)
    assert refused.value.code == "document_refused"
    assert refused.value.findings
    assert broken.name in refused.value.detail


async def test_proofs_are_the_recipients_own_the_code_and_at_least_the_level(desk: Desk) -> None:
    ann = person("ann", authentication=_M.EMAIL_OTP, access_code=AccessCode("Swordfish 7"))
    bob = person("bob", phone=Phone("49", "1701234567"))
    ann = msgspec.structs.replace(ann, phone=Phone("49", "1701234568"))
    carl = person("carl", role=Role.CARBON_COPY)
    own = await desk.sent(ann, bob, carl, authentication_level=AuthenticationLevel.SMS)
    envelope = await desk.load(own)
    assert [one.authentication for one in envelope.recipients] == [
        (_M.EMAIL, _M.EMAIL_OTP, _M.ACCESS_CODE, _M.SMS),
        (_M.EMAIL, _M.SMS),
        (_M.EMAIL,),
    ]
    kept = envelope.recipients[0]
    assert b"Swordfish" not in (kept.access_code or b"")
    assert await is_access_code(desk.engine, desk.services.database, desk.tenant_id, kept, "Swordfish 7")
    assert not await is_access_code(desk.engine, desk.services.database, desk.tenant_id, kept, "swordfish")


async def test_everybody_is_written_to_as_their_role_says(desk: Desk) -> None:
    await desk.sent(
        person("ann"),
        person("approver", role=Role.APPROVER),
        person("reviewer", role=Role.REVIEWER),
        person("certified", role=Role.CERTIFIED_DELIVERY),
        person("inside", embedded=True),
        person("guest", role=Role.IN_PERSON, host_name="Hanna Host", host_email="hanna@people.example"),
        person("carl", role=Role.CARBON_COPY),
        person("late", 2, role=Role.CARBON_COPY),
    )
    assert sorted(await desk.mailed()) == sorted(
        [
            ("signing_request", ANN),
            ("approval", "approver@people.example"),
            ("signing_request", "reviewer@people.example"),
            ("signing_request", "certified@people.example"),
            ("signing_request", "hanna@people.example"),
            ("copy", "carl@people.example"),
        ]
    )
    letter = (await desk.letters())[0]
    assert (letter.values["organisation"], letter.values["sender_name"]) == ("Acme", "Sam Sender")


async def test_resend_makes_a_new_link_and_the_former_opens_nothing(desk: Desk) -> None:
    envelope = await desk.envelope()
    own = await desk.create(envelope)
    before = await desk.token(ANN)
    assert await find_link(desk.engine, before, people.VISITOR) is not None
    await resend(desk.engine, desk.tenant_id, own, (envelope.recipients[0].id,), "Please")
    after = await desk.token(ANN)
    assert await find_link(desk.engine, before, people.VISITOR) is None
    assert await find_link(desk.engine, after, people.VISITOR) is not None
    assert (await desk.letters())[-1].values["note"] == "Please"
    with pytest.raises(InvalidTransition):
        await resend(desk.engine, desk.tenant_id, own, (envelope.recipients[1].id,), "")
    with pytest.raises(NotFound):
        await resend(desk.engine, desk.tenant_id, own, (envelope.id,), "")


async def test_report_is_kept_with_the_change_or_not_at_all(desk: Desk) -> None:
    with pytest.raises(RuntimeError, match="on purpose"):
        async with desk.engine.database.transaction(desk.tenant_id) as tx:
            await desk.engine.emit(tx, desk.connection_id, b"{}")
            raise RuntimeError("on purpose")
    assert await desk.reports() == []
    async with desk.engine.database.transaction(desk.tenant_id) as tx:
        with pytest.raises(ValueError, match="not the engine's"):
            await desk.engine.emit(tx, desk.tenant_id, b"{}")
