"""docs/deviations.md: every line says what the design says, what we do, and why."""

import re

from tests.docs.lists import DOCS
from tests.docs.tables import Table, read_tables

SOURCE = re.compile(r"^(?:A|B) \d+(?:\.\d+)*(?:, (?:(?:A|B) )?\d+(?:\.\d+)*)*: \S")


def test_every_line_has_its_three_parts():
    tables = read_tables(DOCS / "deviations.md")
    assert len(tables) >= 7
    incomplete = [
        row
        for table in tables
        for row in table.rows
        if len(row) != 3 or any(len(cell) < 4 for cell in row) or not SOURCE.match(row[0])
    ]
    assert incomplete == []


def test_every_table_has_the_same_three_columns():
    heads = {table.head for table in read_tables(DOCS / "deviations.md")}
    assert heads == {("the design says", "we do", "why, source")}


def test_no_deviation_is_told_twice():
    said = [row[0] for table in read_tables(DOCS / "deviations.md") for row in table.rows]
    assert len(said) == len(set(said))


def test_a_line_with_a_part_missing_is_seen():
    table = Table.of(["| the design says | we do | why, source |", "|---|---|---|", "| A 4: x | | y |"])
    assert any(len(cell) < 4 for cell in table.rows[0])
