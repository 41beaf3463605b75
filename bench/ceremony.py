"""The signing ceremony as a signer waits for it: the first view of a 20-page document, and finishing.

By HTTP: the document's page and its PDF, and the form that finishes, one after the other in as many sessions;
compared with bare routes that answer the same bytes, and with one that writes a single row. In a browser (where
Chromium and playwright are): from the navigation to the first page drawn with its text, in a profile of its own
each time; compared with the page that one would write around pdf.js, same document, same browser. Bare and real
alternate. What is measured for the gateway includes the evidence: that the document was shown is kept.
"""

import asyncio
import contextlib
import io
import shutil
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from bench.inbound import CALLER, start_server
from bench.kit import median_ratio, report, settings_on, start_stores
from config.embedded import EmbeddedStores
from config.settings import Settings
from engine.ceremony.demonstration import word_of
from engine.ceremony.links import make_link
from engine.store import lock_envelope
from gateway.cli.demo.forms import Reader
from gateway.composition import open_services
from gateway.services import Services
from gateway.tenants.connections import ConnectionInput, create_connection
from gateway.tenants.issue_keys import KeyInput, issue_key
from gateway.tenants.scopes import TENANT_SCOPES
from normalizer.ids import Kind, read_id

PAGES, SESSIONS, VIEWS = 20, 60, 7
TARGET = 0.5
AGENT = "bench"
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_DRAWN = "document.querySelector('.page[data-drawn=yes] .textLayer span') ? performance.now() : 0"


class Place(msgspec.Struct, frozen=True):
    """Where the two servers are, and what makes envelopes and links."""

    services: Services
    tenant_id: UUID
    gateway: str
    bare: str
    api: httpx.AsyncClient


class Figures(msgspec.Struct):
    """Milliseconds, in the order of the sessions; `spent` are round trips of SQL by what they were for."""

    view: list[float] = []
    bare_view: list[float] = []
    finish: list[float] = []
    bare_finish: list[float] = []
    browser: list[float] = []
    bare_browser: list[float] = []
    spent: dict[str, list[float]] = {}


def main() -> int:
    with start_stores(valkey=True) as stores:
        return asyncio.run(_measure(stores, settings_on(stores)))


async def _measure(stores: EmbeddedStores, settings: Settings) -> int:
    figures = Figures()
    folder = settings.countersign.data_dir
    (folder / "paper.pdf").write_bytes(_paper())
    environment = {
        "DATABASE_URL": stores.database_url.reveal(),
        "DATABASE_HUB_URL": stores.database_hub_url.reveal(),
        "DATABASE_OWNER_URL": stores.database_owner_url.reveal(),
        "REDIS_URL": stores.redis_url.reveal(),
        "COUNTERSIGN_DATA_DIR": str(folder),
        "SIGNATURE_REQUIRE_MFA_FOR_SIGNATURES": "false",
        "COUNTERSIGN_SIGNING_VISITS_PER_MINUTE": "1000000",
        "COUNTERSIGN_SIGNING_VISITS_BURST": "1000000",
        "COUNTERSIGN_LIMIT_REQUESTS_PER_MINUTE": "1000000",
        "COUNTERSIGN_LIMIT_REQUESTS_BURST": "1000000",
        "BENCH_PAGE": str(folder / "page.html"),
        "BENCH_PDF": str(folder / "paper.pdf"),
    }
    async with open_services(settings, name="bench") as services:
        tenant_id, key = await _tenant(services)
        with (
            start_server("bench._gateways:real", environment) as gateway,
            start_server("bench._ceremony_bare:build", environment) as bare,
        ):
            async with httpx.AsyncClient(
                base_url=gateway.url, headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=60
            ) as api:
                place = Place(services, tenant_id, gateway.url, bare.url, api)
                await _until_answers(api, f"{gateway.url}/health")
                await _until_answers(api, f"{bare.url}/view")
                await _by_http(place, folder, figures)
                no_browser = await _in_browser(place, figures)
    return _report(figures, no_browser)


