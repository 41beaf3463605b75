"""What an operator and a client's developer see: OpenAPI, health, metrics, logs, and the schema behind."""

import logging
import re
from typing import Any

import msgspec
import pytest
from litestar.routes import HTTPRoute
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.envelopes import tables
from gateway.http.problems import STATUS
from tests.gateway.bodies import envelope, signer
from tests.gateway.fake_provider import FakeProvider
from tests.gateway.world import ADMIN, API, Tenant, World


async def document(world: World) -> dict[str, Any]:
    answer = await world.client().get("/docs/openapi.json")
    assert answer.status_code == 200
    return answer.json()


async def test_the_openapi_document_is_valid_and_names_every_route(world: World) -> None:
    told = await document(world)
    OpenAPIV31SpecValidator(told).validate()
    assert told["openapi"].startswith("3.1")
    app: Any = world.litestar
    served = {
        (re.sub(r":\w+\}", "}", route.path_format), method)
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/api/")
        for method in route.methods
        if method not in {"OPTIONS", "HEAD"}
    }
    documented = {
        (path, method.upper())
        for path, item in told["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert served == documented


async def test_every_documented_operation_has_problem_answers_a_summary_and_a_key(world: World) -> None:
    told = await document(world)
    for path, item in told["paths"].items():
        for method, operation in item.items():
            where = f"{method} {path}"
            assert operation.get("description") or operation.get("summary"), where
            for status in ("401", "403", "422", "429", "503"):
                content = operation["responses"][status]["content"]
                assert list(content) == ["application/problem+json"], f"{where} {status}"
            assert "{" not in path or "404" in operation["responses"], where
    assert told["security"] == [{"apiKey": []}]


async def test_the_main_bodies_have_examples_that_the_gateway_takes(world: World, acme: Tenant) -> None:
    told = await document(world)
    body = told["paths"][f"{API}/envelopes"]["post"]["requestBody"]["content"]["application/json"]
    examples = body.get("examples") or {}
    assert examples, "POST /envelopes has no example"
    for name, example in examples.items():
        answer = await acme.post("/envelopes", example["value"])
        assert answer.status_code == 201, f"{name}: {answer.text}"


async def test_every_error_of_the_domain_has_a_status_and_a_code() -> None:
    from normalizer import errors

    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.CountersignError) and not kind.__subclasses__()
    ]
    assert len(kinds) >= 12
    for kind in kinds:
        mapped = [one for one in kind.__mro__ if one in STATUS]
        assert mapped or kind is errors.IdempotencyConflict, kind.__name__


async def test_health_ready_and_metrics_need_no_key(
    world: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERSIGN_START_NONCE", "n-1")
    client = world.client()
    assert (await client.get("/health")).json() == {"status": "ok", "nonce": "n-1"}
    ready = await client.get("/ready")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "database": "ok", "redis": "ok"})
    await acme.made(envelope(send=True))
    metrics = (await client.get("/metrics")).text
    assert (
        'countersign_http_requests_total{method="POST",route="/api/v1/signatures/envelopes",status="201"}'
        in metrics
    )
    assert "countersign_envelopes_unsettled 0.0" in metrics
    assert acme.printed not in metrics


async def test_without_postgres_the_gateway_is_not_ready_and_says_503(world: World, acme: Tenant) -> None:
    await world.services.database.close()
    await world.services.hub.close()
    ready = await world.client().get("/ready")
    assert (ready.status_code, ready.json()["database"]) == (503, "away")
    answer = await acme.get("/envelopes")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert answer.headers["retry-after"] == "2"


async def test_secrets_and_personal_data_are_in_no_log_and_no_answer(
    world: World, acme: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canaries = [
        "canary-token-of-a-connection",
        "canary-4711",
        acme.key.split("_")[3],
        "canary.signer@example.com",
    ]
    person = signer("Canary Person", email=canaries[3], authentication="access_code", access_code=canaries[1])
    made = await acme.made(envelope(send=True, recipients=[person]))
    assert world.fake("alpha").outgoing[0].recipients[0].access_code is not None
    admin = await world.administrator()
    answers = [
        (await acme.get(f"/envelopes/{made['id']}")).text,
        (await acme.get(f"/envelopes/{made['id']}/audit-trail")).text,
        (await admin.get(f"{ADMIN}/tenants/{acme.printed}/connections")).text,
        (await admin.get(f"{ADMIN}/tenants/{acme.printed}/keys")).text,
        (await acme.post("/envelopes", {"name": canaries[1], "access_code": canaries[1]})).text,
    ]
    for secret in canaries[:3]:
        for text in answers:
            assert secret not in text
    logged = "\n".join(
        str(vars(record)) + record.getMessage() for record in caplog.records if record.name != "httpx"
    )
    assert "http.request" in logged
    for canary in canaries:
        assert canary not in logged
    dump = await world.services.hub.fetch("SELECT to_jsonb(r)::text FROM recipients r")
    assert all(canaries[1] not in row[0] and canaries[1].encode().hex() not in row[0] for row in dump)


async def test_the_declared_tables_are_those_of_the_database(world: World) -> None:
    for table in (tables.envelopes, tables.recipients, tables.documents, tables.document_fields):
        rows = await world.services.hub.fetch(
            "SELECT column_name, is_nullable = 'YES' AS nullable, character_maximum_length AS length"
            " FROM information_schema.columns WHERE table_name = $1",
            table.name,
        )
        stored = {row["column_name"]: (row["nullable"], row["length"]) for row in rows}
        declared = {
            column.name: (bool(column.nullable), getattr(column.type, "length", None))
            for column in table.columns
        }
        assert declared == stored, table.name


async def test_a_provider_that_is_added_shows_in_the_list_without_its_secrets(world: World) -> None:
    admin = await world.administrator()
    listed = {one["name"]: one for one in (await admin.get(f"{ADMIN}/providers")).json()}
    assert {"alpha", "docusign", "adobe_sign"} <= set(listed)
    assert isinstance(world.fake("alpha"), FakeProvider)
    assert msgspec.json.encode(listed["docusign"]["capabilities"])
