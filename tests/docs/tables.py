"""Reads Markdown's tables, so that tests can compare them with the things they list."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Table:
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, lines: list[str]) -> "Table":
        cells = [_cells(line) for line in lines]
        return cls(cells[0], tuple(cells[2:]))


def read_tables(path: Path) -> list[Table]:
    """Every table of a document, in order; code blocks are no tables."""
    tables: list[list[str]] = [[]]
    for line in re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL).splitlines():
        if line.startswith("|"):
            tables[-1].append(line)
        elif tables[-1]:
            tables.append([])
    return [Table.of(lines) for lines in tables if len(lines) > 2]


def _cells(line: str) -> tuple[str, ...]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", inner))
