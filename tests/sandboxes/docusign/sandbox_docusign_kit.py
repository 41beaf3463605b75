"""Starts the DocuSign sandbox as a process and talks real HTTP to it; builders for bodies and a webhook receiver."""

import base64
import io
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pikepdf
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

ROOT = Path(__file__).resolve().parents[3]
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def blank_pdf(pages: int = 1, size: tuple[int, int] = (612, 792), rotate: int = 0) -> bytes:
    with pikepdf.new() as document:
        for _ in range(pages):
            page = document.add_blank_page(page_size=size)
            if rotate:
                page.obj["/Rotate"] = rotate
        out = io.BytesIO()
        document.save(out)
        return out.getvalue()


def text_pdf(text: str) -> bytes:
    """One Letter page with a text at (100, 400) from the lower left corner."""
    with pikepdf.new() as document:
        page = document.add_blank_page(page_size=(612, 792))
        font = pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
        )
        page.obj["/Resources"] = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
        page.contents_add(document.make_stream(f"BT /F1 12 Tf 100 400 Td ({text}) Tj ET".encode()))
        out = io.BytesIO()
        document.save(out)
        return out.getvalue()


def document(document_id: str = "1", content: bytes | None = None, **more: object) -> dict:
    encoded = base64.b64encode(content if content is not None else blank_pdf()).decode()
    shown = {"documentId": document_id, "name": f"doc{document_id}.pdf", "documentBase64": encoded, **more}
    return {key: value for key, value in shown.items() if value is not None}


def signer(recipient_id: str = "1", order: str = "1", **more: object) -> dict:
    sign_here = {"documentId": "1", "pageNumber": "1", "xPosition": "100", "yPosition": "600"}
    shown = {
        "recipientId": recipient_id,
        "routingOrder": order,
        "name": f"Signer {recipient_id}",
        "email": f"signer{recipient_id}@example.com",
        "tabs": {"signHereTabs": [sign_here]},
        **more,
    }
    return {key: value for key, value in shown.items() if value is not None}


def definition(**more: object) -> dict:
    shown = {
        "status": "sent",
        "emailSubject": "Please sign",
        "documents": [document()],
        "recipients": {"signers": [signer()]},
        **more,
    }
    return {key: value for key, value in shown.items() if value is not None}


def notification(url: str, *events: str, **more: object) -> dict:
    return {
        "url": url,
        "requireAcknowledgment": "true",
        "loggingEnabled": "true",
        "includeHMAC": "true",
        "deliveryMode": "SIM",
        "events": list(events),
        "eventData": {
            "version": "restv2.1",
            "format": "json",
            "includeData": ["custom_fields", "recipients"],
        },
        **more,
    }


class Sandbox:
    """A running sandbox process."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "adapters.docusign.sandbox", "--json", *arguments]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.communicate()[1])
        self.ready = json.loads(line)
        self.url = self.ready["url"]
        self.credentials = self.ready["credentials"]
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.base = f"/restapi/v2.1/accounts/{self.credentials['account_id']}"
        self._token = ""

    def stop(self) -> int:
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        _out, err = self.process.communicate(timeout=20)
        assert (self.process.returncode, err) == (0, ""), err
        return self.process.returncode

    def assertion(self, *, key: str | None = None, alg: str = "RS256", **claims: object) -> str:
        now = int(time.time())
        body = {
            "iss": self.credentials["integration_key"],
            "sub": self.credentials["user_id"],
            "aud": self.credentials["oauth_host"],
            "iat": now,
            "exp": now + 600,
            "scope": "signature impersonation",
            **claims,
        }
        parts = [
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
            for part in ({"alg": alg, "typ": "JWT"}, body)
        ]
        pem = (key or self.credentials["private_key_pem"]).encode()
        private = serialization.load_pem_private_key(pem, password=None)
        signature = private.sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
        return ".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=").decode()])

    def ask_token(self, assertion: str | None = None, grant: str = GRANT) -> httpx.Response:
        form = {"grant_type": grant, "assertion": assertion if assertion is not None else self.assertion()}
        return self.http.post("/oauth/token", data=form)

    @property
    def token(self) -> str:
        if not self._token:
            self._token = self.ask_token().raise_for_status().json()["access_token"]
        return self._token

    def forget_token(self) -> None:
        self._token = ""

    def api(self, method: str, path: str, body: object = None, **more: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        if body is not None:
            more["json"] = body
        return self.http.request(method, self.base + path, headers=headers, **more)

    def create(self, **more: object) -> str:
        answer = self.api("POST", "/envelopes", definition(**more))
        assert answer.status_code == 201, answer.text
        return answer.json()["envelopeId"]

    def get(self, envelope_id: str, include: str = "recipients") -> dict:
        answer = self.api("GET", f"/envelopes/{envelope_id}?include={include}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def act(self, envelope_id: str, recipient_id: str, action: str, **body: object) -> httpx.Response:
        return self.http.post(
            f"/sandbox/envelopes/{envelope_id}/recipients/{recipient_id}/{action}", json=body
        )

    def control(self, method: str, path: str, **body: object) -> httpx.Response:
        return self.http.request(method, f"/sandbox{path}", json=body)

    def fault(self, kind: str, **more: object) -> None:
        assert self.control("POST", "/faults", kind=kind, **more).status_code == 201


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A sandbox that is stopped, or has waited long enough, hangs up; that is no fault of the receiver."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Receiver:
    """Collects what is posted to it; answers with `statuses` in turn, then 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.posts: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posts.put(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    @staticmethod
    def decode(body: bytes) -> dict:
        return json.loads(body)

    def next(self, timeout: float = 20) -> dict:
        return self.decode(self.next_raw(timeout)[1])

    def next_raw(self, timeout: float = 20) -> tuple[dict[str, str], bytes]:
        return self.posts.get(timeout=timeout)

    def take(self, count: int) -> list[dict]:
        return [self.next() for _ in range(count)]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