async def _by_http(place: Place, folder: Path, figures: Figures) -> None:
    links = await _links(place, SESSIONS + 2)
    async with _client(place.bare) as plain:
        for number, link in enumerate(links):
            async with _client(place.gateway) as client:
                reader = Reader(client)
                document = await _consent(place, reader, link)
                if number == 0:
                    (folder / "page.html").write_text((await client.get(document)).text, encoding="utf-8")
                    continue  # the first two warm up: a page's first drawing compiles its template

                taken = await _timed(place, "view", figures, _look, client, document, f"{document}s/1.pdf")
                bare = await _timed(place, "", figures, _look, plain, "/document", "/document.pdf")
                await reader.open(document)
                await reader.send("save", signature_text="Ada Lovelace", then="review")
                url, form = reader.form("finish", intent="yes")
                done = await _timed(place, "finish", figures, _post, client, url, form)
                written = await _timed(place, "", figures, _post, plain, "/finish", form)
                if number > 1:
                    figures.view.append(taken)
                    figures.bare_view.append(bare)
                    figures.finish.append(done)
                    figures.bare_finish.append(written)


async def _in_browser(place: Place, figures: Figures) -> str:
    """Why there are no figures of a browser; empty when there are."""
    try:
        from playwright.async_api import Error, async_playwright
    except ImportError:
        return "playwright is not installed"
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    links = await _links(place, VIEWS + 1)
    async with contextlib.AsyncExitStack() as stack:
        try:
            playwright = await stack.enter_async_context(async_playwright())
            browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        except Error as error:
            return str(error).splitlines()[0]
        stack.push_async_callback(browser.close)
        for number, link in enumerate(links):
            async with _client(place.gateway) as client:
                document = await _consent(place, Reader(client), link)
                cookies = [(one.name, one.value or "") for one in client.cookies.jar]
            taken = await _first_page(browser, document, cookies)
            bare = await _first_page(browser, f"{place.bare}/view", [])
            if number:
                figures.browser.append(taken)
                figures.bare_browser.append(bare)
    return ""


async def _first_page(browser: Any, url: str, cookies: list[tuple[str, str]]) -> float:
    """Milliseconds from the navigation to a page that is drawn and whose text can be selected."""
    context = await browser.new_context(user_agent=AGENT, viewport={"width": 1280, "height": 800})
    try:
        await context.add_cookies([{"name": name, "value": value, "url": url} for name, value in cookies])
        page = await context.new_page()
        await page.goto(url, wait_until="commit")
        ends = time.monotonic() + 60
        while not (taken := await page.evaluate(_DRAWN)):
            if time.monotonic() > ends:
                raise TimeoutError(f"no page was drawn at {url.rpartition('/')[2]}")
            await asyncio.sleep(0.005)
        return float(taken)
    finally:
        await context.close()


async def _consent(place: Place, reader: Reader, link: str) -> str:
    """From the link to the document, whose address this is."""
    await reader.open(link)
    await reader.send(link.rpartition("/")[2])
    handle = reader.url.rsplit("/", 2)[-2]
    word = word_of(place.services.engine, handle)
    await reader.send("consent", demonstration=word, agree="yes")
    reader.must_end_at("document")
    return reader.url


async def _timed(
    place: Place, name: str, figures: Figures, work: Callable[..., Awaitable[None]], *given: object
) -> float:
    """Milliseconds; what it spent of SQL is noted under `name`, if any."""
    before = await _spent(place) if name else {}
    began = time.perf_counter()
    await work(*given)
    taken = (time.perf_counter() - began) * 1000
    if name:
        after = await _spent(place)
        for counted in ("statements", "round_trips"):
            figures.spent.setdefault(f"{name}_{counted}", []).append(after[counted] - before[counted])
    return taken


async def _spent(place: Place) -> dict[str, float]:
    spent: dict[str, float] = (await place.api.get("/spent")).json()
    return spent


async def _look(client: httpx.AsyncClient, page: str, paper: str) -> None:
    (await client.get(page)).raise_for_status()
    (await client.get(paper)).raise_for_status()


