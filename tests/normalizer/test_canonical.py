"""Canonical JSON inside our profile is RFC 8785's, and what is outside is refused."""

import json
import math

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from normalizer.canonical import NotCanonical, canonical_bytes

KEYS = st.text(alphabet="abcxyzABC019_.-", min_size=1, max_size=8)
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_the_bytes_are_those_of_rfc_8785(value: object) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(VALUES)
def test_the_bytes_say_the_same_as_the_value_and_are_stable(value: object) -> None:
    written = canonical_bytes(value)  # type: ignore[arg-type]
    assert json.loads(written) == value
    assert canonical_bytes(msgspec.json.decode(written)) == written


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        math.nan,
        2**53,
        -(2**53),
        {"ü": 1},
        {"": 1},
        {"a b": 1},
        {1: 2},
        {"a": [{"b": 0.1}]},
        b"x",
        {"x"},
        "\ud800",
    ],
    ids=repr,
)
def test_what_cannot_be_written_one_way_only_is_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical_bytes(value)  # type: ignore[arg-type]
