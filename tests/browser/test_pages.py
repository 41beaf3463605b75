"""Every page and state, on a desktop and on a phone: no barrier, no complaint of the browser, nothing cut off."""

import pytest

from tests.browser.conftest import Look
from tests.engine.pages.samples import PAGES

# Wide layouts that a phone does not have; every other page is the phone's, wider.
WIDE = (
    "landing",
    "consent",
    "signing",
    "signing-empty",
    "review",
    "done-completed",
    "verify-good",
    "prepare",
)


@pytest.mark.parametrize("name", PAGES)
def test_page_on_a_phone_has_no_barrier_and_no_complaint_and_flows(look: Look, name: str):
    sight = look.at(name, "phone")
    sight.shoot(f"{name}-phone", full=not name.startswith(("signing", "prepare")))
    assert sight.barriers() == []
    assert sight.complaints == []
    sight.page.set_viewport_size({"width": 320, "height": 640})
    assert sight.page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("name", WIDE)
def test_page_on_a_desktop_has_no_barrier_and_no_complaint(look: Look, name: str):
    sight = look.at(name)
    sight.shoot(f"{name}-desktop", full=not name.startswith(("signing", "prepare")))
    assert sight.barriers() == []
    assert sight.complaints == []


@pytest.mark.parametrize("name", ["review", "done-completed"])
def test_page_prints_without_what_is_only_for_the_screen(look: Look, name: str):
    sight = look.at(name)
    sight.page.emulate_media(media="print")
    sight.shoot(f"{name}-print", full=True)
    hidden = sight.page.locator(".actions, .skip, .steps")
    assert not any(hidden.nth(at).is_visible() for at in range(hidden.count()))
    sight.page.emulate_media(media="screen")
