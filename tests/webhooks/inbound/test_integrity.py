"""What a message says is held against what we sent; a difference has no effect."""

import json
from typing import Any
from uuid import uuid4

import pytest

from normalizer.ids import Kind, print_id
from normalizer.status import EnvelopeStatus
from tests.adapters.docusign import samples
from tests.webhooks.inbound.house import DAY, House, Placed, connect_message, notification
from tests.webhooks.inbound.keeping import keep

ADA = {"recipientId": "1", "email": "ada@example.com", "name": "Ada Signer", "status": "sent"}
EVE = {"recipientId": "7", "email": "eve@example.com", "name": "Eve", "status": "sent"}


def people(*signers: dict[str, Any]) -> dict[str, Any]:
    return {"recipients": {"signers": list(signers)}}


def papers(*names: str, kind: str = "content") -> dict[str, Any]:
    return {"envelopeDocuments": [{"documentId": "1", "name": name, "type": kind} for name in names]}


async def told(house: House, placed: Placed, ref: str, **summary: Any) -> dict[str, Any]:
    """The message after it was processed."""
    account = summary.pop("account", samples.ACCOUNT)
    body = connect_message("envelope-sent", ref, summary=summary or None, account=account)
    await keep(house, placed, body)
    for _ in range(3):
        await house.processor.process_due()
        await house.due_now()
    return (await house.messages())[-1]


def codes(message: dict[str, Any]) -> list[str]:
    return [one["code"] for one in json.loads(message["findings"])]


@pytest.mark.parametrize(
    "summary",
    [
        people(ADA),
        people({**ADA, "email": "ada.new@example.com"}),
        people({**ADA, "recipientId": "3"}),
        papers("Contract.pdf", "Annex.pdf"),
        papers("contract.PDF", "Annex.docx"),
        {**people(), **papers("Annex.pdf", "Contract.pdf")},
        {"envelopeDocuments": [*papers("Contract.pdf", "Annex.pdf")["envelopeDocuments"],
                               *papers("Summary", kind="summary")["envelopeDocuments"]]},
    ],
    ids=["same", "corrected at the provider", "known by address", "documents", "other suffix",
         "nobody told", "with the certificate of completion"],
)  # fmt: skip
async def test_message_that_fits_has_its_effect(house: House, summary: dict[str, Any]) -> None:
    placed = await house.docusign()
    ref = await house.envelope(placed, "docusign", None, "Contract.pdf", "Annex.pdf")
    message = await told(house, placed, ref, **summary)
    assert (message["state"], message["error"], codes(message)) == ("done", "", [])
    assert message["envelope_id"] == await house.envelope_id(ref)
    assert (await house.status(ref))[0] == "sent"


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        (people(ADA, EVE), ["recipient_unknown"]),
        (people(EVE), ["recipient_unknown", "recipient_missing"]),
        (papers("Contract.pdf"), ["document_count"]),
        (papers("Contract.pdf", "Annex.pdf", "More.pdf"), ["document_count"]),
        (papers("Contract.pdf", "Another.pdf"), ["document_name"]),
        ({"account": "99999999-9999-4999-8999-999999999999"}, ["account"]),
        ({**people(EVE), **papers("x.pdf")}, ["recipient_unknown", "recipient_missing", "document_count"]),
    ],
    ids=["one more", "somebody else", "fewer documents", "more documents", "another name", "another account",
         "nothing fits"],
)  # fmt: skip
async def test_difference_is_quarantined_and_nothing_is_applied(
    house: House, summary: dict[str, Any], expected: list[str]
) -> None:
    placed = await house.docusign()
    ref = await house.envelope(placed, "docusign", None, "Contract.pdf", "Annex.pdf")
    message = await told(house, placed, ref, **summary)
    assert (message["state"], message["next_at"], message["effects"]) == ("quarantined", None, 0)
    assert codes(message) == expected
    assert await house.status(ref) == ("processing", "pending")
    assert await house.ledger_types(ref) == []
    assert await house.ledger_types() == ["inbound_received", "inbound_quarantined"]
    (entry,) = await house.bodies("inbound_quarantined")
    assert [one["code"] for one in entry["data"]["differences"]] == expected
    assert "eve@" not in json.dumps(entry)
    assert await house.services.hub.fetchval("SELECT count(*) FROM inbox_facts") == 0


async def test_handover_that_is_told_late_explains_what_came_before_it(house: House) -> None:
    placed = await house.docusign()
    ref = await house.envelope(placed)
    both = people(ADA, {**EVE, "status": "delivered"})
    await keep(house, placed, connect_message("recipient-delivered", ref, recipient="7", summary=both))
    await house.processor.process_due()
    (early,) = await house.messages()
    assert (early["state"], codes(early), early["next_at"] is not None) == (
        "received",
        ["recipient_unknown"],
        True,
    )
    body = json.loads(connect_message("recipient-reassign", ref, recipient="1", summary=both))
    body["data"]["reassignedRecipientId"] = "7"
    await keep(house, placed, json.dumps(body).encode())
    await house.due_now()
    await house.processor.process_due()
    await house.due_now()
    await house.processor.process_due()
    assert await house.states() == ["done", "done"]
    assert (await house.status(ref))[1] == "delivered"


