"""Templates: documents, roles and fields once, people each time, for whichever provider the envelope goes to."""

from typing import Any

import pytest

from normalizer.ids import Kind, read_id
from tests.engine.documents import hostile
from tests.gateway import papers
from tests.gateway.bodies import field, inline
from tests.gateway.world import API, Tenant, World

SELLER = {"name": "Seller", "routing_order": 2, "fields": [field(page=2)], "note": "After the buyer."}
BUYER = {"name": "Buyer", "fields": [field(), field(type="text", y=500, label="PO number")]}
ADA = {"name": "Ada", "email": "ada@example.com"}
BOB = {"name": "Bob", "email": "bob@example.com"}


def template(**changes: Any) -> dict[str, Any]:
    document = inline(papers.pdf(pages=2), "purchase.pdf")
    return {"name": "Purchase", "documents": [document], "roles": [BUYER, SELLER]} | changes


def use(made: dict[str, Any], **changes: Any) -> dict[str, Any]:
    people = {"template_id": made["id"], "roles": {"Buyer": ADA, "seller": BOB}}
    return {"name": "Purchase 4711"} | people | changes


async def put(tenant: Tenant, made: dict[str, Any], body: dict[str, Any]) -> Any:
    return await tenant.client.put(f"{API}/templates/{made['id']}", json=body)


async def test_a_template_makes_envelopes_with_people_in_its_roles(world: World, acme: Tenant) -> None:
    made = await acme.made(template(message="Please sign."), "/templates")
    assert (made["version"], made["documents"][0]["page_count"]) == (1, 2)
    first = await acme.made(use(made, send=True))
    second = await acme.made(use(made, message="Now."))
    assert (first["status"], first["message"], second["message"]) == ("sent", "Please sign.", "Now.")
    told = [(one["name"], one["role"], one["routing_order"]) for one in first["recipients"]]
    assert told == [("Ada", "signer", 1), ("Bob", "signer", 2)]
    placed = sorted((one["page"], one["type"]) for one in first["fields"])
    assert placed == [(1, "signature"), (1, "text"), (2, "signature")]
    documents = [one["documents"][0] for one in (first, second, made)]
    assert len({one["id"] for one in documents}) == 3
    assert len({one["sha256"] for one in documents}) == 1
    (outgoing,) = world.fake("alpha").outgoing
    assert [one.note for one in outgoing.recipients] == ["", "After the buyer."]
    back = await acme.get(f"/documents/{documents[1]['id']}/content")
    assert back.content == papers.pdf(pages=2)
    types = await world.ledger_types(acme, first["id"])
    assert types.count("document_added") == 1
    assert "document_uploaded" not in types


async def test_recipients_name_their_role_and_others_come_along(acme: Tenant) -> None:
    made = await acme.made(template(), "/templates")
    recipients = [
        BOB | {"template_role": "Seller"},
        {"name": "Carol", "email": "carol@example.com", "role": "carbon_copy", "routing_order": 3},
        ADA | {"template_role": "Buyer", "fields": [field(document=2)]},
    ]
    body = use(made, recipients=recipients, roles={}, documents=[inline(name="annex.pdf")])
    envelope = await acme.made(body)
    assert [one["name"] for one in envelope["recipients"]] == ["Ada", "Bob", "Carol"]
    assert [one["name"] for one in envelope["documents"]] == ["purchase.pdf", "annex.pdf"]
    owners = [one["document_id"] for one in envelope["fields"]]
    assert owners.count(envelope["documents"][1]["id"]) == 1


FAULTS = {
    "unknown role": ({"roles": {"Buyer": ADA, "Seller": BOB, "Judge": BOB}}, "/roles/Judge"),
    "empty role": ({"roles": {"Buyer": ADA}}, "/roles"),
    "role taken twice": ({"recipients": [ADA | {"template_role": "Buyer"}]}, "/recipients/0/template_role"),
    "two templates": ({"template_ref": "at-the-provider"}, "/template_ref"),
    "no template": ({"template_id": ""}, "/roles"),
}


@pytest.mark.parametrize("what", FAULTS)
async def test_a_template_that_is_not_filled_as_it_must_be_makes_no_envelope(
    world: World, acme: Tenant, what: str
) -> None:
    changes, where = FAULTS[what]
    made = await acme.made(template(), "/templates")
    answer = await acme.post("/envelopes", use(made, **changes))
    assert (answer.status_code, answer.json()["findings"][0]["where"]) == (422, where)
    assert await world.services.hub.fetchval("SELECT count(*) FROM envelopes") == 0
    assert (await acme.made(use(made)))["status"] == "draft", "the template's bytes are still there"


