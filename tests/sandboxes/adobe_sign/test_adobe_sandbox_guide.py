"""The guide tells the truth: its shell lines run, and its lists are complete."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from adobe_sandbox_kit import ROOT, Api, make_pdf, read_pages

from adapters.adobe_sign.sandbox.faults import FaultKind
from adapters.adobe_sign.sandbox.signers import ActionName

GUIDE = (ROOT / "docs/sandbox-adobe-sign.md").read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the guide's lines need curl")
def test_shell_lines_of_the_guide_run_from_upload_to_signed_document(api: Api, tmp_path: Path) -> None:
    script = "\n".join(re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)).replace("sleep 1 ", "sleep 0 ")
    (tmp_path / "contract.pdf").write_bytes(make_pdf())
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={"SANDBOX": api.url, "PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "SIGNED"
    assert "SANDBOX signed by Ada" in read_pages((tmp_path / "signed.pdf").read_bytes())[0]
    assert api.sandbox("GET", "/faults") == []


def test_guide_names_every_fault_and_every_action() -> None:
    words = {kind.value for kind in FaultKind} | {action.value for action in ActionName}
    assert {word for word in words if f"`{word}`" not in GUIDE} == set()


def test_guide_names_every_flag() -> None:
    source = (ROOT / "adapters/adobe_sign/sandbox/__main__.py").read_text()
    flags = set(re.findall(r'"(--[a-z-]+)"', source))
    assert {flag for flag in flags if flag not in GUIDE} == set()
