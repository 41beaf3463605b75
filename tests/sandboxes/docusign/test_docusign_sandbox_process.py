"""The sandbox as a process: ready line, restart with state, ports, end."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sandbox_docusign_kit import ROOT, Receiver, Sandbox, definition, notification


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def start(folder: Path) -> Iterator[object]:
    running: list[Sandbox] = []

    def begin(*arguments: str) -> Sandbox:
        running.append(Sandbox("--state-dir", str(folder), *arguments))
        return running[-1]

    yield begin
    for sandbox in running:
        if sandbox.process.poll() is None:
            sandbox.process.kill()
        sandbox.process.communicate()
        sandbox.http.close()


def test_restart_keeps_envelopes_documents_keys_and_tokens_also_after_a_kill(start: object) -> None:
    before = start()
    envelope_id = before.create()
    before.act(envelope_id, "1", "view")
    token, pdf = before.token, before.api("GET", f"/envelopes/{envelope_id}/documents/1").content
    before.process.kill()
    before.process.wait()
    after = start()
    after._token = token
    assert after.get(envelope_id)["status"] == "delivered"
    assert after.api("GET", f"/envelopes/{envelope_id}/documents/1").content == pdf
    assert after.credentials["private_key_pem"] == before.credentials["private_key_pem"]
    assert after.credentials["webhook_secrets"] == before.credentials["webhook_secrets"]
    assert Path(after.credentials["private_key_path"]).stat().st_mode & 0o077 == 0
    assert after.act(envelope_id, "1", "sign").json()["status"] == "completed"
    assert after.stop() == 0


def test_undelivered_webhook_is_delivered_after_a_restart(start: object, receiver: Receiver) -> None:
    receiver.statuses = [500]
    arguments = ("--webhook-allow", "127.0.0.1", "--retry-schedule", "600")
    before = start(*arguments)
    before.create(eventNotification=notification(receiver.url, "envelope-sent"))
    receiver.next()
    assert before.stop() == 0
    start(*arguments)
    assert receiver.next()["event"] == "envelope-sent"


def test_ready_line_names_everything_that_a_connection_needs(start: object) -> None:
    sandbox = start("--hmac-key", "one", "--hmac-key", "two")
    assert sandbox.ready["name"] == "docusign"
    wanted = {"integration_key", "user_id", "account_id", "private_key_pem", "oauth_host", "oauth_url"}
    assert wanted <= set(sandbox.credentials)
    assert sandbox.credentials["webhook_secrets"] == ["one", "two"]
    assert f"http://{sandbox.credentials['oauth_host']}" == sandbox.url


def test_webhook_to_loopback_without_the_allow_list_is_refused_like_any_plain_address(start: object) -> None:
    hook = notification("http://127.0.0.1:9/hook", "envelope-sent")
    answer = start().api("POST", "/envelopes", definition(eventNotification=hook))
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "INVALID_REQUEST_PARAMETER")


def test_port_that_is_taken_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "adapters.docusign.sandbox", "--port", port]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("docusign sandbox:")
    assert "Traceback" not in ended.stderr


def test_snapshot_is_one_json_file_without_document_bytes(start: object, folder: Path) -> None:
    sandbox = start()
    sandbox.create()
    shown = json.loads((folder / "state.json").read_text())
    assert len(shown["envelopes"]) == 1
    assert len(list((folder / "blobs").iterdir())) == 1


def test_documentation_names_every_option_fault_and_switch() -> None:
    page = (ROOT / "docs" / "sandbox-docusign.md").read_text(encoding="utf-8")
    folder = ROOT / "adapters" / "docusign" / "sandbox"
    options = re.findall(r'"(--[a-z-]+)"', (folder / "__main__.py").read_text(encoding="utf-8"))
    faults = re.findall(r'= "([a-z0-9_]+)"', (folder / "faults.py").read_text(encoding="utf-8"))
    switches = re.findall(r"(\w+): \w+ \| None = None", (folder / "control.py").read_text(encoding="utf-8"))
    assert len(options) > 10
    assert len(faults) > 10
    assert len(switches) == 5
    assert [name for name in (*options, *faults, *switches) if f"`{name}`" not in page] == []


def test_answer_that_a_fault_holds_back_does_not_hold_the_end(start: object) -> None:
    sandbox = start()
    token = sandbox.token
    sandbox.fault("timeout_after_accept", match="templates.list", seconds=600)
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=20) as waiting:
        head = f"GET {sandbox.base}/templates HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        waiting.sendall(head.encode())
        while sandbox.control("GET", "/faults").json()["faults"]:
            time.sleep(0.02)
        assert sandbox.stop() == 0


def test_a_sandbox_that_ended_with_a_client_connected_starts_again_on_its_port() -> None:
    first = Sandbox()
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{first.url}/sandbox/health").status_code == 200
        first.stop()  # the server closes first: its port stays in TIME_WAIT
        second = Sandbox("--port", first.url.rpartition(":")[2])
        try:
            assert second.url == first.url
        finally:
            second.stop()
