"""docs/design-coverage.md: a row of a resolved piece names a test that exists."""

import ast
import re
from functools import cache

import pytest

from config.settings import ENVIRONMENT_PREFIXES
from config.settings_source import section_fields, variable_name
from normalizer.vocabulary import VOCABULARY
from tests.docs.lists import DOCS
from tests.docs.tables import read_tables
from tests.house.tree import ROOT

RESOLVED = {1, 2, 3}
PIECES = {1, 2, 3, 4, 5, 6}
HEAD = ("source", "kind", "what", "piece", "test")
TEST = re.compile(r"^`(?P<file>tests/[\w/]+\.py)::(?P<name>test_\w+)`$")
DESIGNED_SECTIONS = ("signature", "docusign", "adobesign")


def test_the_table_has_its_columns_and_every_row_a_piece():
    assert [table.head for table in read_tables(DOCS / "design-coverage.md")] == [HEAD]
    odd = [
        row for row in _rows() if not re.match(r"^(A|B) \d+(\.\d+)*$", row[0]) or int(row[3]) not in PIECES
    ]
    assert odd == []


def test_no_row_is_there_twice():
    named = [(row[0], row[2]) for row in _rows()]
    assert sorted({one for one in named if named.count(one) > 1}) == []


@pytest.mark.parametrize("piece", sorted(RESOLVED))
def test_every_row_of_a_resolved_piece_names_a_test_that_exists(piece: int):
    without = [
        f"{row[0]}: {row[2]} -> {row[4] or 'no test'}"
        for row in _rows()
        if int(row[3]) == piece and not _exists(row[4])
    ]
    assert without == []


def test_a_row_of_a_later_piece_names_no_test_that_does_not_exist():
    wrong = [row for row in _rows() if int(row[3]) not in RESOLVED and row[4] and not _exists(row[4])]
    assert wrong == []


def test_a_row_whose_test_is_gone_is_seen():
    assert not _exists("")
    assert not _exists("`tests/docs/test_design_coverage.py::test_that_nobody_wrote`")
    assert _exists("`tests/docs/test_design_coverage.py::test_a_row_whose_test_is_gone_is_seen`")


def test_every_designed_setting_has_a_row():
    rows = {row[2] for row in _rows() if row[1] == "setting"}
    settings = {
        variable_name(section, name) for section in DESIGNED_SECTIONS for name in section_fields(section)
    }
    assert all(ENVIRONMENT_PREFIXES[section] for section in DESIGNED_SECTIONS)
    assert settings - rows == set()


def test_every_designed_event_of_a_resolved_piece_is_in_the_vocabulary():
    known = {str(word.ledger) for word in VOCABULARY.values()} | {
        also for word in VOCABULARY.values() for also in word.also
    }
    events = {
        row[2]
        for row in _rows()
        if row[1] == "event" and int(row[3]) in RESOLVED and row[0] in {"A 5", "B 5.1"}
    }
    assert events
    assert events - known == set()


def _rows() -> list[tuple[str, ...]]:
    return [row for table in read_tables(DOCS / "design-coverage.md") for row in table.rows]


def _exists(cell: str) -> bool:
    found = TEST.match(cell)
    return found is not None and found["name"] in _tests_of(found["file"])


@cache
def _tests_of(file: str) -> frozenset[str]:
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )
