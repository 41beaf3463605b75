"""The ceremony in a frame of another site, and the page for placing fields: both in a browser, against the gateway."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_asyncio
from aiohttp import web
from playwright.async_api import BrowserContext, Frame, Page, async_playwright, expect

from config.settings import GeneralSettings, SignatureSettings
from config.settings_signing import SigningSettings
from engine.ceremony.demonstration import word_of
from tests.browser.conftest import FLAGS, SCREENSHOTS, find_chromium
from tests.browser.door import open_door
from tests.browser.stage import lease_pdf
from tests.engine.notify.servers import make_certificate, server_context
from tests.engine.signing.house import House, open_house
from tests.gateway.bodies import envelope, inline, signer
from tests.gateway.world import ADMIN, make_settings, open_world

# Chromium's own switch for a browser that keeps no cookie for a third party, unless it is partitioned.
_STRICT = (*FLAGS, "--test-third-party-cookie-phaseout")
_FRAME_PAGE = """<!doctype html><title>Case 7</title><style>body{font-family:sans-serif;margin:16px}iframe{width:100%%;
height:640px;border:1px solid #999}</style><h1>Case 7</h1><iframe title="Signing" src="%s"></iframe><script>
window.told = []; addEventListener('message', (event) => window.told.push([event.origin, event.data]))</script>"""


@pytest_asyncio.fixture
async def secure_house(store: Any, redis_url: Any, gateway_folder: Path) -> AsyncIterator[House]:
    """A house that believes itself behind https: its cookies are those of a real installation."""
    general = GeneralSettings(
        data_dir=gateway_folder,
        blob_url="memory://",
        loopback_allow_list=("localhost:*",),
        public_base_url="https://sign.example",
    )
    settings = make_settings(
        store,
        redis_url,
        gateway_folder,
        countersign=general,
        signature=SignatureSettings(require_mfa_for_signatures=False),
        signing=SigningSettings(visits_per_minute=100_000, visits_burst=100_000),
    )
    async with open_world(settings) as world, open_house(world) as made:
        yield made


@asynccontextmanager
async def serving_frames(tls: ssl.SSLContext) -> AsyncIterator[str]:
    """The origin of a document system that frames whatever ?show= names. For a browser localhost is another site
    than 127.0.0.1.
    """

    async def show(request: web.Request) -> web.Response:
        return web.Response(
            text=_FRAME_PAGE % request.query.get("show", "about:blank"), content_type="text/html"
        )

    app = web.Application()
    app.router.add_get("/", show)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"https://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def browsing(*, flags: tuple[str, ...] = FLAGS, **options: Any) -> AsyncIterator[BrowserContext]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=list(flags))
        context = await browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"} | options
        )
        context.set_default_timeout(20_000)
        try:
            yield context
        finally:
            await browser.close()


async def allow(house: House, origin: str) -> None:
    administrator = await house.world.administrator()
    lists = {"origins": [origin], "return_urls": [f"{origin}/back"]}
    answer = await administrator.put(f"{ADMIN}/tenants/{house.tenant.printed}/embedding", json=lists)
    assert answer.status_code == 200, answer.text


async def embedded_link(house: House, door: str, origin: str) -> str:
    own = f"/envelopes/{house.made['id']}/recipients/{house.made['recipients'][0]['id']}/signing-url"
    made = await house.tenant.made({"return_url": f"{origin}/back", "origins": [origin]}, own)
    return door + "/sign/" + str(made["url"]).rpartition("/")[2]


def framed(page: Page) -> Frame:
    return page.frames[1]


async def sign_in_frame(page: Page, house: House) -> None:
    frame = framed(page)
    await frame.get_by_role("button", name="Review and sign").click()
    await expect(frame.get_by_label("The word in the sample")).to_be_visible()
    handle = frame.url.split("/sign/s/")[1].split("/")[0]
    await frame.get_by_label("The word in the sample").fill(word_of(house.engine, handle))
    await frame.get_by_label("I have read the information").check()
    await frame.get_by_role("button", name="Agree and go on").click()
    await expect(frame.locator(".page[data-drawn=yes]").first).to_be_visible()
    step = frame.locator("#step-control")
    await frame.locator("#step-next").click()
    await step.locator("input[type=file]").set_input_files(
        {"name": "Identity card.pdf", "mimeType": "application/pdf", "buffer": lease_pdf()}
    )
    await expect(frame.locator("#announce")).to_contain_text("Identity card.pdf is attached")
    await expect(step).to_have_text("Identity card.pdfChange")
    await page.screenshot(path=SCREENSHOTS / "embedded-attached-desktop.png")
    await frame.locator("#step-next").click()
    await step.get_by_role("button", name="Sign", exact=True).click()
    await frame.get_by_role("dialog").get_by_role("button", name="Use").click()
    await frame.locator("#finish").click()
    await expect(frame.get_by_text("Identity card.pdf")).to_be_visible()
    await frame.get_by_label("I intend to sign").check()
    await frame.get_by_role("button", name="Sign now").click()
    await expect(frame.get_by_role("heading", name="Done. Thank you!")).to_be_visible()


async def test_signer_in_a_frame_of_another_site_attaches_signs_and_its_owner_is_told(
    secure_house: House, tmp_path: Path
) -> None:
    house, tls = secure_house, server_context(make_certificate(tmp_path))
    fields = [
        {"type": "attachment", "page": 1, "x": 110, "y": 268, "label": "Your identity card"},
        {"type": "signature", "page": 1, "x": 110, "y": 500},
    ]
    person = signer(fields=fields, embedded=True)
    await house.send(envelope(documents=[inline(lease_pdf(), "Lease.pdf")], recipients=[person]))
    async with (
        open_door(house.world, tls) as door,
        serving_frames(tls) as owner,
        serving_frames(tls) as stranger,
        browsing(flags=_STRICT, ignore_https_errors=True) as context,
    ):
        await allow(house, owner)
        link = await embedded_link(house, door, owner)
        page = await context.new_page()
        async with page.expect_console_message(lambda said: f"frame-ancestors {owner}" in said.text):
            await page.goto(f"{stranger}/?show={link}")
        await page.goto(f"{owner}/?show={link}")
        await sign_in_frame(page, house)
        told = await page.evaluate("window.told")
        await page.screenshot(path=SCREENSHOTS / "embedded-done-desktop.png")
        assert {origin for origin, _ in told} == {door}
        assert [said["event"] for _, said in told][-1] == "finished"
        assert all(said["source"] == "countersign" for _, said in told)
        (cookie,) = [one for one in await context.cookies() if one["name"].startswith("__Host-sign-")]
        assert (cookie["sameSite"], cookie["secure"], cookie["httpOnly"]) == ("None", True, True)
        assert cookie["partitionKey"] == "https://localhost"
        await page.goto(link)
        await expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()
    assert (await house.recipient("ada@example.com")).status == "completed"


async def test_person_places_a_field_on_a_draft_and_it_is_the_drafts(house: House) -> None:
    made = await house.tenant.made(envelope(documents=[inline(lease_pdf(), "Lease.pdf")]))
    back = "https://dms.example/drafts/1"
    url = (await house.tenant.made({"return_url": back}, f"/envelopes/{made['id']}/prepare-url"))["url"]
    complaints: list[str] = []
    async with open_door(house.world) as door, browsing() as context:
        page = await context.new_page()
        page.on("console", lambda line: line.type == "error" and complaints.append(line.text))
        await page.goto(door + "/prepare/" + url.rpartition("/")[2])
        await page.get_by_role("button", name="Open the document").click()
        await expect(page.locator(".page[data-drawn=yes]").first).to_be_visible()
        paper = page.locator("#page-1-1")
        async with page.expect_response(lambda answer: answer.request.method == "POST") as adding:
            await page.get_by_role("button", name="Text", exact=True).drag_to(
                paper, target_position={"x": 300, "y": 400}
            )
        assert (await adding.value).status == 201
        await page.get_by_label("Label").fill("Cost centre")
        async with page.expect_response(lambda answer: answer.request.method == "PUT") as changing:
            await page.get_by_label("Label").blur()
        assert (await changing.value).status == 200
        await page.screenshot(path=SCREENSHOTS / "prepare-gateway-desktop.png")
        assert complaints == []
    fields = (await house.tenant.get(f"/envelopes/{made['id']}")).json()["fields"]
    assert {(one["type"], one["label"]) for one in fields} == {("signature", ""), ("text", "Cost centre")}
