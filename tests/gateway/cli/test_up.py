"""`countersign up` as a newcomer meets it: it starts, its three lines work, it stops and comes back as it was."""

import base64
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.config.test_embedded import processes_naming, wait_until_none_names
from tests.gateway.cli.command import CommandLine, clean_environ

EXAMPLES = Path(__file__).parents[3] / "examples"
READY_WITHIN_S = 100
STOPPED_WITHIN_S = 40


def five_free_ports() -> int:
    """The first of five ports in a row: gateway, two sandboxes, development services, mail."""
    for first in range(18_400 + os.getpid() % 2000, 32_000, 5):
        probes = [socket.socket() for _ in range(5)]
        try:
            for number, probe in enumerate(probes):
                probe.bind(("127.0.0.1", first + number))
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
        return first
    raise AssertionError("no five ports in a row are free")


@contextmanager
def running_up(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process and what it has printed once it is up."""
    command = [sys.executable, "-m", "gateway.cli.main", "up", "--data-dir", str(folder), "--port", str(port)]
    with (folder.parent / "up.err").open("ab") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, env=clean_environ(), cwd=folder.parent
        )
        try:
            yield process, read_until(process, b"Ctrl-C stops everything")
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
            wait_until_none_names(folder)


def read_until(process: subprocess.Popen[bytes], wanted: bytes) -> str:
    assert process.stdout is not None
    pipe, printed, ends_at = process.stdout.fileno(), b"", time.monotonic() + READY_WITHIN_S
    while wanted not in printed:
        left = ends_at - time.monotonic()
        assert left > 0, printed
        if select.select([pipe], [], [], left)[0]:
            read = os.read(pipe, 65_536)
            assert read, f"it ended early, having said {printed!r}"
            printed += read
    return printed.decode()


def stop(process: subprocess.Popen[bytes], which: signal.Signals) -> int:
    process.send_signal(which)
    return process.wait(STOPPED_WITHIN_S)


@contextmanager
def example_receiver(printed: str) -> Iterator[subprocess.Popen[bytes]]:
    """examples/receiver.py, registered as an endpoint of the tenant."""
    api, key = api_of(printed)
    secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "receiver.py"), "0"],
        stdout=subprocess.PIPE,
        env=clean_environ() | {"COUNTERSIGN_SECRET": secret},
    )
    try:
        url = read_until(process, b"/\n").split()[-1]
        answer = httpx.post(
            f"{api}/webhooks",
            headers={"authorization": f"Bearer {key}", "idempotency-key": "receiver"},
            json={"url": url, "secret": secret, "events": ["envelope.sent"]},
            trust_env=False,
        )
        assert answer.status_code == 201, answer.text
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def api_of(printed: str) -> tuple[str, str]:
    """Where the API is, and the tenant's key."""
    api = re.search(r"API +(http://\S+/api/v1/signatures)\n", printed)
    key = re.search(r"tenant's key +(cs_test_\S+)", printed)
    assert api
    assert key
    return api[1], key[1]


def read_mail_page(printed: str) -> str:
    page = re.search(r"mails and their links +(http://\S+)", printed)
    assert page
    return httpx.get(page[1], trust_env=False).text


def run_example(printed: str, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    api, key = api_of(printed)
    url = api.removesuffix("/api/v1/signatures")
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environ() | {"COUNTERSIGN_URL": url, "COUNTERSIGN_KEY": key},
    )


def try_the_lines(printed: str, folder: Path) -> list[str]:
    """The first three; the fourth switches to the built-in engine."""
    lines = lines_to_try(printed)
    assert len(lines) == 4
    return run_lines(lines[:3], folder)


def lines_to_try(printed: str) -> list[str]:
    return [line.strip() for line in printed.splitlines() if re.match(r"  (curl|ENVELOPE=)", line)]


def run_lines(lines: list[str], folder: Path) -> list[str]:
    script = "; echo ====; ".join(lines)
    ended = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        env=clean_environ(),
        cwd=folder.parent,
    )
    assert ended.stderr == ""
    return ended.stdout.split("====")