async def test_a_change_counts_the_version_and_needs_the_one_that_was_read(
    world: World, acme: Tenant
) -> None:
    made = await acme.made(template(), "/templates")
    before = await acme.made(use(made))
    change = {"name": "Renamed", "roles": [BUYER], "version": 1}
    changed = (await put(acme, made, change)).json()
    assert (changed["version"], changed["name"], len(changed["roles"])) == (2, "Renamed", 1)
    assert changed["documents"] == made["documents"]
    again = await put(acme, made, change)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    other = change | {"version": 2, "documents": [inline(papers.pdf(pages=1), "short.pdf")]}
    shorter = (await put(acme, made, other)).json()
    assert [one["name"] for one in shorter["documents"]] == ["short.pdf"]
    after = await acme.made(use(made, roles={"Buyer": ADA}))
    assert after["documents"][0]["name"] == "short.pdf"
    kept = read_id(Kind.DOCUMENT, before["documents"][0]["id"])
    row = await world.services.hub.fetchrow("SELECT blob_key FROM documents WHERE id = $1", kept)
    assert await world.services.blobs.read(acme.id, row["blob_key"]) == papers.pdf(pages=2)


async def test_an_upload_may_serve_a_template_and_an_envelope(acme: Tenant) -> None:
    upload = (await acme.client.post(f"{API}/documents", content=papers.pdf())).json()
    body = template(documents=[{"document_id": upload["id"]}], roles=[BUYER])
    made = await acme.made(body, "/templates")
    assert (await acme.made(use(made, roles={"Buyer": ADA})))["status"] == "draft"
    direct = await acme.made({"name": "x", "documents": [{"document_id": upload["id"]}]})
    assert direct["documents"][0]["id"] == upload["id"]


async def test_templates_are_listed_newest_first_and_a_deleted_one_is_gone(
    world: World, acme: Tenant
) -> None:
    made = [await acme.made(template(name=f"Number {number}"), "/templates") for number in range(3)]
    page = (await acme.get("/templates", params={"limit": 2})).json()
    assert [one["name"] for one in page["templates"]] == ["Number 2", "Number 1"]
    rest = (await acme.get("/templates", params={"cursor": page["next_cursor"]})).json()
    assert ([one["name"] for one in rest["templates"]], rest["next_cursor"]) == (["Number 0"], "")
    assert (await acme.client.delete(f"{API}/templates/{made[1]['id']}")).status_code == 204
    assert (await acme.get(f"/templates/{made[1]['id']}")).status_code == 404
    assert (await acme.post("/envelopes", use(made[1]))).status_code == 404
    assert len((await acme.get("/templates")).json()["templates"]) == 2
    entries = (await acme.get("/audit/events")).json()["entries"]
    types = [one["event_type"] for one in entries if one["event_type"].startswith("template")]
    assert sorted(types) == ["template_created"] * 3 + ["template_deleted"]


async def test_another_tenants_template_is_not_there(world: World, acme: Tenant) -> None:
    made = await acme.made(template(), "/templates")
    other = await world.tenant("Other")
    await other.route(await other.connect("alpha"))
    assert (await other.get(f"/templates/{made['id']}")).status_code == 404
    assert (await put(other, made, template(version=1))).status_code == 404
    assert (await other.client.delete(f"{API}/templates/{made['id']}")).status_code == 404
    assert (await other.post("/envelopes", use(made))).status_code == 404
    assert (await other.get("/templates")).json()["templates"] == []


WRONG = {
    "no document": ({"documents": []}, "/documents"),
    "no role": ({"roles": []}, "/roles"),
    "two roles of one name": ({"roles": [BUYER, BUYER | {"name": "buyer"}]}, "/roles/0/name"),
    "a field on no document": (
        {"roles": [BUYER | {"fields": [field(document=2)]}]},
        "/roles/0/fields/0/document",
    ),
    "a field of a copy": ({"roles": [BUYER | {"role": "carbon_copy"}]}, "/roles/0/fields/0"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_template_with_faults_is_refused_with_all_of_them(acme: Tenant, what: str) -> None:
    changes, where = WRONG[what]
    answer = await acme.post("/templates", template(**changes))
    assert answer.status_code == 422
    assert where in [one["where"] for one in answer.json()["findings"]]


async def test_a_template_of_a_tenant_who_signs_here_is_examined_and_signed_here(world: World) -> None:
    house = await world.tenant("House")
    await house.route(await house.connect("internal", {}))
    refused = await house.post("/templates", template(documents=[inline(hostile.dynamic_xfa())]))
    assert (refused.status_code, refused.json()["code"]) == (422, "document_refused")
    made = await house.made(template(), "/templates")
    sent = await house.made(use(made, send=True))
    assert (sent["status"], sent["provider"]) == ("sent", "internal")


async def test_a_key_without_the_scope_makes_no_template(acme: Tenant) -> None:
    key = await acme.new_key("templates:read")
    client = acme.world.client(key.secret.reveal())
    assert (await client.post(f"{API}/templates", json=template())).status_code == 403
    assert (await client.get(f"{API}/templates")).status_code == 200
