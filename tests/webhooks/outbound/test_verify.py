"""The receivers' verifier: it stands alone, takes headers as frameworks have them, and refuses with one exception."""

import ast
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

import webhooks.verify
from tests.webhooks.outbound.make_vectors import (
    AT,
    BODY,
    SECRET,
    SEED,
    public,
    seed,
    sha256,
    standard,
    v1,
    v1a,
)
from webhooks.verify import NotVerified, Verified, verify_any

FILE = Path(webhooks.verify.__file__)


def test_it_imports_the_standard_library_and_cryptography_alone():
    tree = ast.parse(FILE.read_text(encoding="utf-8"))
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


def test_a_copy_verifies_secrets_where_cryptography_is_not_installed(tmp_path: Path):
    (tmp_path / "verify.py").write_bytes(FILE.read_bytes())
    headers = standard(v1(SECRET))
    script = f"""
import sys
sys.modules["cryptography"] = None
from verify import NotVerified, verify_any
print(verify_any({headers!r}, {BODY!r}, [{SECRET!r}], now={AT}).scheme)
try:
    verify_any({headers!r}, {BODY!r}, [{public(SEED)!r}], now={AT})
except NotVerified as refusal:
    print(refusal)
"""
    said = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.splitlines() == ["v1", "key 1 is a public key: install cryptography"]


@pytest.mark.parametrize(
    "shape",
    [
        dict,
        CIMultiDict,
        lambda headers: list(headers.items()),
        lambda headers: [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        lambda headers: iter(headers.items()),
    ],
)
def test_headers_come_as_frameworks_have_them(shape):
    headers = standard(v1(SECRET)) | {"Accept": "*/*", "X-Odd": "ä"}
    assert verify_any(shape(headers), BODY, SECRET, now=AT) == Verified(
        "evt_01", "envelope.completed", AT, "v1"
    )


def test_the_body_may_be_any_kind_of_bytes_and_no_text():
    for body in (bytearray(BODY), memoryview(BODY)):
        assert verify_any(standard(v1(SECRET)), body, [SECRET], now=AT).scheme == "v1"
    with pytest.raises(NotVerified, match="raw bytes"):
        verify_any(standard(v1(SECRET)), BODY.decode(), [SECRET], now=AT)


def test_the_clock_is_the_machines_unless_said_otherwise():
    now = int(time.time())
    assert verify_any(standard(v1(SECRET, at=now), at=now), BODY, SECRET).timestamp == now
    with pytest.raises(NotVerified, match="too old"):
        verify_any(standard(v1(SECRET)), BODY, SECRET)


def test_two_values_of_one_header_are_refused_and_the_same_twice_is_not():
    pairs = list(standard(v1(SECRET)).items())
    assert verify_any([*pairs, pairs[0]], BODY, SECRET, now=AT).id == "evt_01"
    with pytest.raises(NotVerified, match="webhook-id is there twice"):
        verify_any([*pairs, ("Webhook-Id", "evt_02")], BODY, SECRET, now=AT)


@pytest.mark.parametrize(("now", "tolerance_s"), [(float("nan"), 300), (AT, float("nan")), (float("inf"), float("inf")),
                                                  ("now", 300), (AT, None), (10**400, float("inf"))])  # fmt: skip
def test_a_clock_or_tolerance_that_is_no_number_lets_nothing_through(now, tolerance_s):
    with pytest.raises(NotVerified):
        verify_any(standard(v1(SECRET)), BODY, SECRET, now=now, tolerance_s=tolerance_s)


def test_a_refusal_names_no_secret():
    for keys in ([SECRET + "?"], ["whsk_" + SECRET], [SECRET, "short-canary"], ["wh" + SECRET]):
        with pytest.raises(NotVerified) as refused:
            verify_any(standard(v1("x" * 30)), BODY, keys, now=AT)
        assert "AAEC" not in str(refused.value) + repr(refused.value)
        assert "canary" not in str(refused.value)


def test_a_private_key_is_refused_by_name():
    with pytest.raises(NotVerified, match="key 1 is a private key"):
        verify_any(standard(v1a(SEED)), BODY, ["whsk_AAAA"], now=AT)


@pytest.mark.parametrize(
    "body",
    [b"1" * 5000, b"[" * 100_000, b'{"type":1}', b'{"type":""}', b'{"type":"a b"}', b'{"type":"\\ud800"}', b"null",
     b'{"type":"x","id":5}', b'{"type":"x","id":"a.b"}', b'{"type":"x","id":""}'],
)  # fmt: skip
def test_a_signed_body_that_is_no_webhook_is_refused(body: bytes):
    with pytest.raises(NotVerified):
        verify_any(seed(sha256(SECRET, body)), body, SECRET, now=AT)


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), st.binary(max_size=40)
)
NAMES = st.sampled_from([*standard(""), *seed(""), "X-Other"])
VALUES = st.one_of(
    JUNK,
    st.sampled_from(
        [v1(SECRET), v1a(SEED), sha256(SECRET), str(AT), "evt_01", "envelope.completed", "v1,", "v1a,"]
    ),
    st.lists(st.sampled_from([v1(SECRET), "v1,", "v1a,x", ",", "v1", "\u00e9"]), max_size=5).map(" ".join),
)
HEADERS = st.one_of(
    JUNK,
    st.dictionaries(st.one_of(NAMES, JUNK), VALUES, max_size=6),
    st.lists(
        st.one_of(JUNK, st.tuples(NAMES, VALUES), st.tuples(JUNK), st.lists(JUNK, max_size=3)), max_size=6
    ),
)
KEYS = st.one_of(
    JUNK,
    st.lists(
        st.one_of(JUNK, st.sampled_from([SECRET, public(SEED), "whsec_", "whpk_", "whsk_x"])), max_size=4
    ),
)
BODIES = st.one_of(JUNK, st.just(BODY), st.recursive(JUNK.filter(lambda x: not isinstance(x, bytes | float)),
                   lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner),
                   max_leaves=5).map(lambda value: json.dumps(value).encode()))  # fmt: skip


@settings(max_examples=500)
@given(HEADERS, BODIES, KEYS, st.one_of(JUNK, st.just(AT)), st.one_of(JUNK, st.just(300)))
def test_whatever_arrives_is_verified_or_refused_with_one_exception(headers, body, keys, now, tolerance_s):
    try:
        verified = verify_any(headers, body, keys, now=now, tolerance_s=tolerance_s)
    except NotVerified:
        return
    assert (verified.id, body) == ("evt_01", BODY)


@given(st.data())
def test_no_changed_byte_of_a_signed_message_is_let_through(data):
    """In the body, or in a header that is signed or a signature."""
    headers, key = data.draw(
        st.sampled_from([(standard(v1(SECRET)), SECRET), (standard(v1a(SEED)), public(SEED)), (seed(sha256(SECRET)), SECRET)])
    )  # fmt: skip
    parts = {"body": BODY} | {name: value.encode() for name, value in headers.items()}
    name = data.draw(st.sampled_from(sorted(parts)))
    old = parts[name]
    place = data.draw(st.integers(0, len(old) - 1))
    new = data.draw(st.integers(33, 126).filter(lambda byte: byte != old[place]))
    parts[name] = old[:place] + bytes([new]) + old[place + 1 :]
    changed = {part: value.decode() for part, value in parts.items() if part != "body"}
    with pytest.raises(NotVerified):
        verify_any(changed, parts["body"], key, now=AT, tolerance_s=10**13)
