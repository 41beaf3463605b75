"""The webhook portal in a browser, against a gateway, a deliverer and a receiver: desktop, phone, frame, no scripts."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from aiohttp import web
from playwright.async_api import Page, expect

from config.settings import GeneralSettings
from tests.browser.conftest import SCREENSHOTS
from tests.browser.door import open_door
from tests.browser.portal_stage import Stage, check_page, look_at, quick_settings, shoot, stage_of
from tests.browser.test_embedded_ceremony import _STRICT as STRICT
from tests.browser.test_embedded_ceremony import browsing, serving_frames
from tests.engine.notify.servers import make_certificate, server_context
from tests.gateway.bodies import envelope
from tests.gateway.portal_visitor import allow_origins, portal_link
from tests.gateway.world import make_settings, open_world
from tests.webhooks.outbound.receiver import Received, accept

PHONE = {
    "viewport": {"width": 375, "height": 812},
    "is_mobile": True,
    "has_touch": True,
    "device_scale_factor": 2,
}
DESKTOP = {"viewport": {"width": 1280, "height": 860}, "permissions": ["clipboard-read", "clipboard-write"]}


@pytest_asyncio.fixture
async def stage(store: Any, redis_url: Any, gateway_folder: Path) -> AsyncIterator[Stage]:
    async with stage_of(quick_settings(store, redis_url, gateway_folder)) as made:
        yield made


async def thank(request: web.Request, received: Received) -> web.StreamResponse:
    return web.json_response({"stored": True, "as": received.headers["webhook-id"]})


async def fail(request: web.Request, received: Received) -> web.StreamResponse:
    return web.Response(status=503, text="archive is being moved; try again")


async def add_endpoint(page: Page, url: str, name: str = "") -> None:
    await page.get_by_role("link", name="Add an endpoint").click()
    await page.get_by_label("Address", exact=True).fill(url)
    await page.get_by_label("Description").fill("Archive of signed contracts")
    await page.get_by_role("radio", name="Short").check()
    if name:
        await look_at(page, f"form-{name}")
    await page.get_by_role("button", name="Add the endpoint").click()
    await expect(page.get_by_text("shown this once and never again")).to_be_visible()


async def visit_every_page(stage: Stage, page: Page, size: str) -> None:
    base = "/".join(page.url.split("/")[:6])
    endpoint = (await stage.tenant.get("/webhooks")).json()[0]["id"]
    for name, path in (
        ("endpoints", "/endpoints"),
        ("endpoint", f"/endpoints/{endpoint}"),
        ("settings", f"/endpoints/{endpoint}/settings"),
        ("keys", f"/endpoints/{endpoint}/secret"),
        ("disable", f"/endpoints/{endpoint}/disable"),
        ("deliveries", "/deliveries?state=any"),
        ("replays", "/replays"),
        ("replay-form", "/replays/new"),
        ("events", "/events"),
        ("event", "/events/envelope.completed"),
        ("verify", "/verify"),
    ):
        await page.goto(base + path)
        await look_at(page, f"{name}-{size}", only_colours=size == "desktop")  # the phone's visit asks all


async def test_tenant_adds_an_endpoint_tests_it_and_mends_what_did_not_arrive(stage: Stage) -> None:
    complaints: list[str] = []
    stage.receiver.answer = thank
    async with browsing(**DESKTOP) as context:
        page = await context.new_page()
        page.on("console", lambda line: line.type in {"error", "warning"} and complaints.append(line.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await stage.open(page)
        await look_at(page, "empty-desktop")
        await add_endpoint(page, stage.receiver.url, "desktop")
        await look_at(page, "secret-desktop")
        await page.locator(".panel--secret .copy").first.click()
        assert (await page.evaluate("navigator.clipboard.readText()")).startswith("whsec_")
        await page.get_by_role("link", name="I have copied it").click()
        await page.get_by_role("button", name="Send a test event").click()
        # The page says so by itself: nobody reloads it.
        await expect(page.get_by_text("It has arrived.")).to_be_visible()
        (received,) = stage.receiver.requests
        assert (
            await page.locator("section", has=page.get_by_role("heading", name="Body"))
            .locator("code")
            .inner_text()
            == received.body.decode()
        )
        await expect(page.get_by_text('{"stored": true')).to_be_visible()
        await page.reload()
        await look_at(page, "delivered-desktop")
        await _break_and_mend(stage, page)
        await _replay_the_rest(stage, page)
        await _check_signature(page, received)
        await visit_every_page(stage, page, "desktop")
    assert complaints == []


async def _break_and_mend(stage: Stage, page: Page) -> None:
    stage.receiver.answer = fail
    made = await stage.tenant.made(envelope(send=True))
    await page.get_by_role("link", name="Deliveries", exact=True).first.click()
    await page.get_by_role("button", name="Refresh automatically").click()
    await expect(page.locator("tbody .badge", has_text="Given up").first).to_be_visible()
    await look_at(page, "undelivered-desktop")
    await page.get_by_label("Envelope").fill(made["id"])
    await page.get_by_role("button", name="Show").click()
    await page.locator("a.rows__main", has_text="envelope.created").first.click()
    await expect(page.get_by_text("archive is being moved").first).to_be_visible()
    await look_at(page, "given-up-desktop")
    stage.receiver.answer = accept
    await page.get_by_role("button", name="Send again").click()
    await expect(page.get_by_text("It has arrived.")).to_be_visible()


async def _replay_the_rest(stage: Stage, page: Page) -> None:
    await page.get_by_role("link", name="Replays").first.click()
    await look_at(page, "no-replays-desktop")
    await page.get_by_role("link", name="New replay").click()
    await page.get_by_role("button", name="Count", exact=True).click()
    await expect(page.get_by_role("heading", name="Deliveries that would be sent again: 1")).to_be_visible()
    await look_at(page, "counted-desktop")
    await page.get_by_role("button", name="Send again: 1").click()
    await expect(page.get_by_text("0 of 1 taken back")).to_be_visible()
    await stage.world.services.replay_runner.run_due()
    # The page tells by itself how far it is.
    await expect(page.get_by_text("1 of 1 taken back")).to_be_visible()
    await expect(page.locator("dl.figures dd").first).to_have_text("1")
    await look_at(page, "replay-desktop")


async def _check_signature(page: Page, received: Received) -> None:
    await page.get_by_role("link", name="Check a signature").first.click()
    headers = "\n".join(f"{name}: {value}" for name, value in received.headers.items())
    await page.get_by_label("Headers").fill(headers)
    await page.get_by_label("Raw body").fill(received.body.decode())
    await page.get_by_role("button", name="Check", exact=True).click()
    await expect(page.get_by_text("The signature holds.")).to_be_visible()
    await look_at(page, "holds-desktop")
    await page.get_by_label("Raw body").fill(received.body.decode().replace("test", "best"))
    await page.get_by_role("button", name="Check", exact=True).click()
    await expect(page.get_by_text("The signature does not hold.")).to_be_visible()


async def test_portal_fits_a_phone_in_the_dark_and_in_german(stage: Stage) -> None:
    async with browsing(**PHONE, color_scheme="dark") as context:
        page = await context.new_page()
        await page.goto(stage.door + await _link(stage))
        await look_at(page, "start-phone")
        await page.get_by_role("button").click()
        await look_at(page, "empty-phone")
        await add_endpoint(page, stage.receiver.url, "phone")
        await page.get_by_role("link", name="I have copied it").click()
        await page.get_by_role("button", name="Send a test event").click()
        await expect(page.get_by_text("It has arrived.")).to_be_visible()
        await look_at(page, "delivered-phone")
        await page.get_by_role("button", name="Deutsch").click()
        await expect(page.get_by_text("Sie ist angekommen.")).to_be_visible()
        await visit_every_page(stage, page, "phone")
        await page.get_by_role("button", name="Verlassen").click()
        await check_page(page)


async def test_portal_is_used_by_keyboard_alone(stage: Stage) -> None:
    async with browsing(**DESKTOP) as context:
        page = await context.new_page()
        await page.goto(stage.door + await _link(stage))
        await page.keyboard.press("Tab")  # the way past what comes first
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/endpoints")
        await _tab_to(page, "Add an endpoint")
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert outline == "3px"
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/endpoints/new")
        await _tab_to(page, "Address")
        await page.keyboard.type("http://10.0.0.1/")
        await page.keyboard.press("Enter")
        # What went wrong is announced, and has the focus.
        await expect(page.get_by_role("alert")).to_be_focused()
        await expect(page.get_by_label("Address", exact=True)).to_have_attribute("aria-invalid", "true")
        await look_at(page, "refused-desktop")


async def test_portal_works_without_scripts(stage: Stage) -> None:
    async with browsing(**DESKTOP, java_script_enabled=False) as context:
        page = await context.new_page()
        await stage.open(page)
        await add_endpoint(page, stage.receiver.url)
        assert await page.locator(".copy").count() == 0
        await page.get_by_role("link", name="I have copied it").click()
        await page.get_by_role("button", name="Send a test event").click()
        # The browser itself loads the page again until there is nothing to wait for.
        await expect(page.get_by_text("It has arrived.")).to_be_visible(timeout=15_000)
        await expect(page.locator("meta[http-equiv=refresh]")).to_have_count(0)
        await shoot(page, "without-scripts-desktop")


async def _link(stage: Stage) -> str:
    return await portal_link(stage.tenant)


async def _tab_to(page: Page, name: str) -> None:
    for _ in range(40):
        await page.keyboard.press("Tab")
        text = await page.evaluate(
            "(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()"
        )
        if text == name:
            return
    raise AssertionError(f"the Tab key does not lead to {name}")


async def test_portal_in_a_frame_of_an_allowed_site_keeps_its_session_there(
    store: Any, redis_url: Any, gateway_folder: Path, tmp_path: Path
) -> None:
    general = GeneralSettings(
        data_dir=gateway_folder,
        blob_url="memory://",
        loopback_allow_list=("localhost:*", "127.0.0.1:*"),
        public_base_url="https://hooks.example",
    )
    settings, tls = make_settings(store, redis_url, gateway_folder, countersign=general), _tls(tmp_path)
    async with (
        open_world(settings) as world,
        open_door(world, tls) as door,
        serving_frames(tls) as owner,
        serving_frames(tls) as stranger,
        browsing(flags=STRICT, ignore_https_errors=True) as context,
    ):
        tenant = await world.tenant("Acme")
        await allow_origins(world, tenant, owner)
        link = door + await portal_link(tenant, embed_origins=[owner])
        page = await context.new_page()
        async with page.expect_console_message(lambda said: f"frame-ancestors {owner}" in said.text):
            await page.goto(f"{stranger}/?show={link}")
        await page.goto(f"{owner}/?show={link}")
        frame = page.frames[1]
        await frame.get_by_role("button", name="Open the portal").click()
        await expect(frame.get_by_role("heading", name="Receive your first event")).to_be_visible()
        await frame.get_by_role("button", name="Deutsch").click()
        await expect(frame.get_by_role("heading", name="Endpunkte", level=1)).to_be_visible()
        await page.screenshot(path=SCREENSHOTS / "portal-embedded-desktop.png")
        (cookie,) = [one for one in await context.cookies() if one["name"].startswith("__Host-portal-")]
        assert (cookie["sameSite"], cookie["secure"], cookie["httpOnly"]) == ("None", True, True)
        assert cookie["partitionKey"] == "https://localhost"


def _tls(folder: Path) -> ssl.SSLContext:
    return server_context(make_certificate(folder))
