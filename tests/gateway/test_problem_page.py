"""What a problem's `type` leads to is really there, and speaks of that very code."""

from tests.gateway.world import World


async def test_a_problems_type_leads_to_a_page_that_explains_its_code(world: World) -> None:
    client = world.client()
    problem = (await client.get("/api/v1/signatures/envelopes")).json()
    page, _, code = problem["type"].partition("#")
    assert code == problem["code"] == "not_authenticated"
    answer = await client.get(page)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/markdown")
    assert f"### `{code}`" in answer.text
