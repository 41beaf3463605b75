"""What follows from the design's settings about signers and certificates (B 9.1)."""

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from config.errors import ConfigError
from config.settings import Settings, SignatureSettings
from config.settings_source import load_settings
from engine.ceremony.methods import methods_asked
from engine.certificates.material import check_material, read_pem
from engine.development.authority_keys import Authority, open_authority
from normalizer.errors import ValidationFailed
from normalizer.recipient import AuthenticationMethod, Phone, Recipient, Role
from tests.adapters.kit.fake_provider import MemoryBlobs
from tests.certificates.issued import home_made, key_pem, pem
from tests.conformance.envelopes import contract, person

_M = AuthenticationMethod
GERMAN = Phone("49", "1701234567")
UNLISTED = Phone("999", "1701234567")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return open_authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize(
    ("given", "demanded", "asked"),
    [
        ({}, True, (_M.EMAIL, _M.EMAIL_OTP)),
        ({"phone": GERMAN}, True, (_M.EMAIL, _M.SMS)),
        ({"phone": UNLISTED}, True, (_M.EMAIL, _M.EMAIL_OTP)),
        ({"authentication": _M.ID_VERIFICATION}, True, (_M.EMAIL, _M.ID_VERIFICATION)),
        ({"role": Role.IN_PERSON}, True, (_M.EMAIL, _M.EMAIL_OTP)),
        ({"role": Role.APPROVER}, True, (_M.EMAIL,)),
        ({"role": Role.CARBON_COPY, "phone": GERMAN}, True, (_M.EMAIL,)),
        ({"phone": GERMAN}, False, (_M.EMAIL,)),
    ],
)
def test_second_method_is_asked_of_signers_alone_and_when_it_is_demanded(
    given: dict[str, Any], demanded: bool, asked: tuple[AuthenticationMethod, ...]
):
    settings = Settings(signature=SignatureSettings(require_mfa_for_signatures=demanded))
    recipient: Recipient = person("ada", **given)
    assert methods_asked(settings, contract(MemoryBlobs(), recipient), recipient) == asked


def test_second_method_is_demanded_unless_somebody_switches_it_off():
    assert SignatureSettings().require_mfa_for_signatures is True


@pytest.mark.parametrize(("bits", "least", "is_taken"), [(2048, 2048, True), (2048, 3072, False)])
def test_rsa_key_under_the_least_size_is_refused(authority: Authority, bits: int, least: int, is_taken: bool):
    key = rsa.generate_private_key(65537, bits)
    problems = _problems(SignatureSettings(certificate_key_size=least), authority, key=key)
    assert problems == ([] if is_taken else [f"Its RSA key has {bits} bits; at least {least} are needed."])


def test_least_size_says_nothing_about_elliptic_keys(authority: Authority):
    assert _problems(SignatureSettings(certificate_key_size=8192), authority) == []


@pytest.mark.parametrize(("is_allowed", "count"), [(True, 0), (False, 1)])
def test_self_signed_certificate_is_taken_when_it_is_allowed(is_allowed: bool, count: int):
    problems = _problems(SignatureSettings(allow_self_signed_certs=is_allowed), None)
    assert len([one for one in problems if "self-signed" in one]) == len(problems) == count


def test_self_signed_certificates_are_refused_in_production():
    with pytest.raises(ConfigError, match="allow_self_signed_certs is for development"):
        load_settings(environ={"COUNTERSIGN_MODE": "production", "SIGNATURE_ALLOW_SELF_SIGNED_CERTS": "true"})


def _problems(settings: SignatureSettings, authority: Authority | None, **how: Any) -> list[str]:
    certificate, key = home_made(authority, **how)
    material = read_pem(pem(certificate).encode(), key_pem(key).encode(), None)
    try:
        check_material(material, settings, datetime.now(UTC))
    except ValidationFailed as refused:
        return [one.problem for one in refused.findings]
    return []