def open_mailed_link(printed: str, address: str) -> httpx.Response:
    page = re.search(r"mails and their links +(http://\S+)", printed)
    assert page
    with httpx.Client(trust_env=False, timeout=60) as client:
        (mail, *_) = client.get(f"{page[1]}api", params={"to": address, "wait_s": "45"}).json()
        link = re.search(r"http://\S+/sign/[\w-]+", mail["text"])
        assert link
        return client.get(link[0])


@pytest.mark.timeout(240)
async def test_up_starts_serves_its_three_lines_and_comes_back_with_the_same_tenant(tmp_path):
    folder, port = tmp_path / "data", five_free_ports()
    with running_up(folder, port) as (process, printed):
        made, read, events = try_the_lines(printed, folder)
        assert json.loads(read)["id"] == made.strip()
        assert json.loads(read)["status"] == "sent"
        assert json.loads(events)["entries"][0]["event_type"] == "envelope_created"
        with example_receiver(printed) as receiver:
            sample = str(folder / "sample-contract.pdf")
            sent = run_example(printed, "send_contract.py", sample, "ada@example.com", "--no-wait")
            assert sent.returncode == 0, sent
            envelope_id, status = sent.stdout.split()
            assert status == "sent"
            assert read_until(receiver, b"\n") == f"envelope.sent {envelope_id}\n"
        checked = run_example(printed, "check_signed.py", sample)
        assert (checked.returncode, checked.stdout.split(":")[0]) == (1, "unsigned"), checked
        assert "No mail yet" in read_mail_page(printed)
        for kept in ("development.json", "running.json", "passwords.json"):
            assert (folder / kept).stat().st_mode & 0o777 == 0o600
        assert "PRIVATE KEY" not in (folder / "up.log").read_text()
        # Commands of the same user work on the stores that run, and a second `up` is told why it cannot start.
        cli = CommandLine({"COUNTERSIGN_DATA_DIR": str(folder)}, tmp_path)
        (tenant,) = (await cli.well("tenant", "list", "--json")).document
        assert tenant["id"] in printed
        health = (await cli.well("provider", "check", "--json")).document
        assert [row["ok"] for row in health] == [True, True, True]
        said = (await cli.run_apart("up", "--port", str(port))).err
        assert f"port {port} is taken" in said
        said = (await cli.run_apart("up", "--port", "0")).err
        assert "is used by process" in said
        (switched,) = run_lines(lines_to_try(printed)[3:], folder)
        assert json.loads(switched)["in_flight"] == {"sent": 2}
        assert stop(process, signal.SIGINT) == 0
    assert processes_naming(folder) == []
    assert not (folder / "running.json").exists()
    with running_up(folder, port) as (process, again):
        keys = re.compile(r"cs_test_\w+|ten_\w+")
        assert set(keys.findall(again)) == set(keys.findall(printed))
        _, read, _ = try_the_lines(again, folder)
        assert (json.loads(read)["provider"], json.loads(read)["status"]) == ("internal", "sent")
        opened = open_mailed_link(again, "ada@example.com")
        assert (opened.status_code, "asks you to sign" in opened.text) == (200, True)
        connections = (await cli.well("provider", "check", "--json")).document
        assert connections == health
        assert stop(process, signal.SIGTERM) == 0
    assert (await cli.run_apart("ledger", "verify", "--all")).document["valid"] is True


async def test_up_refuses_a_port_that_leaves_no_room_for_the_sandboxes(tmp_path):
    cli = CommandLine({"COUNTERSIGN_DATA_DIR": str(tmp_path / "data")}, tmp_path)
    assert "--port is between" in (await cli.run_apart("up", "--port", "65535")).err
    assert not (tmp_path / "data").exists()
