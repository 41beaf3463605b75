"""Whole ceremonies in a real browser against the gateway itself, from the link to the last page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from engine.ceremony.demonstration import word_of
from tests.browser.conftest import FLAGS, SCREENSHOTS, SIZES, find_chromium
from tests.browser.door import open_door
from tests.browser.stage import lease_pdf
from tests.engine.signing.house import House
from tests.gateway.bodies import envelope, inline, signer

ADA = "ada@example.com"
FIELDS = [
    {"type": "text", "page": 1, "x": 110, "y": 268, "label": "Place of birth"},
    {
        "type": "dropdown",
        "page": 1,
        "x": 110,
        "y": 318,
        "label": "Kind of lease",
        "options": ["Flat", "Office"],
    },
    {"type": "checkbox", "page": 1, "x": 72, "y": 372, "label": "I keep a pet", "required": False},
    {"type": "radio", "page": 1, "x": 72, "y": 412, "label": "Monthly", "group": "payment"},
    {"type": "radio", "page": 1, "x": 72, "y": 436, "label": "Quarterly", "group": "payment"},
    {"type": "initials", "page": 2, "x": 480, "y": 760},
    {"type": "signature", "page": 3, "x": 110, "y": 500},
    {"type": "date_signed", "page": 3, "x": 340, "y": 522},
]


@asynccontextmanager
async def visiting(
    house: House, size: str = "desktop", **options: Any
) -> AsyncIterator[tuple[Page, list[str]]]:
    """Ada's browser at her link, and what it complains of."""
    program = find_chromium()
    complaints: list[str] = []
    width, height = SIZES[size]
    async with open_door(house.world) as origin, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        context = await browser.new_context(
            viewport={"width": width, "height": height},
            is_mobile=size == "phone",
            has_touch=size == "phone",
            timezone_id="Europe/Berlin",
            reduced_motion="reduce",
            **options,
        )
        page = await context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda line: line.type == "error" and complaints.append(line.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(origin + await house.link(ADA))
        try:
            yield page, complaints
        finally:
            await browser.close()


async def sent(house: House) -> None:
    await house.send(
        envelope(documents=[inline(lease_pdf(), "Lease.pdf")], recipients=[signer(fields=FIELDS)])
    )


async def consent(page: Page, house: House) -> None:
    await page.get_by_role("button", name="Review and sign").click()
    handle = page.url.split("/sign/s/")[1].split("/")[0]
    await page.get_by_label("The word in the sample").fill(word_of(house.engine, handle))
    await page.get_by_label("I have read the information").check()
    await page.get_by_role("button", name="Agree and go on").click()


async def stored(house: House) -> dict[str, str]:
    return {one.label or one.type.value: one.value for one in (await house.envelope()).fields}


async def test_signer_at_a_desktop_fills_in_signs_and_finishes(house: House) -> None:
    await sent(house)
    async with visiting(house) as (page, complaints):
        await consent(page, house)
        await expect(page.locator(".page[data-drawn=yes]").first).to_be_visible()
        await page.get_by_role("textbox", name="Place of birth").fill("Enugu")
        await page.get_by_role("combobox", name="Kind of lease").select_option("Office")
        paper, step = page.get_by_role("main"), page.locator("#step-control")
        await paper.get_by_role("radio", name="Monthly").check()
        await expect(step.get_by_role("radio", name="Monthly")).to_be_checked()
        await step.get_by_role("radio", name="Quarterly").check()
        await expect(paper.get_by_role("radio", name="Quarterly")).to_be_checked()
        await expect(page.locator("#save-state")).to_have_text("Saved")
        await page.get_by_role("button", name="Next field").click()
        for purpose in ("initials", "signature"):
            act = "Initial" if purpose == "initials" else "Sign"
            await page.locator("#step-control").get_by_role("button", name=act, exact=True).click()
            dialog = page.get_by_role("dialog")
            await expect(dialog).to_be_visible()
            await page.screenshot(path=SCREENSHOTS / f"adopt-{purpose}-desktop.png")
            await dialog.get_by_role("button", name="Use").click()
            await expect(dialog).to_be_hidden()
        await expect(page.locator("#finish")).to_be_focused()
        await page.locator("#finish").click()
        await expect(page.get_by_role("heading", name="One last look")).to_be_visible()
        assert await stored(house) == {
            "Place of birth": "Enugu",
            "Kind of lease": "Office",
            "I keep a pet": "",
            "Monthly": "",
            "Quarterly": "true",
            "initials": "",
            "signature": "",
            "date_signed": "",
        }
        await page.get_by_label("I intend to sign").check()
        await page.get_by_role("button", name="Sign now").click()
        await expect(page.get_by_role("heading", name="Done. Thank you!")).to_be_visible()
        await page.screenshot(path=SCREENSHOTS / "ceremony-done-desktop.png", full_page=True)
        assert complaints == []
    recipient = await house.recipient(ADA)
    assert (recipient.status, recipient.time_zone) == ("completed", "Europe/Berlin")


async def test_signer_on_a_phone_is_led_through_and_draws(house: House) -> None:
    await sent(house)
    async with visiting(house, "phone") as (page, complaints):
        await consent(page, house)
        await expect(page.locator(".page[data-drawn=yes]").first).to_be_visible()
        step, onward = page.locator("#step-control"), page.locator("#step-next")
        await onward.tap()
        await step.get_by_role("textbox").fill("Enugu")
        await onward.tap()
        await step.get_by_role("combobox").select_option("Flat")
        await onward.tap()
        await step.get_by_role("radio", name="Monthly").check()
        await page.screenshot(path=SCREENSHOTS / "ceremony-step-phone.png")
        await onward.tap()
        for act in ("Initial", "Sign"):
            await step.get_by_role("button", name=act, exact=True).tap()
            await page.get_by_role("tab", name="Draw").tap()
            pad = page.locator("#pad")
            box = await pad.bounding_box()
            assert box is not None
            await page.mouse.move(box["x"] + 40, box["y"] + 90)
            await page.mouse.down()
            for at in range(1, 12):
                await page.mouse.move(box["x"] + 40 + at * 20, box["y"] + 90 + (at % 3) * 14 - at * 2)
            await page.mouse.up()
            await page.screenshot(path=SCREENSHOTS / f"adopt-draw-{act.lower()}-phone.png")
            await page.locator("#adopt-use").tap()
            await expect(page.get_by_role("dialog")).to_be_hidden()
        await page.locator("#finish").tap()
        await page.get_by_label("I intend to sign").check()
        await page.get_by_role("button", name="Sign now").tap()
        await expect(page.get_by_role("heading", name="Done. Thank you!")).to_be_visible()
        assert complaints == []
    envelope_now = await house.envelope()
    assert {one.type.value for one in envelope_now.signatures} == {"draw"}
    assert (await house.recipient(ADA)).status == "completed"


async def test_signer_without_scripts_fills_in_one_form_and_finishes(house: House) -> None:
    await sent(house)
    async with visiting(house, java_script_enabled=False) as (page, _):
        await consent(page, house)
        await page.screenshot(path=SCREENSHOTS / "plain-form-desktop.png", full_page=True)
        await page.get_by_role("textbox", name="Place of birth").fill("Enugu")
        await page.get_by_role("combobox", name="Kind of lease").select_option("Flat")
        await page.get_by_role("radio", name="Quarterly").check()
        await page.get_by_label("Your initials").fill("AL")
        await page.get_by_role("button", name="Save and check").click()
        await page.get_by_label("I intend to sign").check()
        await page.get_by_role("button", name="Sign now").click()
        await expect(page.get_by_role("heading", name="Done. Thank you!")).to_be_visible()
    assert (await stored(house))["Quarterly"] == "true"
    assert (await house.recipient(ADA)).status == "completed"


@pytest.mark.parametrize("size", SIZES)
async def test_signer_refuses_with_a_reason(house: House, size: str) -> None:
    await sent(house)
    async with visiting(house, size) as (page, complaints):
        await consent(page, house)
        await page.locator("#menu > summary").click()
        await page.get_by_role("link", name="Refuse to sign").click()
        await page.get_by_label("Your reason").fill("The rent is not what we agreed on.")
        await page.get_by_role("button", name="Refuse").click()
        await expect(page.get_by_role("heading", name="You have refused")).to_be_visible()
        assert complaints == []
    assert (await house.recipient(ADA)).status == "declined"


async def test_signer_takes_the_consent_back_from_the_menu(house: House) -> None:
    await sent(house)
    async with visiting(house) as (page, complaints):
        await consent(page, house)
        await page.locator("#menu > summary").click()
        await page.get_by_text("Withdraw consent").click()
        await page.screenshot(path=SCREENSHOTS / "menu-desktop.png")
        await page.get_by_role("button", name="Take back my agreement").click()
        await expect(page.get_by_role("heading", name="You have not agreed")).to_be_visible()
        assert complaints == []
