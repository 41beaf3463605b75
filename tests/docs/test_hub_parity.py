"""docs/hub-parity.md: every feature names a test that exists, and names it once."""

import re

from tests.docs.lists import DOCS
from tests.docs.tables import read_tables

ROOT = DOCS.parent
TABLES = [table for table in read_tables(DOCS / "hub-parity.md") if table.head[-1] == "command"]
COMMAND = re.compile(r"^`(?P<file>[\w/]+\.py)::(?P<name>test_\w+)`$")


def test_the_ten_are_all_there():
    _, ten = TABLES
    assert sorted({int(row[0].split(".")[0]) for row in ten.rows}) == list(range(1, 11))


def test_no_feature_is_there_twice():
    features = [row[0] for table in TABLES for row in table.rows]
    assert len(features) > 40
    assert sorted({one for one in features if features.count(one) > 1}) == []


def test_every_feature_has_a_command_that_can_be_run():
    wrong = []
    for row in (row for table in TABLES for row in table.rows):
        named = COMMAND.match(row[2])
        file = ROOT / "tests" / named["file"] if named else None
        if (
            named is None
            or file is None
            or not file.is_file()
            or f"def {named['name']}(" not in file.read_text(encoding="utf-8")
        ):
            wrong.append(row[0])
    assert wrong == []
