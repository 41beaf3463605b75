"""A signer in a real browser: Chromium, led through the ceremony's own pages with their scripts.

Playwright is a development dependency and imported only here, when it is asked for. Must never fail for the want
of it or of a Chromium: the demo then goes by forms, and says so.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from gateway.cli.demo.forms import read_word
from gateway.cli.demo.mailbox import Mailbox
from gateway.cli.demo.people import Signer
from gateway.cli.demo.timeline import DemoFailed

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Locator, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_PATIENCE_MS = 45_000
_STROKES = ((40, 90), (70, 40), (95, 100), (120, 50), (150, 95), (190, 60), (230, 85))


class NoBrowser(Exception):
    """There is none here; the text says what is missing."""


@asynccontextmanager
async def open_browser(folder: Path) -> AsyncIterator["InBrowser"]:
    """Raises NoBrowser before anything was done. Pictures of the last pages go into `folder`."""
    try:
        from playwright.async_api import Error, async_playwright
    except ImportError as error:
        raise NoBrowser("the package playwright is not installed") from error
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    async with AsyncExitStack() as stack:
        try:
            playwright = await stack.enter_async_context(async_playwright())
            # Chromium puts a socket into its temporary folder, and a socket's path has at most 107 bytes.
            short = stack.enter_context(tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp"))
            environment: dict[str, str | float | bool] = {"PATH": os.defpath, "HOME": short, "TMPDIR": short}
            browser = await playwright.chromium.launch(
                executable_path=program, args=list(_FLAGS), env=environment
            )
        except (Error, OSError) as error:
            raise NoBrowser(f"no Chromium starts ({str(error).strip().splitlines()[0]})") from error
        stack.push_async_callback(browser.close)
        yield InBrowser(browser, folder)


class InBrowser:
    name = "browser"

    def __init__(self, browser: "Browser", folder: Path) -> None:
        self._browser = browser
        self._folder = folder

    async def sign(self, link: str, signer: Signer, mailbox: Mailbox) -> None:
        """From the link to the last page. Raises DemoFailed with what the page said."""
        from playwright.async_api import Error

        context = await self._browser.new_context(viewport={"width": 1280, "height": 800})
        page = await context.new_page()
        page.set_default_timeout(_PATIENCE_MS)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        try:
            answer = await page.goto(link)
            if answer is None or not answer.ok:
                raise DemoFailed(f"the link in the mail to {signer.name} answers {await _words(page)!r}")
            await page.locator("main form button").click()
            await _prove(page, signer, mailbox)
            await _consent(page, context)
            await _adopt(page, signer)
            await page.locator("#finish").click()
            await page.locator("#finish-form input[name=intent]").check()
            await page.screenshot(path=self._folder / f"ceremony-{signer.first_name.lower()}.png")
            await page.locator("#finish-form #finish").click()
            await page.wait_for_url("**/done")
        except Error as error:
            raise DemoFailed(
                f"{signer.name}'s browser: {str(error)[:500]}; it shows {await _words(page)!r}"
            ) from error
        finally:
            await context.close()
        if complaints:
            raise DemoFailed(f"{signer.name}'s browser complains: {complaints[0][:500]}")


async def _prove(page: "Page", signer: Signer, mailbox: Mailbox) -> None:
    """The mailed code is asked for by a button; an access code is known."""
    send, answer = page.locator("form[action$='/authenticate/send'] button"), page.locator("#answer")
    await send.or_(answer).first.wait_for()
    if await answer.count():
        await answer.fill(signer.access_code)
    else:
        await send.click()
        await answer.fill(await mailbox.code())
    await page.locator("form[action$='/authenticate'] button").click()


async def _consent(page: "Page", context: "BrowserContext") -> None:
    link = page.locator("a[href$='sample.pdf']")
    address = await link.get_attribute("href")
    sample = await context.request.get(urljoin(page.url, address or ""))
    await page.locator("#demonstration").fill(read_word(await sample.body()))
    await page.locator("input[name=agree]").check()
    await page.locator("form[action$='/consent'] button").click()


async def _adopt(page: "Page", signer: Signer) -> None:
    """Led to the one field by the stepper, the signature is typed or drawn in the dialog."""
    await page.locator(".page[data-drawn=yes]").first.wait_for()
    await page.locator("#step-next").click()
    await page.locator("#step-control button").click()
    dialog = page.locator("#adopt")
    await dialog.wait_for()
    if signer.draws:
        await page.locator("#tab-draw").click()
        await _draw(page, page.locator("#pad"))
    await page.locator("#adopt-use").click()
    await dialog.wait_for(state="hidden")


async def _draw(page: "Page", pad: "Locator") -> None:
    """The pad takes strokes once it has its own size; a canvas is 300 wide before."""
    while await pad.evaluate("pad => pad.width") == 300:
        await page.wait_for_timeout(20)
    box = await pad.bounding_box()
    if box is None:
        raise DemoFailed("there is no place to draw on")
    (x, y), *others = _STROKES
    await page.mouse.move(box["x"] + x, box["y"] + y)
    await page.mouse.down()
    for x, y in others:
        await page.mouse.move(box["x"] + x, box["y"] + y, steps=4)
    await page.mouse.up()


async def _words(page: "Page") -> str:
    return " ".join((await page.locator("body").inner_text(timeout=1000)).split())[:300]
