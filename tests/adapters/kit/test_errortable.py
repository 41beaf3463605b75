"""The error table: total, code before status, an operation's own row before the general one."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kit.errortable import CodeRow, ErrorTable, StatusRow, load_error_table, retry_after
from adapters.kit.exchange import ProviderResponse
from adapters.kit.port import DecisionKind

K = DecisionKind
TABLE = ErrorTable(
    (
        CodeRow(provider_code="GONE", kind=K.REJECTED, code="not_found"),
        CodeRow(provider_code="GONE", kind=K.REJECTED, code="state_conflict", operations=("void_envelope",)),
        CodeRow(provider_code="BUSY", kind=K.THROTTLED, code="throttled", retry_after_s=30),
        CodeRow(provider_code="ODD", kind=K.UNKNOWN, statuses=(400,)),
    ),
    (
        StatusRow(status="409", kind=K.THROTTLED, code="busy"),
        StatusRow(status="5xx", kind=K.NOT_SENT, operations=("get_envelope",)),
    ),
)


def response(status: int, body: bytes = b"", **headers: str) -> ProviderResponse:
    return ProviderResponse(
        status=status, headers={n.replace("_", "-"): v for n, v in headers.items()}, body=body
    )


@pytest.mark.parametrize(
    ("operation", "status", "code", "kind", "ours"),
    [
        ("get_envelope", 400, "GONE", K.REJECTED, "not_found"),
        ("get_envelope", 400, "gone", K.REJECTED, "not_found"),
        ("void_envelope", 400, "GONE", K.REJECTED, "state_conflict"),
        ("any", 200, "BUSY", K.THROTTLED, "throttled"),
        ("any", 400, "ODD", K.UNKNOWN, ""),
        ("any", 404, "ODD", K.REJECTED, "not_found"),
        ("any", 409, "", K.THROTTLED, "busy"),
        ("any", 503, "", K.UNKNOWN, "provider_error"),
        ("get_envelope", 503, "", K.NOT_SENT, ""),
        ("any", 401, "", K.AUTH_EXPIRED, "unauthorized"),
        ("any", 403, "never seen", K.REJECTED, "permission"),
        ("any", 418, "", K.REJECTED, "validation"),
        ("any", 302, "", K.REJECTED, "redirected"),
        ("any", 204, "", K.UNKNOWN, "unexpected_status"),
    ],
)
def test_answer_is_decided_by_code_then_status(
    operation: str, status: int, code: str, kind: DecisionKind, ours: str
) -> None:
    decision = TABLE.decide(operation, response(status), provider_code=code)
    assert (decision.kind, decision.code) == (kind, ours)


@given(st.text(), st.integers(100, 999), st.text(), st.binary(max_size=200))
def test_every_answer_has_a_decision(operation: str, status: int, code: str, body: bytes) -> None:
    decision = TABLE.decide(operation, response(status, body), provider_code=code)
    if status >= 500 and not code and operation != "get_envelope":
        assert decision.kind is K.UNKNOWN


def test_wait_comes_from_the_answer_before_the_table() -> None:
    assert TABLE.decide("x", response(429), provider_code="BUSY").retry_after_s == 30
    assert TABLE.decide("x", response(429, retry_after="7"), provider_code="BUSY").retry_after_s == 7
    assert TABLE.decide("x", response(429), provider_code="BUSY", retry_after_s=9).retry_after_s == 9


@pytest.mark.parametrize("value", ["9" * 400, "100000000", "Thu, 15 Jan 2099 12:00:00 GMT"])
def test_wait_beyond_a_day_is_a_day(value: str) -> None:
    assert TABLE.decide("x", response(429, retry_after=value)).retry_after_s == 86_400


def test_two_rows_for_the_same_thing_are_refused() -> None:
    rows = (CodeRow(provider_code="A", kind=K.REJECTED), CodeRow(provider_code="a", kind=K.UNKNOWN))
    with pytest.raises(ValueError, match="two rows"):
        ErrorTable(rows)


def test_file_that_is_not_a_table_is_refused_by_name(tmp_path, monkeypatch) -> None:
    package = tmp_path / "broken_provider"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "errors.toml").write_text('[[code]]\nprovider_code = "A"\nkind = "perhaps"\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match=r"broken_provider/errors.toml"):
        load_error_table("broken_provider")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        ("1.5", 1.5),
        ("Thu, 15 Jan 2026 12:01:00 GMT", 60.0),
        ("soon", None),
        ("-3", None),
        ("", None),
        ("Thu, 15 Jan 99999999999 12:01:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}, datetime(2026, 1, 15, 12, 0, tzinfo=UTC)) == seconds
