"""A Chromium, the stage, and pages of two sizes that note what the browser complains of.

Where there is no Chromium these tests are reported by name as not run. The browser lives for one module and no
longer: while it does, its event loop runs in this thread, where other modules' tests need their own.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.stage import Stage
from tests.engine.signing.conftest import house  # noqa: F401 - a fixture of this folder too

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
_AXE = Path(__file__).with_name("vendor") / "axe.min.js"


def find_chromium() -> str:
    """Skips the test where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("not run: there is no Chromium on this machine")
    return program


@dataclass
class Sight:
    """A page, and what the browser had to say against it."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on(
            "console",
            lambda message: message.type in {"error", "warning"} and self.complaints.append(message.text),
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: dialog.accept())

    def shoot(self, name: str, *, full: bool = False) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=full, animations="disabled")

    def barriers(self) -> list[str]:
        """What axe finds serious or critical. It runs beside the page's policy, through the debugger.

        A field is as large as its place on the paper: the bar below has the same control in full size (2.5.8,
        "equivalent").
        """
        self.page.evaluate(_AXE.read_text(encoding="utf-8") + ";undefined")
        found = self.page.evaluate(
            "async () => (await axe.run(document, {preload: false, resultTypes: ['violations'], runOnly: ['wcag2a',"
            " 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})).violations.flatMap(v => v.nodes"
            ".filter(n => !(v.id === 'target-size' && document.querySelector(n.target[0])?.closest('.fields')))"
            ".map(n => [v.impact, v.id, n.target.join(' ') + ' ' + n.failureSummary]))"
        )
        return [
            f"{impact} {rule}: {where}" for impact, rule, where in found if impact in {"serious", "critical"}
        ]

    def until(self, script: str, wanted: object = True, *, seconds: float = 15) -> None:
        """Polls: the pages' policy forbids what wait_for_function does."""
        value = None
        for _ in range(int(seconds * 20)):
            value = self.page.evaluate(script)
            if value == wanted:
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{script} is {value!r}, not {wanted!r}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), headless=True, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    running = Stage()
    yield running
    running.close()


@pytest.fixture(scope="module")
def contexts(chromium: Browser) -> Iterator[dict[str, BrowserContext]]:
    made = {
        name: chromium.new_context(
            viewport={"width": width, "height": height},
            has_touch=name == "phone",
            is_mobile=name == "phone",
            device_scale_factor=2 if name == "phone" else 1,
            locale="en-GB",
            timezone_id="Europe/Berlin",
            reduced_motion="reduce",
        )
        for name, (width, height) in SIZES.items()
    }
    yield made
    for context in made.values():
        context.close()


@pytest.fixture(scope="module")
def sights(contexts: dict[str, BrowserContext]) -> dict[str, Sight]:
    """One page per size, led from sample to sample: opening pages is what takes the time."""
    made = {}
    for size, context in contexts.items():
        sight = made[size] = Sight(context.new_page())
        sight.listen()
    return made


@pytest.fixture
def look(sights: dict[str, Sight], stage: Stage) -> "Look":
    stage.played.reset()
    return Look(sights, stage)


class Look:
    """Leads to the stage's pages."""

    def __init__(self, sights: dict[str, Sight], stage: Stage) -> None:
        self._sights = sights
        self.stage = stage

    def at(self, name: str, size: str = "desktop") -> Sight:
        """The sample, drawn whole."""
        sight = self._sights[size]
        width, height = SIZES[size]
        sight.page.set_viewport_size({"width": width, "height": height})
        sight.page.goto("about:blank")
        sight.complaints.clear()
        sight.page.goto(f"{self.stage.origin}/page/{name}")
        if sight.page.locator(".page").count():
            sight.until("document.querySelector('.page').dataset.drawn === 'yes'")
        return sight
