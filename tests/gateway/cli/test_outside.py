"""The development services beside a house: told to its processes, and nobody's own carrier replaced."""

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.secret import Secret
from config.settings import Settings
from config.settings_access import AccessSettings
from config.settings_notices import MailSettings, SmsSettings
from config.settings_sealing import SealingSettings
from config.settings_source import load_settings
from gateway.cli.house_plan import HousePlan
from gateway.cli.outside import Outside, outside_environment, outside_process, place_outside

OUTSIDE = Outside(port=8403, smtp_port=8404)


def test_processes_are_told_of_the_development_services_in_settings_that_they_accept():
    settings = load_settings(environ=outside_environment(Settings(), OUTSIDE))
    assert (settings.mail.host, settings.mail.port, settings.mail.tls) == ("127.0.0.1", 8404, "none")
    assert settings.sms.url == "http://127.0.0.1:8403/sms"
    assert settings.access.identity_url == "http://127.0.0.1:8403/identity"
    assert settings.sealing.tsa_urls == ("http://127.0.0.1:8403/authority/tsa",)


def test_what_is_set_up_already_is_left_alone():
    settings = Settings(
        mail=MailSettings(host="smtp.example"),
        sms=SmsSettings(url="https://sms.example", account="a", token=Secret("t"), from_number="+1"),
        access=AccessSettings(identity_url="https://identity.example"),
        sealing=SealingSettings(tsa_urls=("https://stamps.example",)),
    )
    assert outside_environment(settings, OUTSIDE) == {}


def test_services_listen_on_the_ports_after_the_sandboxes_or_on_free_ones():
    asked: list[int] = []
    assert place_outside(8403, asked.append) == OUTSIDE
    assert asked == [8403, 8404]
    chosen = place_outside(0, asked.append)
    assert chosen.port != chosen.smtp_port
    assert asked == [8403, 8404]


def test_port_that_is_taken_is_refused_before_anything_starts():
    def refuse(port: int) -> None:
        raise ConfigError(f"port {port} is taken")

    with pytest.raises(ConfigError, match="port 8403 is taken"):
        place_outside(8403, refuse)


def test_authority_keeps_its_keys_in_the_data_folder_of_the_house(tmp_path: Path):
    plan = HousePlan(data_dir=tmp_path, port=0, keep_sandboxes=True, settings=Settings())
    command = outside_process(plan, OUTSIDE).command
    assert command[command.index("--folder") + 1] == str(tmp_path)
