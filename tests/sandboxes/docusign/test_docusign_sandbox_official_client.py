"""The official Python client works against the sandbox, unchanged."""

import base64
import json
import subprocess
import sys
from pathlib import Path

from sandbox_docusign_kit import Sandbox, blank_pdf


def test_official_client_creates_reads_lists_views_downloads_and_voids(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    script = Path(__file__).with_name("docusign_official_client.py")
    ready = json.dumps({"url": sandbox.url, "credentials": {"account_id": sandbox.credentials["account_id"]}})
    pdf = base64.b64encode(blank_pdf()).decode()
    # Its JWT helper insists on https; the token comes over plain HTTP and goes in as a header.
    command = [sys.executable, str(script), ready, pdf, sandbox.token]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=90, check=False, env={"TMPDIR": str(tmp_path)}
    )
    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)
    assert shown.pop("url").startswith(f"{sandbox.url}/Signing/")
    assert shown == {
        "created": "sent",
        "status": "sent",
        "subject": "Please sign",
        "tab": "100",
        "recipient": "sent",
        "listed": True,
        "head": "%PDF-",
        "documents": ["1", "certificate"],
        "actions": ["Registered", "Sent Invitations"],
        "after": "voided",
        "reason": "Changed our minds",
        "refused": [400, "ENVELOPE_CANNOT_VOID_INVALID_STATE"],
        "templates": 3,
    }
