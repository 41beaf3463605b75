"""What of the processes' lines is kept, what is shown, and what must be neither."""

import io
import json

from gateway.cli.child_output import ChildOutput


async def test_a_sandboxes_ready_line_is_caught_and_neither_logged_nor_shown(tmp_path):
    shown = io.StringIO()
    output = ChildOutput(tmp_path / "log", shown, verbose=True)
    ready = output.expect_ready("sandbox")
    told = {"name": "x", "url": "http://127.0.0.1:1", "credentials": {"private_key_pem": "canary"}}
    # A print arrives in pieces.
    for piece in ("sandbox | ", json.dumps(told)[:20], json.dumps(told)[20:], "\n"):
        output.write(piece)
    assert ready.result() == told
    output.write(f"sandbox | {json.dumps(told)}\n")  # it was started again
    output.close()
    assert (tmp_path / "log").read_text() == ""
    assert shown.getvalue() == ""


def test_errors_are_shown_in_one_line_and_everything_is_logged(tmp_path):
    shown = io.StringIO()
    output = ChildOutput(tmp_path / "log", shown)
    lines = [
        'worker | {"level": "info", "event": "fine"}',
        'worker | {"level": "error", "event": "broken"}',
        "worker | x",
    ]
    output.write("\n".join(lines) + "\n")
    output.close()
    assert (tmp_path / "log").read_text().splitlines() == lines
    assert shown.getvalue() == f"worker: broken (more in {tmp_path / 'log'})\n"
    assert output.last_lines("worker")[-1] == "x"


def test_verbose_shows_every_line_and_silence_none(tmp_path):
    shown = io.StringIO()
    for tell, verbose in ((shown, True), (None, True)):
        output = ChildOutput(tmp_path / "log", tell, verbose=verbose)
        output.write("worker | anything\n")
        output.close()
    assert shown.getvalue() == "worker | anything\n"
