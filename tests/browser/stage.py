"""A small server for the pages: the templates' samples under /page/<name>, with a session's routes behind them.

It stands in for the gateway where only the pages are looked at, with the gateway's own headers. It keeps the
fields' values, so that saving, refusals and a lost connection can be played.
"""

import io
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import msgspec
from PIL import Image, ImageDraw
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from engine.ceremony.pages.assets import PREFIX, find_asset
from engine.ceremony.render import render
from gateway.http.sign.answers import page_headers
from tests.engine.pages.samples import BASE, FIELDS, PAGES


@dataclass
class Played:
    """What the page has sent, and how the server is to behave."""

    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)  # statuses for the next saves, before they work again

    def reset(self) -> None:
        self.requests.clear()
        self.answers.clear()
        self.fields = {one.id: msgspec.to_builtins(one) for one in FIELDS}

    def sent(self, method: str, path: str) -> list[Any]:
        return [
            body for its_method, its_path, body in self.requests if (its_method, its_path) == (method, path)
        ]


class Stage:
    """`origin` is where the pages are; `played` what they did."""

    def __init__(self) -> None:
        self.played = Played()
        self.played.reset()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.played))
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def lease_pdf() -> bytes:
    """Three pages of a lease, with room where the samples have their fields."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4)
    _, height = A4
    for page in range(1, 4):
        canvas.setFont("Times-Bold", 18)
        canvas.drawString(72, height - 90, "LEASE AGREEMENT" if page == 1 else f"Section {page + 2}")
        canvas.setFont("Times-Roman", 11)
        for line in range(8):
            canvas.drawString(
                72,
                height - 130 - line * 15,
                "The landlord lets the premises at Harbour Street 12 to the tenant.",
            )
        captions = {
            1: ((72, 262, "Born in"), (72, 312, "Kind"), (94, 383, "I keep a pet"), (94, 423, "I pay monthly"),
                (94, 447, "I pay every three months")),
            2: ((420, 775, "Initials"),),
            3: ((72, 495, "Signed"), (300, 495, "Date"), (72, 595, "ID")),
        }  # fmt: skip
        for x, y, text in captions[page]:
            canvas.drawString(x, height - y, text)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def _picture(text: str, size: tuple[int, int], ink: str) -> bytes:
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    ImageDraw.Draw(image).text((6, size[1] // 4), text, fill=ink, font_size=size[1] // 2)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


_PDF = lease_pdf()
LOGO = _picture("nordwind", (360, 72), "#0b6e4f")
_SIGNATURE = _picture("Adaeze Okafor", (480, 120), "#101a3a")


def _handler(played: Played) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path.startswith("/page/"):
                self._answer(
                    200, render(PAGES[path.removeprefix("/page/")]).encode(), "text/html; charset=utf-8"
                )
            elif path.startswith(f"{PREFIX}/"):
                asset = find_asset(path.removeprefix(f"{PREFIX}/"))
                if asset is None:
                    self._answer(404, b"", "text/plain")
                else:
                    self._answer(200, asset.body, asset.media_type)
            elif path == f"{BASE}/review":
                self._answer(200, render(PAGES["review"]).encode(), "text/html; charset=utf-8")
            elif path.endswith(".pdf"):
                self._answer(200, _PDF, "application/pdf")
            elif path == "/frame":
                self._frame("own" if self.path.endswith("own") else "other")
            elif path == "/embedded":
                self._embedded("own" if self.path.endswith("own") else "other")
            elif path == "/favicon.ico":
                self._answer(204, b"", "image/x-icon")
            elif path == "/sign/brand/sample":
                self._answer(200, LOGO, "image/png")
            elif "/signatures/" in path:
                self._answer(200, _SIGNATURE, "image/png")
            else:
                self._answer(404, b"", "text/plain")

        def do_PUT(self) -> None:
            self._change()

        def do_POST(self) -> None:
            self._change()

        def do_DELETE(self) -> None:
            self._change()

        def _change(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            is_json = "json" in (self.headers.get("content-type") or "")
            body = json.loads(raw) if is_json and raw else raw
            played.requests.append((self.command, self.path, body))
            status, answer = _play(played, self.command, self.path, body, self.headers.get("if-match"))
            self._answer(status, json.dumps(answer).encode(), "application/json")

        def _frame(self, to: str) -> None:
            """A page of another origin (localhost) with ours in a frame; it keeps what it is told."""
            port = self.server.server_address[1]
            page = (
                "<script>window.told = []; window.addEventListener('message', (event) =>"
                " window.told.push([event.origin, event.data]))</script>"
                f"<iframe src='http://127.0.0.1:{port}/embedded?to={to}' onload='window.framed = true'></iframe>"
            )
            self._answer(200, page.encode(), "text/html; charset=utf-8", {})

        def _embedded(self, to: str) -> None:
            """Framed by localhost either way; its session knows localhost, or somebody else."""
            owner = f"http://localhost:{self.server.server_address[1]}"
            origins = (owner,) if to == "own" else ("http://localhost:9",)
            page = PAGES["done-finished"]
            shell = msgspec.structs.replace(page.shell, embedded=True, origins=origins)
            self._answer(200, render(msgspec.structs.replace(page, shell=shell)).encode(), "text/html", {})

        def _answer(
            self, status: int, body: bytes, media_type: str, headers: Mapping[str, str] | None = None
        ) -> None:
            self.send_response(status)
            for name, value in (page_headers(None) if headers is None else headers).items():
                if name != "content-security-policy" or "html" in media_type:
                    self.send_header(name, value)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    return Handler


def _play(played: Played, method: str, path: str, body: Any, version: str | None) -> tuple[int, Any]:
    """As the gateway answers; a save may be told to fail first."""
    parts = path.split("/")
    if path == f"{BASE}/signatures":
        picture = f"{BASE}/signatures/s1.png"
        return 201, {
            "id": "s1",
            "purpose": body["purpose"],
            "type": body["type"],
            "picture_url": picture,
            "text": "",
        }
    if path.startswith(f"{BASE}/fields/"):
        if played.answers:
            return played.answers.pop(0), {"code": "field_number", "detail": "refused"}
        stored = played.fields[parts[5]]
        if version != f'"{stored["version"]}"':
            return 412, {"code": "field_changed"}
        stored["version"] += 1
        stored["is_done"] = True
        if parts[-1] == "signature":
            stored["picture_url"] = f"{BASE}/signatures/s1.png"
        elif parts[-1] == "attachment":
            stored["attachment_name"] = "id.png"
        else:
            stored["value"] = body["value"]
            stored["is_done"] = body["value"] != ""
        return 200, stored
    if path.startswith("/prepare/"):
        if method == "DELETE":
            return 200, None
        return (201 if method == "POST" else 200), {
            "id": parts[-1] if method == "PUT" else f"n{len(played.requests)}",
            **body,
        }
    return 200, {}
