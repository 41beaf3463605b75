"""README's snippets run as they stand: against `countersign up`, with really signed deliveries."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from config.clock import SystemClock
from tests.house.tree import ROOT
from webhooks.outbound.sign import KeyRing, SignatureProfile, SigningKeys, make_secret, sign

README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPET = re.compile(r"<!-- test: (?P<name>\w+) -->\n```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)
COUNTERSIGN = Path(sys.executable).with_name("countersign")


def test_every_snippet_that_can_run_is_marked_for_a_test():
    runnable = re.findall(r"^```(?:sh|bash|python)$", README, re.MULTILINE)
    assert len(runnable) == len(list(SNIPPET.finditer(README))) >= 7


def test_verification_of_the_readme_accepts_what_we_sign_and_nothing_else():
    names: dict[str, Any] = {}
    exec(_snippet("verify"), names)
    secret, body = make_secret(), b'{"type":"envelope.completed","data":{"name":"\xc3\xa9"}}'
    headers = sign(
        KeyRing(SigningKeys(secret)),
        SignatureProfile.BOTH,
        message="evt_01",
        type_="envelope.completed",
        body=body,
        now=SystemClock().now(),
    )
    for verify in (names["verify_standard"], names["verify_design"]):
        assert verify(secret.reveal(), headers, body)
        assert not verify(secret.reveal(), headers, body + b" ")
        assert not verify(make_secret().reveal(), headers, body)
        old = {**headers, "webhook-timestamp": "1700000000", "X-Signature-Timestamp": "1700000000"}
        assert not verify(secret.reveal(), old, body)


def test_verification_of_the_readme_accepts_both_secrets_of_a_rotation():
    names: dict[str, Any] = {}
    exec(_snippet("verify"), names)
    now = SystemClock().now()
    old, new = make_secret(), make_secret()
    ring = KeyRing(SigningKeys(new), SigningKeys(old), previous_until=now.replace(year=now.year + 1))
    headers = sign(ring, SignatureProfile.STANDARD, message="evt_01", type_="x", body=b"{}", now=now)
    assert names["verify_standard"](old.reveal(), headers, b"{}")
    assert names["verify_standard"](new.reveal(), headers, b"{}")


@pytest.mark.timeout(180)
def test_snippets_of_the_readme_run_in_their_order_on_countersign_up(tmp_path: Path):
    with _up(tmp_path) as house:
        sent = _shell(tmp_path, house, _snippet("send"))
        assert sent["status"] in {"sent", "processing"}
        read = _shell(tmp_path, house, _snippet("read"))
        assert [one["id"] for one in read["envelopes"]] == [sent["id"]]
        assert _shell(tmp_path, house, _snippet("judge"))["verdict"] == "unsigned"
        said = _python(tmp_path, house, _snippet("python"))
        assert re.match(r"env_\w+ (sent|processing)\nTrue \d+$", said)
        _receive_a_webhook(tmp_path, house)


def _receive_a_webhook(folder: Path, house: SimpleNamespace) -> None:
    port = _free_port()
    registered = _shell(folder, house, _snippet("register").replace(":9000/", f":{port}/"))
    script = folder / "receiver.py"
    script.write_text(_snippet("verify") + _snippet("receive").replace("9000", str(port)), encoding="utf-8")
    receiver = subprocess.Popen(
        [sys.executable, str(script)],
        env={**house.environment, "SECRET": registered["secret"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        _wait_for_port(port)
        house.environment["ENDPOINT"] = registered["id"]
        _shell(folder, house, _snippet("try"))
        assert receiver.stdout is not None
        # The receiver prints what it has verified; a signature that fails prints nothing and the test times out.
        assert re.match(r"endpoint\.test evt_\w+$", receiver.stdout.readline())
        _prove_completeness(folder, house)
    finally:
        receiver.kill()
        receiver.communicate()


def _prove_completeness(folder: Path, house: SimpleNamespace) -> None:
    told = _shell(folder, house, _snippet("feed"))["events"]
    assert [one["sequence"] for one in told] == list(range(1, len(told) + 1))
    assert told[0]["type"] == "envelope.created"
    gaps = _shell(folder, house, _snippet("gaps"))
    assert gaps["is_contiguous"] is True, gaps
    counted = _shell(folder, house, _snippet("replay"))
    assert counted["dry_run"] is True, counted
    link = _shell(folder, house, _snippet("portal"))
    assert "/portal/" in link["url"]


@contextmanager
def _up(folder: Path) -> Iterator[SimpleNamespace]:
    """`countersign up` with its data where the README says it is, and what it printed."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COUNTERSIGN_", "DATABASE_", "REDIS_", "SIGNATURE_", "PYTEST_"))
    }
    complaints = folder / "up.err"
    with complaints.open("w") as stderr:
        process = subprocess.Popen(
            [str(COUNTERSIGN), "up", "--port", "0", "--data-dir", str(folder / ".countersign")],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        try:
            told = _read_welcome(process, complaints)
            settings = _snippet("settings")
            assert "http://127.0.0.1:8400/api/v1/signatures" in settings
            assert "cs_test_..." in settings
            yield SimpleNamespace(environment={**environment, **told, "NO_PROXY": "127.0.0.1"})
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=60)
            finally:
                process.kill()


def _read_welcome(process: "subprocess.Popen[str]", complaints: Path) -> dict[str, str]:
    assert process.stdout is not None
    told: dict[str, str] = {}
    for line in process.stdout:
        if found := re.match(r"\s+API\s+(http\S+)$", line):
            told["API"] = found[1]
        if found := re.match(r"\s+tenant's key\s+(cs_\S+)$", line):
            told["KEY"] = found[1]
        if line.startswith("Ctrl-C"):
            assert set(told) == {"API", "KEY"}
            return told
    raise AssertionError(f"countersign up did not come up: {complaints.read_text(encoding='utf-8')}")


def _shell(folder: Path, house: SimpleNamespace, text: str) -> dict[str, Any]:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=house.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _python(folder: Path, house: SimpleNamespace, text: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env=house.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _snippet(name: str) -> str:
    return next(found["text"] for found in SNIPPET.finditer(README) if found["name"] == name)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the receiver does not listen")
