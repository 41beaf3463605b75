"""Half a sealing certificate, proofs that lead nowhere, and production without timestamps are refused at the start."""

from pathlib import Path

import pytest

from config.sealing_rules import find_sealing_conflicts
from config.secret import Secret
from config.settings import GeneralSettings, Mode, Settings, SignatureSettings
from config.settings_sealing import SealingSettings, SealLevel


def conflicts(*, mode: Mode = Mode.PRODUCTION, provider: str = "internal", **sealing) -> str:
    settings = Settings(
        countersign=GeneralSettings(mode=mode),
        signature=SignatureSettings(default_provider=provider),
        sealing=SealingSettings(**sealing),
    )
    return "\n".join(find_sealing_conflicts(settings))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "tsa_urls is missing"),
        ({"tsa_urls": ("ftp://stamps.example",)}, "http(s) addresses"),
        ({"tsa_urls": ("https://user@stamps.example",)}, "without a user"),
        ({"certificate_file": Path(__file__)}, "set together"),
        ({"certificate_file": Path("/nowhere.pem"), "key_file": Path("/nowhere.key")}, "there is no file"),
        ({"level": SealLevel.B_LTA}, "trust_roots_file"),
        ({"tsa_username": "house"}, "set together"),
        (
            {"tsa_urls": ("http://stamps.example",), "tsa_username": "house", "tsa_password": Secret("x")},
            "in clear",
        ),
    ],
)
def test_settings_that_cannot_seal_are_refused_with_the_settings_name(given, words):
    assert words in conflicts(**given)


def test_production_on_other_providers_and_development_need_no_timestamp_authority():
    assert conflicts(provider="elsewhere") == ""
    assert conflicts(mode=Mode.DEVELOPMENT) == ""
    assert conflicts(tsa_urls=("https://stamps.example/tsa",)) == ""
