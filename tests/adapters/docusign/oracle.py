"""What the official client's models say about a request body: names, types, and what they would serialize."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).with_name("fixtures")
_CONTAINER = re.compile(r"(?:list\[(?P<item>.+)\]|dict\(str, (?P<value>.+)\))\Z")


@cache
def models() -> dict[str, dict[str, str]]:
    return json.loads((FIXTURES / "models-6.1.0.json").read_text(encoding="utf-8"))["models"]


def unknown_keys(body: Any, model: str, where: str = "") -> list[str]:
    """Every key that the model does not have, and every scalar that is not a string."""
    problems = []
    for key, value in body.items():
        wanted = models()[model].get(key)
        if wanted is None:
            problems.append(f"{where}/{key}: {model} has no such attribute")
            continue
        problems += _check(value, wanted, f"{where}/{key}")
    return problems


def _check(value: Any, wanted: str, where: str) -> list[str]:
    container = _CONTAINER.match(wanted)
    if container and container["item"]:
        if not isinstance(value, list):
            return [f"{where}: not a list"]
        return [
            p for index, item in enumerate(value) for p in _check(item, container["item"], f"{where}/{index}")
        ]
    if wanted in models():
        return unknown_keys(value, wanted, where) if isinstance(value, dict) else [f"{where}: not an object"]
    return [] if wanted == "str" and isinstance(value, str) else [f"{where}: {wanted} is not {value!r}"]


def as_the_client_serializes(body: dict[str, Any], model: str) -> dict[str, Any]:
    """The body built from the official client's models and written by its own serializer."""
    import docusign_esign

    return docusign_esign.ApiClient().sanitize_for_serialization(_build(body, model))


def _build(value: Any, wanted: str) -> Any:
    import docusign_esign.models

    container = _CONTAINER.match(wanted)
    if container and container["item"]:
        return [_build(item, container["item"]) for item in value]
    kind = getattr(docusign_esign.models, wanted, None)
    if kind is None or not isinstance(value, dict):
        return value
    attributes = {key: name for name, key in kind.attribute_map.items()}
    # Unknown keyword arguments are ignored by the models: what is misspelt is lost and the comparison shows it.
    given = {
        attributes[key]: _build(item, kind.swagger_types[attributes[key]]) for key, item in value.items()
    }
    return kind(**given)
