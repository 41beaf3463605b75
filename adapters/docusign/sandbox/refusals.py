"""The table of everything this sandbox refuses, and the one way to refuse it.

Every refusal is a row of refusals.toml, with its endpoint, trigger, HTTP status and errorCode; code names
the row. Nothing in the sandbox may answer an API error that is not in the table.
"""

import tomllib
from functools import cache
from importlib import resources

import msgspec


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that is refused; `basis` says how sure we are that the real service answers the same."""

    id: str
    endpoint: str
    trigger: str
    status: int
    code: str
    message: str
    basis: str
    shape: str = "api"


class Refusal(Exception):
    """A request that the table refuses; becomes the row's status and error body."""

    def __init__(self, row_id: str, detail: str = "") -> None:
        self.row = table()[row_id]
        self.detail = detail
        super().__init__(row_id)

    def body(self) -> dict[str, str]:
        text = f"{self.row.message} {self.detail}".strip()
        match self.row.shape:
            case "oauth":
                described = {"error_description": text} if text else {}
                return {"error": self.row.code, **described}
            case _:
                return {"errorCode": self.row.code, "message": text}


@cache
def table() -> dict[str, Row]:
    """All rows by id."""
    raw = resources.files(__package__).joinpath("refusals.toml").read_text(encoding="utf-8")
    rows = msgspec.convert(tomllib.loads(raw)["refusal"], list[Row])
    by_id = {row.id: row for row in rows}
    if len(by_id) != len(rows):
        raise ValueError("refusals.toml repeats an id")
    return by_id
