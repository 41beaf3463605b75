"""No tenant sees or moves anything of another: every route, every id, and the database by itself.

The table of routes is generated from the application. A route with an id that this table does not know fails.
"""

import re
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from engine.development.authority_keys import open_authority
from normalizer.ids import Kind, print_id
from tests.certificates.issued import body
from tests.gateway.bodies import envelope, field, signer
from tests.gateway.papers import pdf
from tests.gateway.world import ADMIN, API, Tenant, World

# A body that the route takes, so that nothing but the id is wrong.
BODIES: dict[str, Any] = {
    "PATCH /envelopes/{envelope_id}": {"name": "Mine now"},
    "POST /envelopes/{envelope_id}/documents": {"document_id": "{own_document_id}"},
    "POST /envelopes/{envelope_id}/recipients": signer(fields=[]),
    "PUT /envelopes/{envelope_id}/recipients/{recipient_id}": signer(fields=[]),
    "POST /envelopes/{envelope_id}/fields": field(),
    "PUT /envelopes/{envelope_id}/fields/{field_id}": field(),
    "POST /envelopes/{envelope_id}/void": {"reason": "mine"},
    "POST /envelopes/{envelope_id}/resend": {},
    "POST /envelopes/{envelope_id}/recipients/{recipient_id}/correct": {"name": "Eve"},
    "POST /envelopes/{envelope_id}/recipients/{recipient_id}/signing-url": {
        "return_url": "https://x.example"
    },
    "PUT /templates/{template_id}": {"name": "mine", "roles": [{"name": "Buyer"}], "version": 1},
    "POST /envelopes/{envelope_id}/prepare-url": {"return_url": "https://x.example"},
    "POST /documents/{document_id}/sign": {"certificate_id": "{own_certificate_id}"},
    "PATCH /certificates/{certificate_id}": {"label": "mine"},
    "POST /certificates/{certificate_id}/revoke": {"reason": "key_compromise"},
    "PATCH /webhooks/{endpoint_id}": {"description": "mine"},
    "POST /webhooks/{endpoint_id}/replay": {"since": "2026-01-01T00:00:00Z"},
    "POST /webhooks/{endpoint_id}/rotate-secret": {},
    "POST /webhooks/{endpoint_id}/test-signature": {"body": "mine"},
    "POST /webhooks/{endpoint_id}/gaps": {"received": []},
}
# Routes whose only parameter counts something and names nothing.
_NUMBERS = {"number"}
# The catalogue is the same for everybody.
_OF_NOBODY = "/event-types/"


def routes_with_ids(world: World) -> list[tuple[str, str]]:
    """(method, template below the tenants' API) of every route that names a thing."""
    app: Any = world.litestar
    found = []
    for route in app.routes:
        if not isinstance(route, HTTPRoute) or not route.path.startswith(API):
            continue
        template = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path_format.removeprefix(API))
        if "{" in template and not template.startswith(_OF_NOBODY):
            found += [(method, template) for method in route.methods if method not in {"OPTIONS", "HEAD"}]
    return sorted(found)


async def belongings(world: World, tenant: Tenant) -> dict[str, str]:
    """One of each thing that a route can name, as printed ids."""
    made = await tenant.made(envelope())
    endpoint = await tenant.post("/webhooks", {"url": "http://127.0.0.1:9/hook", "events": ["*"]})
    if endpoint.status_code != 201:
        endpoint = await tenant.post("/webhooks", {"url": "http://127.0.0.1:9/hook"})
    assert endpoint.status_code == 201, endpoint.text
    upload = await tenant.client.post(f"{API}/documents", content=pdf())
    delivery = world.services.ids.new()
    template = await tenant.made(
        {"name": "Purchase", "documents": envelope()["documents"], "roles": [{"name": "Buyer"}]}, "/templates"
    )
    replay = await tenant.post("/replays", {"endpoint_id": endpoint.json()["id"]})
    assert replay.status_code == 202, replay.text
    authority = open_authority(world.services.settings.countersign.data_dir / "authority")
    certificate = await tenant.made(body(authority, authority.issue(tenant.printed)), "/certificates")
    return {
        "certificate_id": certificate["id"],
        "own_certificate_id": certificate["id"],
        "envelope_id": made["id"],
        "recipient_id": made["recipients"][0]["id"],
        "field_id": made["fields"][0]["id"],
        "document_id": upload.json()["id"],
        "template_id": template["id"],
        "own_document_id": upload.json()["id"],
        "endpoint_id": endpoint.json()["id"],
        "delivery_id": print_id(Kind.DELIVERY, delivery),
        "event_id": print_id(Kind.EVENT, world.services.ids.new()),
        "replay_id": replay.json()["id"],
        "message_id": print_id(Kind.MESSAGE, world.services.ids.new()),
        "number": "1",
    }


