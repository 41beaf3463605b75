"""How commands print: a table for people, or one JSON document, from the same rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec


def print_rows(rows: Sequence[Mapping[str, object]], *, as_json: bool, nothing: str) -> None:
    """`nothing` is said to people when there are no rows."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        print(nothing)
        return
    columns = list(rows[0])
    cells = [columns, *([_cell(row[name]) for name in columns] for row in rows)]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_json(document: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(timespec="seconds")
        case list() | tuple():
            return " ".join(map(str, value))
    return str(value)