async def _post(client: httpx.AsyncClient, url: str, form: dict[str, str]) -> None:
    answer = await client.post(url, data=form, follow_redirects=False)
    if answer.status_code != 303:
        raise RuntimeError(f"the form was answered {answer.status_code}: {answer.text[:300]}")


async def _links(place: Place, number: int) -> list[str]:
    """As many envelopes of one signer, sent, each with a fresh link."""
    pdf = {"content-type": "application/pdf"}
    links = []
    for one in range(number):
        uploaded = await place.api.post(
            "/api/v1/signatures/documents", params={"name": "paper.pdf"}, content=_paper(), headers=pdf
        )
        field = {"type": "signature", "page": 20, "x": 100, "y": 600}
        body = {
            "name": f"Paper {one}",
            "send": True,
            "documents": [{"document_id": uploaded.json()["id"]}],
            "recipients": [{"name": "Ada Lovelace", "email": "ada@example.com", "fields": [field]}],
        }
        made = await place.api.post("/api/v1/signatures/envelopes", json=body)
        made.raise_for_status()
        links.append(await _link(place, read_id(Kind.ENVELOPE, made.json()["id"])))
    return links


async def _link(place: Place, envelope_id: UUID) -> str:
    engine = place.services.engine
    ref = await place.services.hub.fetchval("SELECT provider_ref FROM envelopes WHERE id = $1", envelope_id)
    async with engine.database.transaction(place.tenant_id) as tx:
        envelope = await lock_envelope(tx, place.tenant_id, UUID(ref))
        url = await make_link(engine, tx, envelope, envelope.recipients[0])
        await tx.commit()
    return f"{place.gateway}/sign/{url.rpartition('/')[2]}"


async def _tenant(services: Services) -> tuple[UUID, str]:
    tenant_id = services.ids.new()
    await services.hub.execute("INSERT INTO tenants (id, name) VALUES ($1, 'bench')", tenant_id)
    await create_connection(services, CALLER, tenant_id, ConnectionInput(provider="internal", credentials={}))
    given = KeyInput(label="bench", scopes=tuple(str(scope) for scope in TENANT_SCOPES))
    return tenant_id, (await issue_key(services, CALLER, tenant_id, given)).secret.reveal()


@contextlib.asynccontextmanager
async def _client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=url, trust_env=False, timeout=60, follow_redirects=True, headers={"user-agent": AGENT}
    ) as client:
        yield client


async def _until_answers(client: httpx.AsyncClient, url: str) -> None:
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError):
            await client.get(url)
            return
        await asyncio.sleep(0.05)
    raise TimeoutError("a server did not start")


def _paper() -> bytes:
    """Twenty pages of text, the same bytes every time."""
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4, invariant=True)
    for page in range(1, PAGES + 1):
        canvas.setFont("Times-Roman", 11)
        for line in range(45):
            canvas.drawString(72, 770 - line * 15, f"{page}.{line} The parties agree on what this line says.")
        canvas.showPage()
    canvas.save()
    return target.getvalue()


def _report(figures: Figures, no_browser: str) -> int:
    raw: dict[str, object] = {"pages": PAGES, "sessions": len(figures.view)}
    ratios: dict[str, float] = {}
    for name in ("browser", "view", "finish"):
        ours, bare = getattr(figures, name), getattr(figures, f"bare_{name}")
        if not ours:
            continue
        ratios[name] = median_ratio(bare, ours)
        raw[f"{name}_ratio"] = round(ratios[name], 3)
        for kind, values in (("", ours), ("bare_", bare)):
            raw[f"{kind}{name}_p50_ms"] = round(statistics.median(values), 1)
            raw[f"{kind}{name}_p95_ms"] = round(sorted(values)[int(len(values) * 0.95)], 1)
    for name, values in figures.spent.items():
        raw[name] = statistics.median(values)
    raw["browser"] = no_browser or "chromium"
    ratio = ratios.get("browser", ratios["view"])
    # Without a browser nothing is judged: the routes' share of what a signer waits for is small.
    return report("ceremony", ratio=ratio, target=TARGET, raw=raw, ok=None if "browser" in ratios else True)


if __name__ == "__main__":
    sys.exit(main())
