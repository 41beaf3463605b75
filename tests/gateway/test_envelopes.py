"""Creating, reading and listing envelopes."""

from tests.gateway.bodies import envelope
from tests.gateway.world import Tenant, World


async def test_an_envelope_is_created_as_a_draft_and_read_back_whole(acme: Tenant) -> None:
    made = await acme.made(
        envelope(
            message="Please", reference="PO-1", metadata={"case": "7"}, document_type="nda", language="de"
        )
    )
    read = (await acme.get(f"/envelopes/{made['id']}")).json()
    assert read == made
    assert (read["status"], read["provider"], read["reference"]) == ("draft", None, "PO-1")
    assert read["metadata"] == {"case": "7"}
    assert [(one["name"], one["page_count"], one["media_type"]) for one in read["documents"]] == [
        ("contract.pdf", 1, "application/pdf")
    ]
    assert [one["email"] for one in read["recipients"]] == ["ada@example.com"]
    assert read["fields"][0]["recipient_id"] == read["recipients"][0]["id"]
    assert (read["fields"][0]["width"], read["fields"][0]["height"]) == (160.0, 40.0)


async def test_an_envelope_with_send_reaches_the_provider_and_the_ledger(world: World, acme: Tenant) -> None:
    made = await acme.made(envelope(send=True))
    assert (made["status"], made["provider"], made["provider_ref"]) == ("sent", "alpha", "alpha-1")
    assert made["routing"]["because"] == "default"
    assert world.fake("alpha").outgoing[0].reference == f"{made['id']}_1"
    assert await world.ledger_types(acme, made["id"]) == [
        "envelope_created",
        "document_uploaded",
        "recipient_added",
        "field_added",
        "envelope_routed",
        "envelope_sent",
    ]
