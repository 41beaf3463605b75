"""The catalogue as it is served: the routes, and the webhooks section of the OpenAPI document."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from config.secret import Secret
from gateway.tenants.scopes import Scope
from normalizer.vocabulary import EventType
from tests.gateway.world import API, Tenant, World
from webhooks.outbound.sign import KeyRing, SignatureProfile, SigningKeys, sign


async def test_event_types_are_listed_with_what_they_tell_and_when(acme: Tenant) -> None:
    answer = await acme.get("/event-types")
    assert answer.status_code == 200
    lines = answer.json()
    assert [line["type"] for line in lines] == [str(type_) for type_ in EventType]
    assert {line["type"] for line in lines if line["operational"]} == {
        "endpoint.failing",
        "endpoint.recovered",
        "endpoint.disabled",
        "delivery.exhausted",
    }
    assert all(line["description"] and line["sent_when"] and line["api_versions"] for line in lines)


@pytest.mark.parametrize("type_", EventType)
async def test_event_type_is_served_with_schemas_that_fit_its_examples(
    acme: Tenant, type_: EventType
) -> None:
    answer = await acme.get(f"/event-types/{type_}")
    assert answer.status_code == 200
    told = answer.json()
    assert told["type"] == type_
    for version, forms in told["versions"].items():
        for form in (forms["full"], forms["thin"]):
            Draft202012Validator(form["schema"]).validate(form["example"]["data"])
            assert (form["example"]["type"], form["example"]["api_version"]) == (type_, version)


async def test_event_type_that_is_none_is_not_found(acme: Tenant) -> None:
    answer = await acme.get("/event-types/envelope.sold")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_catalogue_needs_a_key_that_may_read_webhooks(world: World, acme: Tenant) -> None:
    key = await acme.new_key(Scope.ENVELOPES_READ)
    for path in ("/event-types", "/event-types/envelope.sent"):
        assert (await world.client(key.secret.reveal()).get(f"{API}{path}")).status_code == 403
        assert (await world.client().get(f"{API}{path}")).status_code == 401


async def test_openapi_document_describes_every_webhook_with_headers_schema_and_examples(
    world: World,
) -> None:
    document = (await world.client().get("/docs/openapi.json")).json()
    # That it is valid as a whole, webhooks included, is test_served's.
    assert set(document["webhooks"]) == set(map(str, EventType))
    for type_, item in document["webhooks"].items():
        operation = item["post"]
        assert operation["security"] == []
        names = [followed(document, one["$ref"])["name"] for one in operation["parameters"]]
        assert {"webhook-id", "webhook-timestamp", "webhook-signature", "X-Signature-Signature"} <= set(names)
        body = operation["requestBody"]["content"]["application/json"]
        full, thin = body["schema"]["oneOf"]
        assert (full["title"], thin["title"]) == ("full", "thin")
        for form, schema in (("full", full), ("thin", thin)):
            example = body["examples"][form]["value"]
            Draft202012Validator(schema).validate(example)
            assert example["type"] == type_
        Draft202012Validator(body["schema"]).validate(body["examples"]["full"]["value"])
        Draft202012Validator(body["schema"]).validate(body["examples"]["thin"]["value"])
        assert {"2XX", "410", "429", "default"} == set(operation["responses"])


async def test_headers_that_the_document_describes_are_those_that_are_signed(world: World) -> None:
    document = (await world.client().get("/docs/openapi.json")).json()
    now = datetime(2026, 11, 1, tzinfo=UTC)
    keys = [SigningKeys(Secret(f"whsec_{letter * 43}="), bytes(32)) for letter in "AB"]
    ring = KeyRing(keys[0], keys[1], now + timedelta(hours=2), now + timedelta(hours=1))
    sent = sign(
        ring,
        SignatureProfile.BOTH,
        message="evt_01jdehw000e008000000000001",
        type_="envelope.sent",
        body=b"{}",
        now=now,
    )
    described = document["components"]["parameters"]
    assert set(described) == set(sent)
    for name, value in sent.items():
        Draft202012Validator(described[name]["schema"]).validate(value)


def followed(document: dict[str, Any], reference: str) -> dict[str, Any]:
    place: Any = document
    for part in reference.removeprefix("#/").split("/"):
        place = place[part]
    return place
