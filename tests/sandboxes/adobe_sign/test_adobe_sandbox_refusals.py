"""Every row of the refusal table, refused over HTTP with its status and code."""

import httpx
import pytest
from adobe_refusal_cases import CASES
from adobe_refusal_spoilers import SPOILERS, with_changes
from adobe_sandbox_kit import Api, Receiver
from adobe_valid_requests import build_valid

from adapters.adobe_sign.sandbox.refusals import TABLE, Row


def send_refused(api: Api, receiver: Receiver, row: Row) -> httpx.Response:
    case = CASES.get((row.operation, row.trigger))
    if case is not None:
        return case(api, receiver)
    return SPOILERS[row.trigger](api, build_valid(api, row.operation, receiver), row.operation)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.operation}-{row.trigger}")
def test_request_that_the_table_names_is_refused_with_its_status_and_code(
    api: Api, receiver: Receiver, row: Row
) -> None:
    answer = send_refused(api, receiver, row)
    assert (answer.status_code, answer.json()["code"]) == (row.status, row.code), answer.text
    assert answer.json()["message"]


def test_refusal_table_names_no_operation_and_trigger_twice() -> None:
    keys = [(row.operation, row.trigger) for row in TABLE]
    assert len(keys) == len(set(keys))


def test_refusal_case_without_a_row_does_not_exist() -> None:
    rows = {(row.operation, row.trigger) for row in TABLE}
    assert set(CASES) <= rows
    assert set(SPOILERS) <= {row.trigger for row in TABLE}


SPOILED_OPERATIONS = sorted({row.operation for row in TABLE if (row.operation, row.trigger) not in CASES})


@pytest.mark.parametrize("operation", SPOILED_OPERATIONS)
def test_request_that_the_cases_spoil_is_accepted_when_it_is_not_spoilt(
    api: Api, receiver: Receiver, operation: str
) -> None:
    answer = build_valid(api, operation, receiver).send(api) if operation != "create_transient" else None
    assert answer is None or answer.is_success, answer.text


ODD_VALUES = [None, [], {}, "", 0, -1, True, 1e308, "x", [None], [[]], [{}], {"a": 1}, ["\ud83d\ude00"]]


@pytest.mark.parametrize("operation", [op for op in SPOILED_OPERATIONS if op != "create_transient"])
def test_odd_value_in_any_attribute_is_answered_and_is_never_a_server_error(
    api: Api, receiver: Receiver, operation: str
) -> None:
    valid = build_valid(api, operation, receiver)
    api.options(verify_timeout_s=0.05)
    statuses = set()
    for key in valid.body or {}:
        for value in ODD_VALUES:
            statuses.add(with_changes(valid, {key: value}).send(api).status_code)
    assert {status for status in statuses if status >= 500} == set()


def test_optional_attribute_that_is_null_counts_as_absent(api: Api) -> None:
    optional = [
        "expirationTime",
        "firstReminderDelay",
        "reminderFrequency",
        "postSignOption",
        "externalId",
        "ccs",
    ]
    assert api.call("POST", "/agreements", api.body(**dict.fromkeys(optional))).status_code == 201


def test_deeply_nested_and_invalid_utf8_bodies_are_refused_as_json(api: Api) -> None:
    bodies = [b"[" * 100_000, b'{"name": "\xff"}', b"", b"\x00"]
    answers = [api.call("POST", "/agreements", content=body) for body in bodies]
    assert [(each.status_code, each.json()["code"]) for each in answers] == [(400, "INVALID_JSON")] * 4
