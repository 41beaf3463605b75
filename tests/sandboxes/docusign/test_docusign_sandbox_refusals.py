"""Every row of the refusal table is triggered over HTTP; a row without a trigger fails."""

import re
import tomllib

import docusign_refusal_triggers_later  # noqa: F401  (registers its triggers)
import pytest
from docusign_refusal_triggers import TRIGGERS
from sandbox_docusign_kit import ROOT, Sandbox

FOLDER = ROOT / "adapters" / "docusign" / "sandbox"
ROWS = tomllib.loads((FOLDER / "refusals.toml").read_text(encoding="utf-8"))["refusal"]


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_refusal_row_when_triggered_answers_its_status_and_code(sandbox: Sandbox, row: dict) -> None:
    answer = TRIGGERS[row["id"]](sandbox)
    shown = answer.json()
    if row.get("shape") == "oauth":
        expected = {"error": row["code"]} | ({"error_description": row["message"]} if row["message"] else {})
        assert (answer.status_code, shown) == (row["status"], expected)
    else:
        assert (answer.status_code, shown["errorCode"]) == (row["status"], row["code"]), shown
        assert shown["message"].startswith(row["message"])


def test_refusal_table_and_code_name_the_same_rows() -> None:
    used: set[str] = set()
    for path in FOLDER.glob("*.py"):
        used |= set(re.findall(r'Refusal\(\s*"([a-z0-9-]+)"', path.read_text(encoding="utf-8")))
    ids = {row["id"] for row in ROWS}
    assert used == ids
    assert set(TRIGGERS) == ids
