"""A provider's words without anybody's secrets."""

import msgspec
import pytest

from adapters.kit.masking import mask_text, secrets_of
from config.secret import Secret


@pytest.mark.parametrize(
    ("text", "leak"),
    [
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ('{"access_token": "s3cr3t-value", "x": 1}', "s3cr3t-value"),
        ("recipient bob.o'neil+x@mail.example.com is unknown", "example.com"),
        ("code eyJhbGciOi.eyJzdWIiOiIx.c2lnbmF0dXJl is old", "eyJzdWIi"),
        ("accessCode=1234 is wrong", "1234"),
        ("call +49 (170) 123-45-67 9", "123-45"),
        ("key " + "A1b2" * 20, "A1b2A1b2"),
        ("our own pass phrase hunter2!", "hunter2!"),
        ("line one\nfake.log entry=1\x1b[31m", "\n"),
    ],
)
def test_text_with_a_secret_is_masked(text: str, leak: str) -> None:
    masked = mask_text(text, secrets=("hunter2!",))
    assert leak not in masked
    assert masked


def test_ordinary_text_and_ids_stay_readable() -> None:
    text = "The envelope 5f0c2a9e-77aa-4b2f-9a57-0e5b2d6d3b11 is in state completed (code 409)."
    assert mask_text(text) == text


def test_long_text_is_cut() -> None:
    assert len(mask_text("word " * 1000)) == 300


def test_every_secret_of_a_credentials_struct_is_found() -> None:
    class Inner(msgspec.Struct):
        keys: tuple[Secret, ...]

    class Credentials(msgspec.Struct):
        account: str
        key: Secret
        inner: Inner
        more: dict[str, Secret]

    credentials = Credentials(
        "acc", Secret("one"), Inner((Secret("two"), Secret("three"))), {"x": Secret("four")}
    )
    assert sorted(secrets_of(credentials)) == ["four", "one", "three", "two"]
