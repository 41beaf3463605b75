"""The source tree as the house's tests see it: files, tokens, imports. Reads only, and imports nothing of it."""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("gateway", "webhooks", "adapters", "engine", "ledger", "compliance", "normalizer", "config")
BESIDE = ("bench", "tests", "examples")


@dataclass(frozen=True)
class Token:
    kind: str  # "name", "string" or "comment"
    text: str
    line: int


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders or (*LAYERS, *BESIDE) for path in (ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def tokens_of(path: Path) -> tuple[Token, ...]:
    kinds = {tokenize.NAME: "name", tokenize.STRING: "string", tokenize.COMMENT: "comment"}
    fstring = getattr(tokenize, "FSTRING_MIDDLE", None)  # from Python 3.12 on
    if fstring is not None:
        kinds[fstring] = "string"
    reader = io.StringIO(path.read_text(encoding="utf-8")).readline
    return tuple(
        Token(kinds[token.type], token.string, token.start[0])
        for token in tokenize.generate_tokens(reader)
        if token.type in kinds
    )


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Full names of what a file imports, at any depth, with the line."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = relative(path).removesuffix(".py").split("/")[: -node.level] if node.level else []
            module = ".".join([*package, *([node.module] if node.module else [])])
            yield module, node.lineno
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


def is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def provider_folders() -> list[Path]:
    return sorted(
        path
        for path in (ROOT / "adapters").iterdir()
        if path.is_dir() and path.name not in {"kit", "__pycache__"} and any(path.glob("*.py"))
    )
