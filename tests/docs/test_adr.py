"""Decision records: one number each, one page each, four parts in order."""

import re
from pathlib import Path

import pytest

from tests.docs.lists import DOCS

RECORDS = sorted((DOCS / "adr").glob("*.md"))
PARTS = ["Context", "Decision", "Rejected", "Consequences"]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_record_has_its_four_parts_in_order_and_fits_on_a_page(path: Path):
    text = path.read_text(encoding="utf-8")
    assert re.match(rf"# {path.name[:4]}:? \S", text)
    assert re.findall(r"^(?:\*\*|## )(Context|Decision|Rejected|Consequences)", text, re.MULTILINE) == PARTS
    assert len(text.splitlines()) <= 60


def test_numbers_are_given_once_and_without_a_gap():
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))
