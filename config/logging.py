"""One structured line of JSON per unit of work, on standard error or the supervisor's pipe.

Lines carry ids, durations, outcomes and decisions; never personal data, bodies or secrets: a Secret shows
itself as `***`, bytes as their length, and a name that speaks of a secret is masked whatever its value.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import TextIO

from config.secret import MASK, Secret

request_id: ContextVar[str | None] = ContextVar("countersign_request_id", default=None)

_wide = logging.getLogger("countersign.wide")

# Parts of names whose values are masked even if somebody forgot the type.
_SECRET_NAMES = (
    "authorization",
    "cookie",
    "password",
    "secret",
    "token",
    "api_key",
    "private_key",
    "access_code",
)

_DETAIL = re.compile(
    r"^DETAIL: .*?(?=^HINT: |^Traceback |^The above exception|^During handling|\Z)", re.MULTILINE | re.DOTALL
)
_EMAIL = re.compile(r"[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+")

# What every record has by itself; whatever else a record has was given as `extra`.
_OWN_NAMES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "wide", "taskName"}

# Libraries that print what we must not: httpx prints every URL at INFO.
_QUIET = ("httpx", "httpcore", "aiohttp.access", "asyncio", "hpack", "alembic")
# What a tenant's broker says must not fill our log, and its URL not stand there: the attempt says what happened.
_SILENT = ("aio_pika", "aiormq")


def configure_logging(level: str = "info", stream: TextIO | None = None) -> None:
    """Makes the root logger write one JSON object per line; called once, first thing in every process."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def log_wide(event: str, *, level: int = logging.INFO, **ids: object) -> None:
    """The one line of a unit of work, for example `log_wide("envelope.dispatched", envelope_id=..., ...)`."""
    if _wide.isEnabledFor(level):
        _wide.log(level, event, extra={"wide": ids})


@contextmanager
def within_request(identifier: str) -> Iterator[None]:
    """Every line that is logged inside carries this request id."""
    token = request_id.set(identifier)
    try:
        yield
    finally:
        request_id.reset(token)


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
        }
        identifier = request_id.get()
        if identifier is not None:
            line["request_id"] = identifier
        given = {name: value for name, value in vars(record).items() if name not in _OWN_NAMES}
        for name, value in (given | getattr(record, "wide", {})).items():
            line[f"{name}_" if name in line else name] = _presentable(name, value)
        if record.exc_info:
            line["exception"] = _without_values(self.formatException(record.exc_info))
        # ensure_ascii also keeps a line a line: no foreign text can start a new one.
        return json.dumps(line, ensure_ascii=True, default=str)


def _without_values(text: str) -> str:
    """A traceback whose errors quote nobody: PostgreSQL's DETAIL shows whole rows, others show addresses."""
    return _EMAIL.sub("***@***", _DETAIL.sub(f"DETAIL:  {MASK}\n", text))


def _presentable(name: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if _is_secret_name(name):
        return MASK
    match value:
        case Secret():
            return MASK
        case bytes() | bytearray() | memoryview():
            return f"{len(value)} bytes"
        case Enum():
            return value.value
        case list() | tuple() | set() | frozenset():
            return [_presentable(name, item) for item in value]
        case dict():
            return {str(key): _presentable(str(key), item) for key, item in value.items()}
        case datetime():
            return value.isoformat()
    return str(value)


@lru_cache(maxsize=1024)  # a line has a dozen names, and they are always the same
def _is_secret_name(name: str) -> bool:
    lower = name.lower()
    return any(part in lower for part in _SECRET_NAMES)
