"""A gateway with its deliverer, a real receiver, and a tenant whose portal is opened in a browser."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Page

from config.settings import DeliverySettings, Settings
from config.settings_signing import SigningSettings
from gateway.deliverer import run as run_deliverer
from tests.browser.conftest import _AXE, SCREENSHOTS
from tests.browser.door import open_door
from tests.gateway.fake_provider import FakeProvider
from tests.gateway.portal_visitor import portal_link
from tests.gateway.world import Tenant, World, make_settings, open_world
from tests.webhooks.outbound.receiver import Receiver, serve

# Given up within a moment, so that a test sees it.
QUICK = DeliverySettings(default_schedule_delays_s=(0.05, 0.05, 0.05), sweep_every_s=0.2)
OFTEN = SigningSettings(visits_per_minute=100_000, visits_burst=100_000)


@dataclass
class Stage:
    world: World
    tenant: Tenant
    receiver: Receiver
    door: str

    async def open(self, page: Page, **wanted: Any) -> None:
        """To the endpoints, as a person gets there."""
        await page.goto(self.door + await portal_link(self.tenant, **wanted))
        await page.get_by_role("button").click()
        await page.wait_for_url("**/endpoints")


@asynccontextmanager
async def stage_of(settings: Settings) -> AsyncIterator[Stage]:
    stop = asyncio.Event()
    async with open_world(settings, FakeProvider("alpha")) as world, serve() as receiver:
        deliverer = asyncio.create_task(run_deliverer(settings, stop=stop))
        tenant = await world.tenant("Nordwind Properties")
        await tenant.route(await tenant.connect("alpha"))
        try:
            async with open_door(world) as door:
                yield Stage(world, tenant, receiver, door)
        finally:
            stop.set()
            with suppress(asyncio.CancelledError):
                await deliverer


def quick_settings(store: Any, redis_url: Any, folder: Any) -> Settings:
    return make_settings(store, redis_url, folder, delivery=QUICK, signing=OFTEN)


async def shoot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"portal-{name}.png", full_page=True, animations="disabled")


WHOLE = "'wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'"


async def check_page(page: Page, *, only_colours: bool = False) -> None:
    """Nothing is wider than the screen, one main heading, and axe finds nothing serious: of everything, or of what
    another width and other colours may spoil.
    """
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert await page.evaluate("document.documentElement.scrollWidth") <= width, page.url
    assert await page.locator("h1").count() == 1, page.url
    await page.evaluate(_AXE.read_text(encoding="utf-8") + ";undefined")
    asked = "{type: 'rule', values: ['color-contrast', 'target-size']}" if only_colours else f"[{WHOLE}]"
    found = await page.evaluate(
        "async () => (await axe.run(document, {preload: false, resultTypes: ['violations'],"
        f" runOnly: {asked}}})).violations.flatMap(v => v.nodes.map("
        "n => v.impact + ' ' + v.id + ': ' + n.target.join(' ') + ' ' + n.failureSummary))"
    )
    serious = [one for one in found if one.startswith(("serious", "critical"))]
    assert serious == [], (page.url, serious)


async def look_at(page: Page, name: str, *, only_colours: bool = False) -> None:
    await check_page(page, only_colours=only_colours)
    await shoot(page, name)