async def test_reference_of_another_envelope_is_quarantined(house: House) -> None:
    placed = await house.docusign()
    ours, other = await house.envelope(placed), await house.envelope(placed)
    foreign = f"{print_id(Kind.ENVELOPE, await house.envelope_id(other))}_1"
    body = connect_message("envelope-sent", ours, summary={"transactionId": foreign})
    await keep(house, placed, body)
    await house.processor.process_due()
    (message,) = await house.messages()
    assert (message["state"], codes(message)) == ("quarantined", ["reference"])


async def test_recipient_id_of_another_envelope_is_a_stranger(house: House) -> None:
    placed = await house.adobe_sign()
    ref = await house.envelope(placed, "adobe_sign", "CBJ-1")
    stranger = print_id(Kind.RECIPIENT, uuid4())
    sets = [
        {
            "id": "S1",
            "name": stranger,
            "order": 1,
            "status": "ACTIVE",
            "memberInfos": [{"email": "ada@example.com"}],
        }
    ]
    body = json.loads(notification("AGREEMENT_ACTION_REQUESTED", ref))
    body["agreement"]["participantSetsInfo"] = {"participantSets": sets}
    await keep(house, placed, json.dumps(body).encode())
    for _ in range(3):
        await house.processor.process_due()
        await house.due_now()
    (message,) = await house.messages()
    assert (message["state"], codes(message)) == ("quarantined", ["recipient_unknown", "recipient_missing"])


async def test_documents_of_an_unsigned_message_are_compared_too(house: House) -> None:
    placed = await house.adobe_sign()
    ref = await house.envelope(placed, "adobe_sign", "CBJ-1", "Contract.pdf")
    body = json.loads(notification("AGREEMENT_CREATED", ref))
    body["agreement"]["documentsInfo"] = {"documents": [{"id": "3A", "name": "Another.pdf"}]}
    await keep(house, placed, json.dumps(body).encode())
    await house.processor.process_due()
    assert codes((await house.messages())[0]) == ["document_name"]


async def test_envelope_of_the_providers_template_is_not_compared(house: House) -> None:
    placed = await house.docusign()
    ref = await house.envelope(placed, "docusign", None, "Contract.pdf")
    await house.services.hub.execute("UPDATE envelopes SET template_ref = 'tpl'")
    message = await told(house, placed, ref, **people(ADA, EVE), **papers("Theirs.pdf", "More.pdf"))
    assert message["state"] == "done"


async def test_difference_of_an_end_is_found_before_the_provider_is_asked(house: House) -> None:
    placed = await house.adobe_sign()
    ref = await house.envelope(placed, "adobe_sign", "CBJ-1", "Contract.pdf")
    body = json.loads(notification("AGREEMENT_WORKFLOW_COMPLETED", ref, status="SIGNED"))
    body["agreement"]["documentsInfo"] = {"documents": [{"id": "3A", "name": "Another.pdf"}]}
    await keep(house, placed, json.dumps(body).encode())
    await house.processor.process_due()
    assert (await house.states(), house.adobe.asked) == (["quarantined"], 0)


async def test_answer_that_carries_another_reference_is_quarantined(house: House) -> None:
    placed = await house.adobe_sign()
    ref = await house.envelope(placed, "adobe_sign", "CBJ-1")
    house.adobe.reference = f"{print_id(Kind.ENVELOPE, uuid4())}_1"
    await keep(house, placed, notification("AGREEMENT_WORKFLOW_COMPLETED", ref, status="SIGNED"))
    await house.processor.process_due()
    (message,) = await house.messages()
    assert (message["state"], codes(message)) == ("quarantined", ["reference"])
    assert (await house.status(ref))[0] == "processing"


@pytest.mark.parametrize(
    ("at", "asked"),
    [
        (f"{DAY}T10:20:30.0000000Z", 0),
        ("2020-01-01T00:00:00.0000000Z", 1),
        ("2099-01-01T00:00:00.0000000Z", 1),
    ],
    ids=["of yesterday", "older than any retry", "ahead of its time"],
)
async def test_message_out_of_its_time_is_believed_as_far_as_the_provider_confirms(
    house: House, at: str, asked: int
) -> None:
    placed = await house.docusign()
    ref = await house.envelope(placed)
    house.connect.says = EnvelopeStatus.SENT
    await keep(house, placed, connect_message("envelope-completed", ref, at=at))
    await house.processor.process_due()
    assert house.connect.asked == asked
    assert await house.states() == ["done"]
    assert (await house.status(ref))[0] == ("sent" if asked else "completed")


async def test_happening_of_an_old_message_is_not_repeated(house: House) -> None:
    placed = await house.docusign()
    ref = await house.envelope(placed)
    house.connect.says = EnvelopeStatus.SENT
    old = connect_message("envelope-reminder-sent", ref, at="2020-01-01T00:00:00.0000000Z")
    await keep(house, placed, old)
    await house.processor.process_due()
    assert await house.ledger_types(ref) == ["envelope_sent"]


async def test_old_message_waits_while_the_provider_may_not_be_asked(house: House) -> None:
    placed = await house.docusign()
    ref = await house.envelope(placed)
    for second in range(2):
        old = connect_message("envelope-sent", ref, at=f"2020-01-01T00:00:0{second}.0000000Z")
        await keep(house, placed, old)
        await house.processor.process_due()
    assert (await house.states(), house.connect.asked) == (["done", "received"], 1)
    assert "may not be asked yet" in (await house.messages())[1]["error"]
