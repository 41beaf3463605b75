"""Headers and cookies of the signing pages, where they are served over https and in frames of others."""

import dataclasses
from typing import Any

import msgspec
import pytest

from config.settings import GeneralSettings, Settings
from engine.ceremony.embedding import EmbeddingLists, save_embedding
from gateway.http.sign.answers import clear_cookie, cookie_name, set_cookie
from gateway.http.sign.files import disposition
from tests.engine.signing.house import AGENT, House
from tests.gateway.bodies import envelope, signer

ADA = "ada@example.com"
ORIGIN = "https://dms.example"


@dataclasses.dataclass
class Served:
    settings: Settings


def served_at(url: str) -> Any:
    return Served(Settings(countersign=GeneralSettings(public_base_url=url)))


@pytest.mark.parametrize(
    ("url", "framed", "attributes"),
    [
        ("https://sign.example", False, "Path=/; HttpOnly; Secure; SameSite=Lax"),
        ("https://sign.example", True, "Path=/; HttpOnly; Secure; SameSite=None; Partitioned"),
        ("http://127.0.0.1:8400", True, "Path=/; HttpOnly; SameSite=Lax"),
    ],
)
def test_cookie_is_bound_to_the_host_and_shut_to_scripts(url: str, framed: bool, attributes: str) -> None:
    services = served_at(url)
    name = "__Host-sign-abc" if url.startswith("https") else "sign-abc"
    assert cookie_name(services, "abc") == name
    assert (
        set_cookie(services, "abc", "secret", framed=framed) == f"{name}=secret; Max-Age=28800; {attributes}"
    )
    assert clear_cookie(services, "abc", framed=framed) == f"{name}=; Max-Age=0; {attributes}"


def test_name_of_a_download_breaks_no_header() -> None:
    header = disposition("attachment", 'a"b\r\nset-cookie: x=1; Vertrag Übersicht')
    assert "\r" not in header
    assert "\n" not in header
    assert header.count('"') == 2
    assert header.endswith(".pdf")
    assert "%C3%9Cbersicht" in header


async def test_embedded_session_may_be_framed_by_its_origins_alone_and_leads_back(house: House) -> None:
    async with house.world.services.hub.transaction() as tx:
        await save_embedding(tx, house.tenant.id, EmbeddingLists((ORIGIN,), (f"{ORIGIN}/back",)))
        await tx.commit()
    made = await house.send(envelope(recipients=[signer(embedded=True)]))
    answer = await house.tenant.post(
        f"/envelopes/{made['id']}/recipients/{made['recipients'][0]['id']}/signing-url",
        {"return_url": f"{ORIGIN}/back", "origins": [ORIGIN]},
    )
    assert answer.status_code == 201, answer.text
    path = "/sign/" + answer.json()["url"].rpartition("/")[2]
    from tests.engine.signing.house import Browser

    browser = Browser(house, house.world.client(**{"user-agent": AGENT}))
    await browser.start(path)
    page = await browser.look("consent")
    assert f"frame-ancestors {ORIGIN}" in page.headers["content-security-policy"]
    assert "x-frame-options" not in page.headers
    assert (await browser.client.post(path)).status_code == 404  # it opens once
    await browser.consent()
    await browser.sign(browser.field("signature")["id"], await browser.adopt())
    await browser.finish()
    assert f'href="{ORIGIN}/back"' in (await browser.get("done")).text


async def test_part_11_asks_for_a_meaning_and_lets_nobody_stand_in(house: House) -> None:
    from config.settings import SignatureSettings
    from tests.gateway.world import World

    await house.send(envelope())
    services = house.world.services
    settings = msgspec.structs.replace(
        services.settings,
        signature=SignatureSettings(require_part11_signatures=True, require_mfa_for_signatures=False),
    )
    services = dataclasses.replace(
        services, settings=settings, engine=dataclasses.replace(services.engine, settings=settings)
    )
    async with World(services) as strict:
        house.world = strict
        browser = await house.reader(ADA)
        assert "/delegate" not in browser.page
        await browser.sign(browser.field("signature")["id"], await browser.adopt())
        assert "Responsibility" in (await browser.get("review")).text
        refused = await browser.call("POST", "finish", {"intent": True, "idempotency_key": "a-key-of-eight"})
        assert refused.json()["code"] == "meaning_missing"
        assert (await browser.finish(meaning="Approval")).status_code == 303
    assert (await house.recipient(ADA)).meaning == "approval"
