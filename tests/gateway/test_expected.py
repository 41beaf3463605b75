"""A body that cannot be taken is answered with what would be: at the member that is meant, in the route's own words."""

from typing import Any

import pytest

from tests.gateway.world import ADMIN, Tenant, World

HOOK = {"url": "http://127.0.0.1:9/hook"}


@pytest.mark.parametrize(
    ("body", "where", "problem", "remedy"),
    [
        (HOOK | {"ordering": "maybe"}, "/ordering", "Invalid enum value 'maybe'", "One of: skip, hold, none."),
        (HOOK | {"headres": {}}, "/headres", "there is no member 'headres' here", "Did you mean headers? Else leave it out."),
        (
            HOOK | {"oauth": {"token": "x"}, "oauth_secret": "s"},
            "/oauth/token",
            "there is no member 'token' here",
            "Did you mean token_url? Else leave it out.",
        ),
        ({}, "/url", "it is missing", "Give it: it is required."),
        (HOOK | {"timeout_seconds": "soon"}, "/timeout_seconds", "Expected `int`, got `str`", ""),
        (HOOK | {"a/b": 1}, "/a~1b", "there is no member 'a/b' here", None),
    ],
)  # fmt: skip
async def test_a_refusal_names_the_member_and_what_it_takes(
    acme: Tenant, body: dict[str, Any], where: str, problem: str, remedy: str | None
) -> None:
    answer = await acme.post("/webhooks", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    (finding,) = answer.json()["findings"]
    assert (finding["where"], finding["problem"]) == (where, problem)
    if remedy is None:
        assert finding["remedy"].startswith("Leave it out; there are: url, description, events")
    else:
        assert finding["remedy"] == remedy


async def test_a_parameter_of_a_closed_set_names_the_set(world: World, acme: Tenant) -> None:
    admin = await world.administrator()
    connection = "con_00000000000000000000000000"
    answer = await admin.get(f"{ADMIN}/tenants/{acme.printed}/connections/{connection}/drift?kind=behnd")
    (finding,) = answer.json()["findings"]
    assert (answer.status_code, finding["where"]) == (422, "?kind")
    assert "behind, ahead, contradicting, unknown, gone" in finding["remedy"]
