"""Settings of mails and text messages that do not fit together are refused at start-up, each by its sentence."""

import re

import pytest

from config.errors import ConfigError
from config.settings_source import load_settings
from tests.config.test_settings import production

SMS = {
    "COUNTERSIGN_SMS_URL": "https://api.sms.example",
    "COUNTERSIGN_SMS_ACCOUNT": "AC1",
    "COUNTERSIGN_SMS_TOKEN": "t7Gh2kQ",
    "COUNTERSIGN_SMS_FROM_NUMBER": "+4930123",
}


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"COUNTERSIGN_MAIL_FROM_ADDRESS": "nobody"}, "from_address is no e-mail address"),
        ({"COUNTERSIGN_MAIL_USERNAME": "house"}, "username and password are set together"),
        (SMS | {"COUNTERSIGN_SMS_TOKEN": ""}, "[sms] is incomplete: token missing"),
        (SMS | {"COUNTERSIGN_SMS_URL": "ftp://x"}, "[sms] url must be an http(s) address"),
        ({"COUNTERSIGN_NOTICES_LEASE_S": "5"}, "lease_s must be longer"),
    ],
)
def test_half_a_carrier_is_refused(environ: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        load_settings(environ=environ)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"SIGNATURE_DEFAULT_PROVIDER": "internal"}, "[mail] host is missing"),
        ({"COUNTERSIGN_MAIL_HOST": "smtp.example", "COUNTERSIGN_MAIL_TLS": "none"}, "in clear"),
        ({"COUNTERSIGN_MAIL_HOST": "smtp.example"}, "from_address must be an address of a domain"),
        (SMS | {"COUNTERSIGN_SMS_URL": "http://api.sms.example"}, "[sms] url must begin with https://"),
    ],
)
def test_production_refuses_to_send_in_clear_or_not_at_all(
    tmp_path, change: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        load_settings(environ=production(tmp_path, **change))


def test_production_takes_a_mail_server_of_its_own_machine_without_tls_and_a_whole_carrier(tmp_path) -> None:
    environ = production(
        tmp_path,
        SIGNATURE_DEFAULT_PROVIDER="internal",
        COUNTERSIGN_MAIL_HOST="127.0.0.1",
        COUNTERSIGN_MAIL_TLS="none",
        COUNTERSIGN_MAIL_FROM_ADDRESS="no-reply@sign.example",
        COUNTERSIGN_SEALING_TSA_URLS="https://time.example/tsa",
        **SMS,
    )
    settings = load_settings(environ=environ)
    assert settings.mail.host == "127.0.0.1"
    assert "t7Gh2kQ" not in repr(settings)
