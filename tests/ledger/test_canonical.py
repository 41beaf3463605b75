"""The canonical form equals RFC 8785 inside the profile, in all three encoders that Countersign uses."""

import json
import random

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.verify import _decode_canonical
from normalizer.canonical import NotCanonical, canonical_bytes

LARGEST = 2**53 - 1
keys = st.text("abcXYZ019_.-", min_size=1, max_size=8)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | texts
documents = st.dictionaries(
    keys,
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=6,
)


@given(documents)
@settings(max_examples=300, deadline=None)
def test_canonical_form_of_any_document_of_the_profile_is_rfc_8785(document):
    encoded = canonical_bytes(document)
    assert encoded == rfc8785.dumps(document)
    assert _decode_canonical(encoded) == document


def test_canonical_form_of_60000_random_documents_is_the_same_in_three_encoders():
    # A fixed seed: this is the long list, hypothesis is the search.
    source = random.Random(8785)
    letters = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789_.-"
    planes = [(0, 0x1F), (0x20, 0x7E), (0x7F, 0x2FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF)]

    def make_text():
        return "".join(chr(source.randint(*source.choice(planes))) for _ in range(source.randrange(6)))

    def make_value(depth):
        match source.randrange(8 if depth else 5):
            case 0:
                return source.choice((None, True, False))
            case 1:
                return source.choice((0, -1, LARGEST, -LARGEST, source.randint(-LARGEST, LARGEST)))
            case 2 | 3 | 4:
                return make_text()
            case 5:
                return [make_value(depth - 1) for _ in range(source.randrange(3))]
            case _:
                return make_document(depth - 1)

    def make_document(depth):
        return {
            "".join(source.choices(letters, k=source.randint(1, 5))): make_value(depth)
            for _ in range(source.randrange(4))
        }

    for _ in range(60_000):
        document = make_document(2)
        encoded = canonical_bytes(document)
        assert encoded == rfc8785.dumps(document)
        assert (
            encoded
            == json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        )


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), LARGEST + 1, -LARGEST - 1, {"é": 1}, {"": 1}, {1: 2}, "\ud800", b"x", {"a": [0.5]}],
)
def test_value_outside_the_profile_has_no_canonical_form(value):
    with pytest.raises(NotCanonical):
        canonical_bytes(value)


@pytest.mark.parametrize(
    "body",
    [
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":NaN}',
        b'{"a":9007199254740992}',
        b'{"\xc3\xa9":1}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":-0}',
        b"[]",
        b"\xff",
        b"",
    ],
)
def test_stand_alone_verifier_refuses_other_forms_of_a_body(body):
    with pytest.raises(ValueError):
        _decode_canonical(body)


def test_sorted_encoder_of_structs_keeps_the_canonical_order():
    class Pair(msgspec.Struct):
        b: int
        a: int

    assert msgspec.json.Encoder(order="sorted").encode(Pair(1, 2)) == b'{"a":2,"b":1}'
