"""The public page on which a file is checked, in a browser against the gateway: what it says, in both languages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from config.settings_verification import VerificationSettings
from engine.development.authority_keys import open_authority
from tests.browser.conftest import SCREENSHOTS
from tests.browser.door import open_door
from tests.browser.stage import lease_pdf
from tests.browser.test_embedded_ceremony import browsing
from tests.gateway.world import make_settings, open_world
from tests.verification import papers

VERDICTS = {
    "own": "verdict--warning",  # of a development authority
    "altered": "verdict--bad",
    "stranger": "verdict--warning",
    "unsigned": "verdict--unknown",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
def files(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """Made outside of the tests' event loops: sealing has its own."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    own = papers.seal_paper(open_authority(folder / "authority"), tmp_path_factory.mktemp("own"))
    return {
        "own": own,
        "altered": papers.overlay(own),
        "stranger": papers.seal_paper(open_authority(elsewhere / "authority"), elsewhere),
        "unsigned": lease_pdf(),
    }


@pytest.mark.parametrize(("language", "names"), [("en", tuple(VERDICTS)), ("de", ("altered",))])
async def test_anybody_checks_files_on_a_phone_and_reads_the_verdict(
    store: Any, redis_url: Any, folder: Path, files: Mapping[str, bytes], language: str, names: Sequence[str]
) -> None:
    settings = make_settings(
        store, redis_url, folder, verification=VerificationSettings(public_per_minute=100)
    )
    size = {"width": 390, "height": 844}
    async with (
        open_world(settings) as world,
        open_door(world) as door,
        browsing(locale=language, viewport=size) as context,
    ):
        page = await context.new_page()
        for name in names:
            await page.goto(f"{door}/verify")
            await page.locator("input[type=file]").set_input_files(
                {"name": "Lease.pdf", "mimeType": "application/pdf", "buffer": files[name]}
            )
            await page.locator("form[enctype] button").click()
            await expect(page.locator(f".{VERDICTS[name]} .verdict__word")).to_be_visible()
            assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            await page.screenshot(path=SCREENSHOTS / f"verify-{name}-{language}-phone.png", full_page=True)
        await page.goto(f"{door}/verify/ABCDEFGHJK")
        await expect(page.get_by_role("alert")).to_be_visible()
        await page.screenshot(path=SCREENSHOTS / f"verify-no-code-{language}-phone.png", full_page=True)
