"""Placing a draft's fields on a page: the link, the session, and the draft's own rules behind it."""

import json
import re
from typing import Any

import httpx

from tests.gateway.bodies import envelope, signer
from tests.gateway.world import API, Tenant, World

BACK = "https://dms.example/drafts/1"


async def minted(acme: Tenant, **changes: Any) -> tuple[dict[str, Any], str]:
    """A draft, and the path of its link."""
    made = await acme.made(envelope(**changes))
    answer = await acme.post(f"/envelopes/{made['id']}/prepare-url", {"return_url": BACK})
    assert answer.status_code == 201, answer.text
    return made, httpx.URL(answer.json()["url"]).path


async def entered(world: World, path: str) -> tuple[httpx.AsyncClient, str, dict[str, Any]]:
    """A browser in the session, the session's path, and what its page says to the script."""
    browser = world.client()
    answer = await browser.post(path)
    assert answer.status_code == 303, answer.text
    base = answer.headers["location"]
    page = await browser.get(base)
    island = re.search(r'<script type="application/json" id="page">(.*?)</script>', page.text, re.DOTALL)
    return browser, base, json.loads(island[1])


def placed(page: dict[str, Any], **changes: Any) -> dict[str, Any]:
    given = {"document": 1, "recipient_id": page["recipients"][0]["id"], "type": "text", "page": 1}
    return given | {"x": 50.5, "y": 60.0, "width": 120.0, "height": 20.0, "label": "Cost centre"} | changes


async def test_look_at_the_link_uses_nothing_up_and_the_form_uses_it_once(world: World, acme: Tenant) -> None:
    _, path = await minted(acme)
    browser = world.client()
    for _ in range(2):
        page = await browser.get(path)
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert (await browser.post(path)).status_code == 303
    assert (await world.client().post(path)).status_code == 404
    assert (await world.client().get(path)).status_code == 404


async def test_page_shows_documents_recipients_and_fields_of_the_draft(world: World, acme: Tenant) -> None:
    _, path = await minted(acme, recipients=[signer(), signer("Cara Copy", role="carbon_copy", fields=[])])
    browser, base, page = await entered(world, path)
    assert [one["name"] for one in page["recipients"]] == ["Ada Lovelace"]
    assert [(one["type"], one["x"], one["y"]) for one in page["fields"]] == [("signature", 100, 600)]
    content = await browser.get(page["documents"][0]["url"])
    assert (content.status_code, content.headers["content-type"]) == (200, "application/pdf")
    assert content.content.startswith(b"%PDF")
    assert (await browser.get(f"{base}/documents/2.pdf")).status_code == 404


async def test_fields_are_placed_changed_and_removed_as_the_caller_of_the_link(
    world: World, acme: Tenant
) -> None:
    made, path = await minted(acme)
    browser, base, page = await entered(world, path)
    token = {"x-csrf-token": page["csrf"]}
    added = await browser.post(f"{base}/fields", json=placed(page), headers=token)
    assert added.status_code == 201, added.text
    moved = placed(page, x=70.0, required=False)
    own = added.json()["id"]
    assert (await browser.put(f"{base}/fields/{own}", json=moved, headers=token)).status_code == 200
    signature = page["fields"][0]["id"]
    assert (await browser.delete(f"{base}/fields/{signature}", headers=token)).status_code == 204
    fields = (await acme.get(f"/envelopes/{made['id']}")).json()["fields"]
    assert [(one["id"], one["x"], one["required"]) for one in fields] == [(own, 70.0, False)]
    types = await world.ledger_types(acme, made["id"])
    assert types[-4:] == ["access_token_generated", "field_added", "field_changed", "field_removed"]


async def test_change_without_the_sessions_token_or_from_another_site_is_refused(
    world: World, acme: Tenant
) -> None:
    made, path = await minted(acme)
    browser, base, page = await entered(world, path)
    for headers in (
        {},
        {"x-csrf-token": "0" * 64},
        {"x-csrf-token": page["csrf"], "sec-fetch-site": "cross-site"},
        {"x-csrf-token": page["csrf"], "origin": "https://evil.example"},
    ):
        answer = await browser.post(f"{base}/fields", json=placed(page), headers=headers)
        assert answer.status_code == 403, headers
    assert len((await acme.get(f"/envelopes/{made['id']}")).json()["fields"]) == 1


async def test_session_is_its_own_browsers_and_draft_s_alone(world: World, acme: Tenant) -> None:
    _, path = await minted(acme)
    _, base, page = await entered(world, path)
    other = world.client()
    assert (await other.get(base)).status_code == 404
    wrong = {"x-csrf-token": page["csrf"], "cookie": f"prepare-{base.rsplit('/', 1)[1]}=guess"}
    assert (await other.post(f"{base}/fields", json=placed(page), headers=wrong)).status_code == 401
    foreign = await world.tenant("Globex")
    theirs = await foreign.made(envelope())
    field = theirs["fields"][0]["id"]
    browser, base, page = await entered(world, (await minted(acme))[1])
    answer = await browser.delete(f"{base}/fields/{field}", headers={"x-csrf-token": page["csrf"]})
    assert answer.status_code == 404


async def test_session_ends_with_its_form_with_the_key_and_with_the_draft(world: World, acme: Tenant) -> None:
    _, path = await minted(acme)
    browser, base, page = await entered(world, path)
    closed = await browser.post(f"{base}/close", data={"csrf": page["csrf"]})
    assert (closed.status_code, closed.headers["location"]) == (303, BACK)
    assert (await browser.get(base)).status_code == 404

    made, path = await minted(acme)
    browser, base, page = await entered(world, path)
    await acme.post(f"/envelopes/{made['id']}/void", {"reason": "not needed any more"})
    answer = await browser.post(f"{base}/fields", json=placed(page), headers={"x-csrf-token": page["csrf"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "invalid_transition")
    assert "has been sent" in (await browser.get(base)).text

    browser, base, page = await entered(world, (await minted(acme))[1])
    await world.services.hub.execute("UPDATE api_keys SET revoked_at = now() WHERE id = $1", acme.key_id)
    assert (await browser.get(base)).status_code == 404


async def test_link_needs_a_draft_and_a_page_to_come_back_to(world: World, acme: Tenant) -> None:
    made, _ = await minted(acme)
    for url in (
        "",
        "dms",
        "javascript:alert(1)",
        "https://dms.example/ x",
        "https://x.example/" + "a" * 1000,
    ):
        answer = await acme.post(f"/envelopes/{made['id']}/prepare-url", {"return_url": url})
        assert (answer.status_code, answer.json()["findings"][0]["where"]) == (422, "/return_url")
    await acme.post(f"/envelopes/{made['id']}/void", {"reason": "not needed any more"})
    answer = await acme.post(f"/envelopes/{made['id']}/prepare-url", {"return_url": BACK})
    assert answer.status_code == 409


async def test_database_holds_neither_link_nor_cookie(world: World, acme: Tenant) -> None:
    _, path = await minted(acme)
    browser, base, _ = await entered(world, path)
    rows = await world.services.hub.fetch("SELECT s::text AS row FROM placing_sessions s")
    secrets = [path.rsplit("/", 1)[1], *(value for _, value in browser.cookies.items())]
    for row in rows:
        for secret in secrets:
            assert secret not in row["row"]
            assert secret.encode().hex() not in row["row"]
    assert f"{API}/envelopes" not in base
