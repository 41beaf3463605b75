"""The catalogue of webhook events for the documents: each type with its moment and examples, each form once."""

import json
from collections.abc import Iterator

from normalizer.canonical import Json
from normalizer.catalogue.schemas import FULL, THIN, data_schema, example_body, example_data
from normalizer.catalogue.table import CATALOGUE, Entry
from normalizer.catalogue.versions import API_VERSION


def event_catalogue() -> str:
    return "\n".join(_section(entry) for entry in CATALOGUE.values())


def event_schemas() -> str:
    return "\n".join(_form(entries) for entries in _forms().values())


def _forms() -> dict[tuple[type, type], list[Entry]]:
    """Entries by what their `data` is made of."""
    found: dict[tuple[type, type], list[Entry]] = {}
    for entry in CATALOGUE.values():
        forms = entry.forms[API_VERSION]
        found.setdefault((forms.full, forms.thin), []).append(entry)
    return found


def _section(entry: Entry) -> str:
    return (
        f"### `{entry.type}`\n\n{entry.sentence}\n\n"
        f"{_code(example_body(entry.type))}\n"
        f'Thin: `"data": {json.dumps(example_data(entry.type, THIN), ensure_ascii=False)}`\n'
    )


def _form(entries: list[Entry]) -> str:
    names = ", ".join(f"`{entry.type}`" for entry in entries)
    type_ = entries[0].type
    title = CATALOGUE[type_].forms[API_VERSION].full.__name__.removesuffix("Data")
    parts = [f"## {_spaced(title)}\n", f"`data` of {names}.\n"]
    for payload in (FULL, THIN):
        schema = data_schema(type_, payload)
        parts += [
            f"{payload.capitalize()}:\n",
            "| member | | meaning |\n|---|---|---|",
            *(_row(*member) for member in _members(schema, "")),
            f"\n{_code(schema)}",
        ]
    return "\n".join(parts)


def _members(schema: Json, above: str) -> Iterator[tuple[str, bool, str]]:
    assert isinstance(schema, dict)
    for name, member in schema["properties"].items():
        if member.get("type") == "object":
            yield from _members(member, f"{above}{name}.")
        else:
            yield f"{above}{name}", name in schema["required"], member["description"]


def _row(name: str, is_always_there: bool, meaning: str) -> str:
    return f"| `{name}` | {'' if is_always_there else 'may be absent'} | {meaning} |"


def _spaced(title: str) -> str:
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in title)
    return spaced.strip().capitalize()


def _code(value: Json) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```\n"
