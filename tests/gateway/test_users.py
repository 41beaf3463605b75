"""A tenant's users, as the administrators' API keeps them."""

from normalizer.ids import Kind, print_id
from tests.gateway.world import ADMIN, Tenant, World


def person(**changes: str) -> dict[str, str]:
    return {"external_id": "u-1", "first_name": "Ada", "last_name": "L", "email": "ada@example.com"} | changes


async def test_a_manager_who_is_not_there_is_not_found_when_made_and_when_changed(
    world: World, acme: Tenant
) -> None:
    admin = await world.administrator()
    users = f"{ADMIN}/tenants/{acme.printed}/users"
    nobody = print_id(Kind.USER, world.services.ids.new())
    made = await admin.post(users, json=person())
    assert made.status_code == 201
    for method, path, body in (
        ("POST", users, person(external_id="u-2", manager_id=nobody)),
        ("PATCH", f"{users}/{made.json()['id']}", {"manager_id": nobody}),
    ):
        answer = await admin.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert nobody in answer.json()["detail"]


async def test_a_user_cannot_be_their_own_manager(world: World, acme: Tenant) -> None:
    admin = await world.administrator()
    users = f"{ADMIN}/tenants/{acme.printed}/users"
    made = (await admin.post(users, json=person())).json()
    answer = await admin.patch(f"{users}/{made['id']}", json={"manager_id": made["id"]})
    assert (answer.status_code, answer.json()["findings"][0]["where"]) == (422, "/manager_id")