async def test_every_route_answers_404_to_a_foreign_id_in_the_words_for_one_that_is_not_there(
    world: World, acme: Tenant
) -> None:
    other = await world.tenant("Other")
    await other.route(await other.connect("alpha"))
    foreign, own = await belongings(world, acme), await belongings(world, other)
    table = routes_with_ids(world)
    assert len(table) >= 25
    unknown = {word for _, template in table for word in re.findall(r"\{(\w+)\}", template)} - own.keys()
    assert not unknown, f"this test does not know the ids {unknown}: add them to `belongings`"
    before = await snapshot(world, acme)
    tried = 0
    for method, template in table:
        parameters = [word for word in re.findall(r"\{(\w+)\}", template) if word not in _NUMBERS]
        for named_foreign in [{one} for one in parameters] + (
            [set(parameters)] if len(parameters) > 1 else []
        ):
            ids = {
                word: foreign[word] if word in named_foreign else own[word]
                for word in [*parameters, "number"]
            }
            nobody = {
                word: print_id(read_kind(own[word]), world.services.ids.new())
                if word in named_foreign
                else own[word]
                for word in parameters
            } | {"number": "1"}
            answer = await call(other, own, method, template, ids)
            missing = await call(other, own, method, template, nobody)
            assert answer.status_code == 404, (
                f"{method} {template} with a foreign {named_foreign}: {answer.text}"
            )
            assert shape(answer, ids) == shape(missing, nobody), f"{method} {template}"
            tried += 1
    assert tried >= len(table)
    assert await snapshot(world, acme) == before


async def call(tenant: Tenant, own: dict[str, str], method: str, template: str, ids: dict[str, str]) -> Any:
    body = BODIES.get(f"{method} {template}")
    if body is None and method in {"PATCH", "PUT"}:
        raise AssertionError(f"this test knows no body for {method} {template}")
    if isinstance(body, dict):
        body = {key: value.format(**own) if isinstance(value, str) else value for key, value in body.items()}
    return await tenant.client.request(method, API + template.format(**ids), json=body)


def read_kind(printed: str) -> Kind:
    return Kind(printed.rpartition("_")[0])


def shape(answer: Any, ids: dict[str, str]) -> Any:
    """The body without what must differ: the ids that were sent and the request's own."""
    text = answer.text.replace(answer.headers["x-request-id"], "REQUEST")
    for word, value in ids.items():
        text = text.replace(value, word)
    return answer.status_code, text, answer.headers["content-type"]


async def snapshot(world: World, tenant: Tenant) -> list[str]:
    found = []
    for table in (
        "envelopes",
        "recipients",
        "document_fields",
        "documents",
        "webhook_endpoints",
        "ledger_entries",
    ):
        rows = await world.services.hub.fetch(
            f"SELECT to_jsonb(t)::text FROM {table} t WHERE tenant_id = $1", tenant.id
        )
        found += sorted(row[0] for row in rows)
    return found


@pytest.mark.parametrize("where", ["documents", "attach", "recipient_ids", "field recipient"])
async def test_a_foreign_id_in_a_body_is_not_found(world: World, acme: Tenant, where: str) -> None:
    other = await world.tenant("Other")
    await other.route(await other.connect("alpha"))
    foreign, own = await belongings(world, acme), await belongings(world, other)
    match where:
        case "documents":
            answer = await other.post(
                "/envelopes", envelope(documents=[{"document_id": foreign["document_id"]}])
            )
        case "attach":
            answer = await other.post(
                f"/envelopes/{own['envelope_id']}/documents", {"document_id": foreign["document_id"]}
            )
        case "recipient_ids":
            sent = await other.made(envelope(send=True))
            answer = await other.post(
                f"/envelopes/{sent['id']}/resend", {"recipient_ids": [foreign["recipient_id"]]}
            )
        case _:
            answer = await other.post(
                f"/envelopes/{own['envelope_id']}/fields", field(recipient_id=foreign["recipient_id"])
            )
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_lists_show_ones_own_only(world: World, acme: Tenant) -> None:
    other = await world.tenant("Other")
    await belongings(world, acme)
    for path in ("/envelopes", "/webhooks", "/deliveries", "/audit/events"):
        text = (await other.get(path)).text
        for printed in await belongings_ids(world, acme):
            assert printed not in text, path


