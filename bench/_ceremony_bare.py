"""What bench/ceremony compares with: the same bytes from bare Litestar routes, a form that writes one row, and the
page that a person would write around pdf.js. No session, no checks, no evidence.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
from litestar import Litestar, Request, Response, get, post
from litestar.params import FromPath

_PDFJS = Path("engine/ceremony/pages/static/vendor/pdfjs").absolute()
_SCRIPT = "text/javascript"
_PAGE = b"""<!DOCTYPE html><html><head><link rel="stylesheet" href="/view.css">
<script type="module" src="/view.js"></script></head><body><div id="page"><canvas></canvas>
<div class="textLayer"></div></div></body></html>"""
_STYLE = b".textLayer{position:absolute;inset:0;opacity:0} .textLayer span{position:absolute;white-space:pre}"
_VIEW = b"""import * as pdfjs from "/pdfjs/pdf.min.mjs";
pdfjs.GlobalWorkerOptions.workerSrc = "/pdfjs/pdf.worker.min.mjs";
const pdf = await pdfjs.getDocument({url: "/document.pdf", useWasm: false, isEvalSupported: false}).promise;
const page = await pdf.getPage(1), viewport = page.getViewport({scale: 1.5});
const holder = document.getElementById("page"), canvas = holder.querySelector("canvas");
canvas.width = viewport.width; canvas.height = viewport.height;
await page.render({canvas, viewport}).promise;
const container = holder.querySelector(".textLayer");
await new pdfjs.TextLayer({textContentSource: await page.getTextContent(), container, viewport}).render();
holder.dataset.drawn = "yes"; holder.className = "page";
"""


@cache
def _given(variable: str) -> bytes:
    return Path(os.environ[variable]).read_bytes()


@get("/document", sync_to_thread=False)
def document() -> Response[bytes]:
    return Response(_given("BENCH_PAGE"), media_type="text/html; charset=utf-8")


@get("/document.pdf", sync_to_thread=False)
def pdf() -> Response[bytes]:
    return Response(_given("BENCH_PDF"), media_type="application/pdf")


@get("/view", sync_to_thread=False)
def view() -> Response[bytes]:
    return Response(_PAGE, media_type="text/html; charset=utf-8")


@get("/view.js", sync_to_thread=False)
def script() -> Response[bytes]:
    return Response(_VIEW, media_type=_SCRIPT)


@get("/view.css", sync_to_thread=False)
def style() -> Response[bytes]:
    return Response(_STYLE, media_type="text/css")


@get("/pdfjs/{name:str}", sync_to_thread=False)
def vendored(name: FromPath[str]) -> Response[bytes]:
    return Response((_PDFJS / name).read_bytes(), media_type=_SCRIPT)


@post("/finish")
async def finish(request: Request[Any, Any, Any]) -> Response[bytes]:
    """One row, committed."""
    form = await request.form()
    await request.app.state.pool.execute(
        "INSERT INTO bench_finished (key, intent) VALUES ($1, $2)", form["idempotency_key"], form["intent"]
    )
    return Response(b"", status_code=303, headers={"location": "/document"})


@asynccontextmanager
async def _pool(app: Litestar) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_OWNER_URL"], min_size=1, max_size=4) as pool:
        await pool.execute("CREATE TABLE IF NOT EXISTS bench_finished (key text, intent text)")
        app.state.pool = pool
        yield


def build() -> Litestar:
    routes = [document, pdf, view, script, style, vendored, finish]
    return Litestar(routes, openapi_config=None, logging_config=None, lifespan=[_pool])
