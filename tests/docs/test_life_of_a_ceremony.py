"""The page that leads through a ceremony names files and functions that are there."""

import ast
import re

import pytest

from tests.house.tree import ROOT, tree_of

TEXT = " ".join((ROOT / "docs" / "life-of-a-ceremony.md").read_text(encoding="utf-8").split())
FILES = sorted(set(re.findall(r"`([\w/]+\.py)`", TEXT)))
# `file`: `function`, perhaps with "or" or "," and further functions of the same file
NAMED = re.findall(r"`([\w/]+\.py)`: ((?:`\w+`(?:,| or| and)? ?)+)", TEXT)


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_the_page_names_is_there(file: str):
    assert (ROOT / file).is_file()


def test_functions_that_the_page_names_are_in_their_files():
    assert len(NAMED) > 20
    missing = [
        f"{file}: {name}"
        for file, names in NAMED
        for name in re.findall(r"\w+", re.sub(r"` (?:or|and) `", "` `", names))
        if name not in _functions(file)
    ]
    assert missing == []


def _functions(file: str) -> set[str]:
    return {
        node.name
        for node in ast.walk(tree_of(ROOT / file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