async def belongings_ids(world: World, tenant: Tenant) -> list[str]:
    rows = await world.services.hub.fetch("SELECT id FROM envelopes WHERE tenant_id = $1", tenant.id)
    ends = await world.services.hub.fetch("SELECT id FROM webhook_endpoints WHERE tenant_id = $1", tenant.id)
    return [print_id(Kind.ENVELOPE, row["id"]) for row in rows] + [
        print_id(Kind.ENDPOINT, row["id"]) for row in ends
    ]


async def test_an_id_of_another_kind_is_not_found(acme: Tenant) -> None:
    made = await acme.made(envelope())
    for path in (
        made["recipients"][0]["id"],
        "nonsense",
        made["id"].upper(),
        made["id"] + "x",
        "env_" + "z" * 26,
    ):
        assert (await acme.get(f"/envelopes/{path}")).status_code == 404


async def test_row_level_security_holds_when_a_query_forgets_the_tenant(world: World, acme: Tenant) -> None:
    other = await world.tenant("Other")
    await belongings(world, acme)
    tables = await world.services.hub.fetch(
        "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS guarded FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
        " JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public' WHERE c.relkind = 'r'"
    )
    assert len(tables) >= 15
    seen_by_hub = 0
    for table in tables:
        assert table["guarded"], f"{table['relname']} has no row-level security"
        may_read = await world.services.hub.fetchval(
            "SELECT has_table_privilege('countersign_app', $1::text::regclass, 'SELECT')", table["relname"]
        )
        seen_by_hub += await world.services.hub.fetchval(f"SELECT count(*) FROM {table['relname']}")
        if not may_read:
            continue
        async with world.services.database.transaction(other.id) as tx:
            rows = await tx.driver.fetch(f"SELECT DISTINCT tenant_id FROM {table['relname']}")
        assert {row["tenant_id"] for row in rows} <= {other.id}, table["relname"]
    assert seen_by_hub > 10


async def test_the_app_role_sees_and_writes_nothing_without_a_tenant(world: World, acme: Tenant) -> None:
    import asyncpg

    await acme.made(envelope())
    for statement in (
        "SELECT count(*) FROM envelopes",
        "UPDATE envelopes SET name = 'x'",
        "DELETE FROM recipients",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.services.database.execute(statement)


async def test_a_connection_of_another_tenant_cannot_be_opened(world: World, acme: Tenant) -> None:
    """Also when it is in the cache already."""
    from gateway.tenants.open_connection import open_connection
    from normalizer.errors import NotFound

    connection = await world.services.hub.fetchval("SELECT id FROM connections WHERE tenant_id = $1", acme.id)
    opened = await open_connection(world.services, acme.id, connection)
    other = await world.tenant("Other")
    for version in (None, opened.version):
        with pytest.raises(NotFound):
            await open_connection(world.services, other.id, connection, version)


async def test_an_administrator_cannot_reach_one_tenants_things_through_another(
    world: World, acme: Tenant
) -> None:
    other = await world.tenant("Other")
    admin = await world.administrator()
    connection = await world.services.hub.fetchval("SELECT id FROM connections WHERE tenant_id = $1", acme.id)
    printed = print_id(Kind.CONNECTION, connection)
    key = print_id(Kind.API_KEY, acme.key_id)
    base = f"{ADMIN}/tenants/{other.printed}"
    answers = [
        await admin.patch(f"{base}/connections/{printed}", json={"label": "mine"}),
        await admin.post(f"{base}/connections/{printed}/check"),
        await admin.delete(f"{base}/keys/{key}"),
    ]
    assert [one.status_code for one in answers] == [404, 404, 404]
    refused = await admin.put(f"{base}/routing", json={"version": 0, "default_connection_id": printed})
    assert refused.status_code == 422
