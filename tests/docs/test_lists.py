"""Lists in the documents equal what they list, and links lead somewhere."""

import ast
import re
from pathlib import Path

import pytest

import gateway.app  # noqa: F401 - every error of the application is known then
from normalizer import errors
from tests.docs.lists import BLOCK, DOCS, LISTS, documents, rewritten
from tests.house.tree import BESIDE, LAYERS, ROOT, python_files, tree_of

MARKDOWN = [
    path
    for folder in (ROOT, DOCS, ROOT / "adapters", ROOT / "deploy")
    for path in sorted(folder.glob("*.md") if folder == ROOT else folder.rglob("*.md"))
]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(?:#[^)]*)?\)")
# Codes that never leave the house: the tree's root, and refusals of inbound posts, which have the provider's form.
INNER = {"error"}


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_lists_of_a_document_are_up_to_date(path: Path):
    """`make docs` rewrites them."""
    text = path.read_text(encoding="utf-8")
    assert text == rewritten(text)


def test_every_list_is_in_a_document():
    shown = {
        found["name"] for path in documents() for found in BLOCK.finditer(path.read_text(encoding="utf-8"))
    }
    assert shown == set(LISTS)


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_of_a_document_lead_to_files(path: Path):
    dead = [link for link in LINK.findall(_prose(path)) if not (path.parent / link).exists()]
    assert dead == []


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_source_files_that_a_document_names_exist(path: Path):
    folders = "|".join((*LAYERS, *BESIDE, "deploy", "docs"))
    named = re.findall(rf"`((?:{folders})/[\w/.-]+\.(?:py|sql|toml|md|yaml|sh))`", _prose(path))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_errors_page_explains_every_code_and_no_other():
    explained = re.findall(
        r"^### `([a-z_]+)`", (DOCS / "errors.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(explained) == sorted(_codes())


def _codes() -> set[str]:
    """What is declared on error types, and what is passed as `code=` or to the functions that compose problems."""
    declared = {kind.code for kind in _kinds(errors.CountersignError)}
    raised: set[str] = {"idempotency_key_reused", "idempotency_key_in_use"}
    for path in python_files("gateway", "webhooks", "config", "engine"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call):
                raised |= _code_passed(node)
    return (declared | raised) - INNER


def _kinds(kind: type[errors.CountersignError]) -> set[type[errors.CountersignError]]:
    """Every error of ours that the application knows: it has been imported whole."""
    own = {kind} if kind.__module__.partition(".")[0] in LAYERS else set()
    return own.union(*(_kinds(one) for one in kind.__subclasses__()))


def _code_passed(call: ast.Call) -> set[str]:
    """The code of `ValidationFailed(..., code="x")`, `Problem(code="x")` or `_plain(status, "x", ...)`."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "_plain":
        values = call.args[1:2]
    elif name in {"FieldRefused", "PictureRefused"}:
        values = call.args[:1]
    elif name in {"ValidationFailed", "Conflict", "Problem"}:
        values = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    else:
        values = []
    return {
        value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)
    }


def _prose(path: Path) -> str:
    return re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_search_for_codes_sees_the_spellings_in_use():
    assert {"url_refused", "empty_change", "internal_error", "store_unavailable", "rate_limited"} <= _codes()
