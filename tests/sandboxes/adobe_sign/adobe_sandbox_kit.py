"""Starts the sandbox as a process and speaks to it over real HTTP; a receiver for its webhooks."""

import io
import json
import os
import queue
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pikepdf
import pypdfium2

ROOT = Path(__file__).parents[3]
API = "/api/rest/v6"
CLIENT_ID = "sandbox-adobe-client"
WAIT_S = 10.0
# Building one takes longer than a test, and no test uses TLS.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def make_pdf(text: str = "Sign here:", pages: int = 1) -> bytes:
    pdf = pikepdf.Pdf.new()
    for number in range(pages):
        pdf.add_blank_page(page_size=(595, 842))
        page = pdf.pages[number]
        font = pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
        )
        page.obj.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
        page.obj.Contents = pdf.make_stream(f"BT /F1 12 Tf 60 300 Td ({text} {number + 1}) Tj ET".encode())
    out = io.BytesIO()
    pdf.save(out)
    return out.getvalue()


def read_pages(content: bytes) -> list[str]:
    pdf = pypdfium2.PdfDocument(content)
    try:
        return [pdf[number].get_textpage().get_text_bounded() for number in range(len(pdf))]
    finally:
        pdf.close()


class Running:
    """One sandbox process."""

    def __init__(self, *flags: str) -> None:
        command = [sys.executable, "-m", "adapters.adobe_sign.sandbox", "--port", "0", "--json", *flags]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.stderr.read().decode())
        self.ready = json.loads(line)
        self.url = self.ready["url"]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        with self.process:
            _, errors = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, errors.decode()


