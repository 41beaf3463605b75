"""Secrets that do not show themselves, clocks, log lines and the quick exit."""

import copy
import io
import json
import logging
import pickle
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import asyncpg
import msgspec
import pytest

from config.clock import Clock, FixedClock, SystemClock
from config.logging import configure_logging, log_wide, within_request
from config.secret import Secret
from tests.fixtures.store import Store

CANARY = "canary-4711"


def test_secret_shows_itself_only_when_revealed() -> None:
    secret = Secret(CANARY)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>20}",
        f"{[secret]}",
        f"{secret!r}",
    ]
    assert not any(CANARY in text for text in shown)
    assert secret.reveal() == CANARY


@pytest.mark.parametrize(
    "serialise", [msgspec.json.encode, json.dumps, pickle.dumps, msgspec.to_builtins, vars]
)
def test_secret_is_refused_by_serialisers(serialise) -> None:
    with pytest.raises(TypeError):
        serialise(Secret(CANARY))


def test_secret_is_compared_by_text_and_cannot_be_changed() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")
    assert copy.deepcopy(Secret(CANARY)).reveal() == CANARY
    with pytest.raises(AttributeError):
        Secret("a").text = "b"  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        Secret(b"bytes")  # type: ignore[arg-type]


def test_fixed_clock_stands_still_until_it_is_advanced() -> None:
    clock = FixedClock(datetime(2026, 3, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    before = clock.monotonic()
    assert clock.now() == clock.now() == datetime(2026, 3, 1, tzinfo=UTC)
    clock.advance(timedelta(minutes=1))
    clock.jump_to(datetime(2020, 1, 1, tzinfo=UTC))
    assert clock.monotonic() - before == 60
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="aware"):
        FixedClock(datetime(2026, 1, 1))  # noqa: DTZ001


def test_both_clocks_fit_the_port_and_are_aware() -> None:
    for clock in (SystemClock(), FixedClock()):
        assert isinstance(clock, Clock)
        assert clock.now().utcoffset() == timedelta(0)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("info", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_wide_line_is_one_json_object_with_masked_secrets(lines: io.StringIO) -> None:
    with within_request("req-1"):
        log_wide(
            "envelope.dispatched",
            envelope_id=UUID(int=1),
            duration_ms=1.5,
            url=Secret(CANARY),
            webhook_secret=CANARY,
            headers={"Authorization": CANARY, "host": "a\nb"},
            body=CANARY.encode(),
            refs=["x", Secret(CANARY)],
        )
    log_wide("later")
    text = lines.getvalue()
    assert CANARY not in text
    first, second = (json.loads(line) for line in text.splitlines())
    assert first["event"] == "envelope.dispatched"
    assert first["request_id"] == "req-1"
    assert first["envelope_id"] == str(UUID(int=1))
    assert first["duration_ms"] == 1.5
    assert first["headers"] == {"Authorization": "***", "host": "a\nb"}
    assert (first["body"], first["refs"]) == ("11 bytes", ["x", "***"])
    assert "request_id" not in second


def test_fields_given_to_any_logger_stand_on_the_line_and_are_masked(lines: io.StringIO) -> None:
    told = {"provider": "acme", "event": "of theirs", "refresh_token": "canary", "why": Secret("canary")}
    logging.getLogger("countersign.provider").warning("provider.called", extra=told)
    line = json.loads(lines.getvalue())
    assert (line["event"], line["event_"], line["provider"]) == ("provider.called", "of theirs", "acme")
    assert "canary" not in lines.getvalue()


def test_foreign_text_cannot_begin_a_line_of_its_own(lines: io.StringIO) -> None:
    logging.getLogger("somebody").warning("name is %s", 'x\n{"event": "forged"}\u2028')
    (line,) = lines.getvalue().splitlines()
    assert json.loads(line)["event"].startswith("name is x\n")


def test_http_client_does_not_print_urls_and_exceptions_stay_on_the_line(lines: io.StringIO) -> None:
    logging.getLogger("httpx").info("HTTP Request: GET https://host/?code=%s", CANARY)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("countersign").exception("failed")
    (line,) = lines.getvalue().splitlines()
    assert "ValueError: broken" in json.loads(line)["exception"]


def test_exit_now_flushes_what_was_printed_and_gives_the_status() -> None:
    code = "from config.exit import exit_now; print('last words', end=''); exit_now(3)"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False)
    assert (done.returncode, done.stdout) == (3, b"last words")


async def test_exception_is_logged_without_the_rows_and_addresses_that_it_quotes(
    store: Store, lines: io.StringIO
) -> None:
    await store.owner.execute("CREATE TABLE people (email text, name text, age integer NOT NULL)")
    person = ("ada@example.com", "Ada\nLovelace")
    try:
        try:
            await store.owner.execute("INSERT INTO people VALUES ($1, $2, NULL)", *person)
        except asyncpg.NotNullViolationError as error:
            raise ValueError(f"{person[0]} is not welcome") from error
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = [text for text in lines.getvalue().splitlines() if '"failed"' in text]
    text = json.loads(line)["exception"]
    assert "NotNullViolationError" in text
    assert text.endswith("ValueError: ***@*** is not welcome")
    assert not any(personal in text for personal in ("Failing row", "example.com", "\nLovelace"))
