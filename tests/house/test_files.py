"""Files: length, names, docstrings, reasons for silenced checks."""

import ast
import re
from pathlib import Path

import pytest

from tests.house.tree import BESIDE, LAYERS, python_files, relative, tokens_of, tree_of

LONGEST = 400
# Stands alone by design: whoever checks a ledger reads and runs one file.
MAY_BE_LONG = {"ledger/verify.py"}
NAMES_OF_NOTHING = {"utils.py", "util.py", "helpers.py", "helper.py", "misc.py", "common.py"}
SILENCED = re.compile(r"#\s*(?P<what>noqa|type:\s*ignore|pragma:\s*no cover)(?P<rest>.*)")


def test_python_files_are_at_most_400_lines():
    long = {
        relative(path): lines
        for path in python_files()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST
    }
    assert {name: lines for name, lines in long.items() if name not in MAY_BE_LONG} == {}


def test_no_file_is_named_after_nothing():
    assert [relative(path) for path in python_files() if path.name in NAMES_OF_NOTHING] == []


def test_every_module_says_what_it_is_for():
    silent = [
        relative(path)
        for path in python_files()
        if not (path.name == "__init__.py" and not path.read_text(encoding="utf-8").strip())
        and not (ast.get_docstring(tree_of(path)) or "").strip()
    ]
    assert silent == []


def test_every_package_of_the_product_says_what_it_is_for():
    empty = [
        relative(path)
        for path in python_files(*LAYERS)
        if path.name == "__init__.py" and not ast.get_docstring(tree_of(path))
    ]
    assert empty == []


def test_silenced_checks_name_a_code_and_product_code_a_reason():
    loose = []
    for path in python_files():
        in_product = relative(path).partition("/")[0] not in BESIDE
        for token in tokens_of(path):
            found = SILENCED.search(token.text) if token.kind == "comment" else None
            if found and not _is_reasoned(found, needs_reason=in_product):
                loose.append(f"{relative(path)}:{token.line}: {token.text}")
    assert loose == []


@pytest.mark.parametrize(
    ("comment", "is_fine"),
    [
        ("# noqa", False),
        ("# type: ignore", False),
        ("# noqa: S101", False),
        ("# noqa: S101 - the caller filters", True),
        ("# noqa: BLE001  (the first error is the one to report)", True),
        ("# type: ignore[misc]  # a lambda's default", True),
    ],
)
def test_the_rule_for_silenced_checks_tells_a_reason_from_none(comment: str, is_fine: bool):
    found = SILENCED.search(comment)
    assert found is not None
    assert _is_reasoned(found, needs_reason=True) is is_fine


def test_catches_of_every_error_raise_it_again_or_say_why():
    silent = [
        f"{relative(path)}:{handler.lineno}"
        for path in python_files(*LAYERS)
        for handler in _find_unexplained(tree_of(path), _commented_lines(path))
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("handler", "is_fine"),
    [
        ("except Exception:\n    answer = None", False),
        ("except (ValueError, Exception):\n    answer = None", False),
        ("except:\n    answer = None", False),
        ("except BaseException:\n    raise if_any", True),
        ("except Exception:\n    clean_up()\n    raise", True),
        ("except Exception:  # one must not keep the others\n    answer = None", True),
        ("except Exception:\n    # A client library raises anything.\n    answer = None", True),
        ("except ValueError:\n    answer = None", True),
    ],
)
def test_the_rule_for_catches_of_every_error_tells_a_reason_from_none(handler: str, is_fine: bool):
    source = f"try:\n    work()\n{handler}\n"
    commented = {number for number, line in enumerate(source.splitlines(), start=1) if "#" in line}
    assert (_find_unexplained(ast.parse(source), commented) == []) is is_fine


def _commented_lines(path: Path) -> set[int]:
    return {token.line for token in tokens_of(path) if token.kind == "comment"}


def _find_unexplained(tree: ast.Module, commented: set[int]) -> list[ast.ExceptHandler]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and _is_broad(node.type)
        and not isinstance(node.body[-1], ast.Raise)
        and commented.isdisjoint(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    ]


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(one) for one in caught.elts)
    return caught is None or (isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"})


def _is_reasoned(found: re.Match[str], *, needs_reason: bool) -> bool:
    rest = found["rest"].strip()
    code = re.match(r"(?::\s*[A-Z]+[0-9]+(?:\s*,\s*[A-Z]+[0-9]+)*|\[[a-z0-9-]+(?:,\s*[a-z0-9-]+)*\])", rest)
    if code is None:
        return False
    reason = rest[code.end() :].strip(" -#()")
    return bool(reason) or not needs_reason