class Api:
    """A client with a token, and agreements in every state."""

    def __init__(self, running: Running) -> None:
        self.url = running.url
        self.http = httpx.Client(base_url=running.url, timeout=WAIT_S, verify=NO_TLS)
        self.sandbox("POST", "/reset")
        self.token = self.refresh()

    def close(self) -> None:
        self.http.close()

    def refresh(self, refresh_token: str = "sandbox-adobe-refresh") -> str:
        answer = self.oauth("refresh", refresh_token=refresh_token, grant_type="refresh_token")
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def oauth(self, name: str, **form: str) -> httpx.Response:
        known = {"client_id": CLIENT_ID, "client_secret": "sandbox-adobe-secret"}
        return self.http.post(f"/oauth/v2/{name}", data=known | form)

    def call(self, method: str, path: str, body: object = None, **more: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {more.pop('token', self.token)}", **more.pop("headers", {})}
        content = more.pop("content", None)
        if body is not None:
            content = json.dumps(body).encode()
        if content is not None:
            headers = {"Content-Type": "application/json", **headers}
        return self.http.request(method, f"{API}{path}", content=content, headers=headers, **more)

    def get(self, path: str, **more: object) -> dict:
        answer = self.call("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def etag(self, path: str) -> str:
        return self.call("GET", path).headers["etag"]

    def put(self, path: str, body: object, etag_of: str, **headers: str) -> httpx.Response:
        return self.call("PUT", path, body, headers={"If-Match": self.etag(etag_of), **headers})

    def sandbox(self, method: str, path: str, body: object = None, expect: int = 200) -> object:
        answer = self.http.request(
            method, f"/sandbox{path}", content=None if body is None else json.dumps(body)
        )
        assert answer.status_code == expect, answer.text
        return answer.json()

    def options(self, **changes: object) -> None:
        self.sandbox("PATCH", "/options", changes)

    def fault(self, kind: str, operation: str = "", **match: object) -> None:
        self.sandbox("POST", "/faults", {"kind": kind, "match": {"operation": operation, **match}}, 201)

    def advance(self, seconds: float) -> None:
        self.sandbox("POST", "/clock", {"advance_seconds": seconds})

    def act(self, agreement_id: str, action: str, expect: int = 200, **more: object) -> dict:
        return self.sandbox("POST", f"/agreements/{agreement_id}/actions", {"action": action, **more}, expect)

    def upload(
        self, content: bytes | None = None, name: str = "a.pdf", mime_type: str = "application/pdf"
    ) -> str:
        files = {"File": (name, content or make_pdf(), mime_type)}
        answer = self.call(
            "POST", "/transientDocuments", data={"File-Name": name, "Mime-Type": mime_type}, files=files
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["transientDocumentId"]

    def body(self, **changes: object) -> dict:
        body = {
            "name": "Agreement",
            "state": "IN_PROCESS",
            "signatureType": "ESIGN",
            "participantSetsInfo": [signer("ada@example.com")],
        }
        if "fileInfos" not in changes:
            body["fileInfos"] = [{"transientDocumentId": self.upload()}]
        return body | changes

    def create(self, **changes: object) -> str:
        answer = self.call("POST", "/agreements", self.body(**changes))
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def processing(self) -> str:
        self.options(processing_s=60)
        return self.create()

    def signed(self, **changes: object) -> str:
        agreement_id = self.create(**changes)
        self.act(agreement_id, "sign_all")
        return agreement_id

    def cancelled(self) -> str:
        agreement_id = self.create()
        self.act(agreement_id, "decline")
        return agreement_id

    def status(self, agreement_id: str) -> str:
        return self.get(f"/agreements/{agreement_id}")["status"]

    def sets(self, agreement_id: str) -> list[dict]:
        return self.get(f"/agreements/{agreement_id}/members")["participantSets"]

    def types(self, agreement_id: str) -> list[str]:
        return [event["type"] for event in self.get(f"/agreements/{agreement_id}/events")["events"]]


def signer(email: str, order: int | None = 1, role: str = "SIGNER", **more: object) -> dict:
    security = more.pop("security", {"authenticationMethod": "NONE"})
    info = {"role": role, "memberInfos": [{"email": email, "securityOption": security}], **more}
    return info if order is None else info | {"order": order}


def wait_until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not claim():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.01)


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A sandbox that is stopped, or has waited long enough, hangs up; that is no fault of the receiver."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Receiver:
    """A webhook listener; `answer` decides what each POST gets: (status, headers, body)."""

    def __init__(self) -> None:
        self.messages: queue.Queue[dict] = queue.Queue()
        self.gets: list[dict[str, str]] = []
        self.echo_in_header = True
        self.verify_status = 200
        self.statuses: list[int] = []
        self.hang = threading.Event()
        self.hanging = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if receiver.hanging:
                    receiver.hang.wait(WAIT_S)
                receiver.gets.append(dict(self.headers))
                self._answer(receiver.verify_status)

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                message = json.loads(content)
                receiver.messages.put(
                    {"headers": dict(self.headers), "body": message, "status": status, "bytes": content}
                )
                self._answer(status)

            def _answer(self, status: int) -> None:
                client_id = self.headers.get("X-AdobeSign-ClientId", "")
                body = (
                    b"{}"
                    if receiver.echo_in_header
                    else json.dumps({"xAdobeSignClientId": client_id}).encode()
                )
                self.send_response(200 if status == 299 else status)
                if receiver.echo_in_header and status != 299:  # 299: a 200 that does not echo
                    self.send_header("X-AdobeSign-ClientId", client_id)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(b"{}" if status == 299 else body)

            def log_message(self, *args: object) -> None:
                return

        self._handler = Handler
        self._server: QuietServer | None = None

    @property
    def url(self) -> str:
        """Where it listens; it starts to when first asked."""
        if self._server is None:
            self._server = QuietServer(("127.0.0.1", 0), self._handler)
            self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
            self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}/hooks"

    def close(self) -> None:
        self.hang.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def take(self, count: int) -> list[dict]:
        return [self.messages.get(timeout=WAIT_S) for _ in range(count)]

    def take_until(self, event: str) -> list[dict]:
        taken = []
        while not taken or taken[-1]["body"]["event"] != event:
            taken.extend(self.take(1))
        return taken


def webhook_body(url: str, **changes: object) -> dict:
    return {
        "name": "gateway",
        "scope": "ACCOUNT",
        "state": "ACTIVE",
        "webhookSubscriptionEvents": ["AGREEMENT_ALL"],
        "webhookUrlInfo": {"url": url},
    } | changes
