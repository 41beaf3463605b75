"""docs/pitfalls.md: every pitfall once, and every file and test that it names is there."""

import re

from tests.docs.lists import DOCS
from tests.docs.tables import read_tables

ROOT = DOCS.parent
(TABLE,) = read_tables(DOCS / "pitfalls.md")
QUOTED = re.compile(r"`([^`]+)`")


def test_every_pitfall_is_listed_once_and_in_order():
    assert [row[0] for row in TABLE.rows] == [str(number) for number in range(1, 53)]


def test_every_line_names_a_place_or_says_what_is_open():
    empty = [row[0] for row in TABLE.rows if not (".py`" in row[2] or "open: " in row[2])]
    untested = [row[0] for row in TABLE.rows if "::" not in row[3] and row[3] != "open"]
    assert (empty, untested) == ([], [])


def test_every_file_that_is_named_exists():
    files = [name for row in TABLE.rows for name in QUOTED.findall(row[2]) if name.endswith(".py")]
    assert files
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_every_test_that_is_named_exists():
    missing = []
    for row in TABLE.rows:
        for named in QUOTED.findall(row[3]):
            path, _, name = named.partition("::")
            file = ROOT / "tests" / path
            if not file.is_file() or f"def {name}(" not in file.read_text(encoding="utf-8"):
                missing.append(named)
    assert missing == []
