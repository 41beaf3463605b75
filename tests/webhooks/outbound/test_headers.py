"""Which headers a tenant may add, and that none of them can change how a message is framed or signed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.errors import ValidationFailed
from webhooks.outbound.headers import is_forbidden, merge_headers, vet_headers


def refusals(plain: dict[str, str], sensitive: dict[str, str] | None = None, **given: bool) -> list[str]:
    try:
        vet_headers(plain, sensitive or {}, has_oauth=given.get("has_oauth", False))
    except ValidationFailed as refused:
        return [finding.where for finding in refused.findings]
    return []


@pytest.mark.parametrize(
    "name",
    [
        "Host", "host", "Content-Type", "content-length", "Content-Encoding", "Connection", "Keep-Alive",
        "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Authorization", "Proxy-Connection", "Expect",
        "webhook-id", "Webhook-Signature", "X-Signature-Event", "x-signature-anything", "User-Agent",
        "X-Forwarded-For", "Accept-Encoding",
    ],
)  # fmt: skip
def test_a_header_that_is_ours_or_the_connections_is_refused(name: str):
    assert refusals({name: "x"}) == [f"/headers/{name}"]
    assert refusals({}, {name: "x"}) == [f"/sensitive_headers/{name}"]
    assert is_forbidden(name)


@pytest.mark.parametrize(
    "value",
    ["", " x", "x ", "a\r\nHost: evil", "a\nb", "a\rb", "a\0b", "a\tb", "ä", "\x7f", "a\x1bb", "x\u2028y"],
)
def test_a_value_that_could_become_a_second_header_is_refused(value: str):
    assert refusals({"X-Mine": value}) == ["/headers/X-Mine"]
    assert refusals({}, {"X-Mine": value}) == ["/sensitive_headers/X-Mine"]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä", "x" * 65, "a/b", '"a"', "a\0"])
def test_what_is_no_name_is_refused(name: str):
    assert len(refusals({name: "x"})) == 1


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_is_let_through_is_one_line_of_printable_ascii(name: str, value: str):
    if not refusals({name: value}):
        line = f"{name}: {value}"
        assert line.isascii()
        assert line.isprintable()
        assert ":" not in name


def test_an_authorization_is_sensitive_and_stands_back_for_a_token():
    assert refusals({"Authorization": "Bearer x"}) == ["/headers/Authorization"]
    assert refusals({}, {"authorization": "Bearer x"}) == []
    assert refusals({}, {"authorization": "Bearer x"}, has_oauth=True) == ["/sensitive_headers/authorization"]
    assert is_forbidden("AUTHORIZATION", has_oauth=True)
    assert not is_forbidden("AUTHORIZATION")


def test_there_are_at_most_twenty_headers_of_four_kilobytes_each_name_once():
    twenty = {f"X-H{number}": "x" for number in range(20)}
    assert refusals(twenty) == []
    assert refusals(twenty, {"X-One-More": "x"}) == ["/headers"]
    assert refusals({"X-Long": "x" * 4090}) == []
    assert refusals({"X-Long": "x" * 4091}) == ["/headers"]
    assert refusals({"X-Mine": "a"}, {"x-mine": "b"}) == ["/sensitive_headers/x-mine"]


def test_a_refusal_shows_no_value():
    with pytest.raises(ValidationFailed) as refused:
        vet_headers({}, {"X-Token": "canary\n"}, has_oauth=False)
    assert "canary" not in str(refused.value.findings) + str(refused.value)


def test_a_change_names_what_it_changes_and_null_removes():
    before = {"X-One": "1", "X-Two": "2"}
    assert merge_headers(before, {"x-one": "new", "X-Three": "3"}) == {
        "X-Two": "2",
        "x-one": "new",
        "X-Three": "3",
    }
    assert merge_headers(before, {"x-two": None}) == {"X-One": "1"}
    assert merge_headers(before, {}) == before
    assert merge_headers(before, None) == {}
