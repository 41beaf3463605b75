"""The lists in the documents, made from the things they list.

`python -m tests.docs.lists` (make docs) rewrites the marked blocks of docs/*.md; a test compares them. Between
`<!-- list: name -->` and `<!-- end -->` nothing is written by hand.
"""

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from adapters.kit.registry import adapters
from config.settings import ENVIRONMENT_PREFIXES
from config.settings_source import section_fields, variable_name
from gateway.http import routes
from gateway.tenants.scopes import Scope
from normalizer.capabilities import Capabilities, Support
from normalizer.envelope import SignatureLevel
from normalizer.field import FieldType
from normalizer.recipient import AuthenticationMethod, Role
from normalizer.status import ALLOWED, EnvelopeStatus
from normalizer.vocabulary import VOCABULARY
from tests.docs.event_lists import event_catalogue, event_schemas

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"(<!-- list: (?P<name>[a-z-]+) -->\n)(?P<text>.*?)(<!-- end -->)", re.DOTALL)


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def webhook_events() -> str:
    rows = (
        (f"`{word.webhook}`", f"`{word.ledger}`", word.meaning)
        for word in VOCABULARY.values()
        if word.webhook is not None
    )
    return _table(("webhook type", "ledger type", "meaning"), rows)


def ledger_events() -> str:
    rows = ((f"`{word.ledger}`", word.meaning) for word in VOCABULARY.values() if word.webhook is None)
    return _table(("ledger type", "meaning"), rows)


def other_names() -> str:
    rows = ((f"`{also}`", f"`{word.ledger}`") for word in VOCABULARY.values() for also in word.also)
    return _table(("name in the design documents", "recorded as"), rows)


def status_moves() -> str:
    rows = (
        (
            f"`{status}`",
            ", ".join(f"`{to}`" for to in EnvelopeStatus if to in ALLOWED[status]) or "none: it has ended",
        )
        for status in EnvelopeStatus
        if status is not EnvelopeStatus.UNKNOWN
    )
    return _table(("from", "to"), rows)


def capabilities() -> str:
    every = adapters()
    head = ("capability", *(f"`{name}`" for name in every))

    def rows() -> Iterator[tuple[str, ...]]:
        for title, kinds, pick in (
            ("role", Role, lambda one: one.roles),
            ("authentication", AuthenticationMethod, lambda one: one.authentication),
            ("field", FieldType, lambda one: one.fields),
            ("signature level", SignatureLevel, lambda one: one.signature_levels),
        ):
            for kind in kinds:
                yield (
                    f"{title} `{kind}`",
                    *(_support(pick(one.capabilities).get(kind)) for one in every.values()),
                )
        for name in Capabilities.__struct_fields__:
            if name not in {"roles", "authentication", "fields", "signature_levels"}:
                yield (
                    name.replace("_", " "),
                    *(_value(getattr(one.capabilities, name)) for one in every.values()),
                )

    return _table(head, rows())


def _support(support: Support | None) -> str:
    return "refused" if support is None else str(support)


def _value(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case frozenset():
            return ", ".join(f"`{one}`" for one in sorted(value))
        case _:
            return str(value)


def route_rows(handlers: list, prefix: str) -> Iterator[tuple[str, ...]]:
    for handler in handlers:
        for method in sorted(str(one) for one in handler.http_methods if str(one) not in {"HEAD", "OPTIONS"}):
            for path in sorted(handler.paths):
                yield (
                    method,
                    f"`{prefix}{re.sub(r':[a-z]+}', '}', path)}`",
                    _scope(handler.opt.get("scope")),
                    _first_sentence(handler.fn.__doc__ or ""),
                )


def _scope(scope: Scope | None) -> str:
    return f"`{scope}`" if scope else "none"


def _first_sentence(text: str) -> str:
    flat = " ".join(text.split())
    return flat if ". " not in flat else flat.partition(". ")[0] + "."


def tenant_routes() -> str:
    return _table(("method", "path", "scope", "what it does"), route_rows(routes.TENANT_ROUTES, routes.API))


def admin_routes() -> str:
    return _table(("method", "path", "scope", "what it does"), route_rows(routes.ADMIN_ROUTES, routes.ADMIN))


def open_routes() -> str:
    rows = [
        *route_rows(routes.INBOUND_ROUTES, routes.INBOUND),
        *route_rows(routes.OPEN_ROUTES, ""),
        *route_rows(routes.PREPARE_ROUTES, ""),
    ]
    return _table(
        ("method", "path", "what it does"), ((method, path, does) for method, path, _, does in rows)
    )


def settings() -> str:
    text = (DOCS.parent / "config" / "defaults.toml").read_text(encoding="utf-8")
    defaults = tomllib.loads(text)
    meanings = _meanings(text)

    def rows() -> Iterator[tuple[str, ...]]:
        for section in ENVIRONMENT_PREFIXES:
            for name in section_fields(section):
                value = defaults[section].get(name)
                shown = (
                    "none"
                    if value is None
                    else f"`{str(value).lower() if isinstance(value, bool) else value}`"
                )
                yield (
                    f"`[{section}] {name}`",
                    f"`{variable_name(section, name)}`",
                    shown,
                    meanings[section, name],
                )

    return _table(("setting", "variable", "default", "meaning"), rows())


def _meanings(text: str) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    section, comment = "", []
    for line in text.splitlines():
        setting = re.match(r"(?:# )?([a-z0-9_]+) = ", line)
        if line.startswith("["):
            section, comment = line.strip("[]"), []
        elif setting:
            found[section, setting[1]] = " ".join(comment)
            comment = []
        elif line.startswith("# "):
            comment.append(line.removeprefix("# "))
        else:
            comment = []
    return found


LISTS: dict[str, Callable[[], str]] = {
    "webhook-events": webhook_events,
    "event-catalogue": event_catalogue,
    "event-schemas": event_schemas,
    "ledger-events": ledger_events,
    "other-names": other_names,
    "status-moves": status_moves,
    "capabilities": capabilities,
    "tenant-routes": tenant_routes,
    "admin-routes": admin_routes,
    "open-routes": open_routes,
    "settings": settings,
}


def rewritten(text: str) -> str:
    return BLOCK.sub(lambda found: f"{found[1]}{LISTS[found['name']]()}{found[4]}", text)


def documents() -> list[Path]:
    return [path for path in sorted(DOCS.rglob("*.md")) if BLOCK.search(path.read_text(encoding="utf-8"))]


if __name__ == "__main__":
    for path in documents():
        path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
