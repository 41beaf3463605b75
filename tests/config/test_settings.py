"""Settings from files and the environment, their documentation, and what production refuses."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.errors import ConfigError
from config.secret import Secret
from config.settings import ENVIRONMENT_PREFIXES, Mode, ProviderEnvironment, Settings
from config.settings_rules import is_default_connection
from config.settings_source import load_settings, section_fields, variable_name

DEFAULTS = Path(__file__).parents[2] / "config" / "defaults.toml"

# Section 9.1 of the design documents: 23 settings.
DESIGNED = {
    "DOCUSIGN_": "enabled integration_key user_id account_id private_key_path environment webhook_url webhook_secret",
    "ADOBESIGN_": "enabled client_id client_secret refresh_token api_access_point webhook_url",
    "SIGNATURE_": (
        "default_provider default_expiration_days default_reminder_frequency_days require_part11_signatures "
        "require_mfa_for_signatures allow_self_signed_certs certificate_key_size audit_retention_days "
        "blockchain_anchoring_enabled"
    ),
}


def production(tmp_path: Path, **changes: str) -> dict[str, str]:
    key = tmp_path / "key.pem"
    key.touch()
    environ = {
        "COUNTERSIGN_MODE": "production",
        "COUNTERSIGN_PUBLIC_BASE_URL": "https://sign.example.com",
        "COUNTERSIGN_BLOB_URL": "s3://documents",
        "COUNTERSIGN_MASTER_KEY_FILE": "/run/secrets/key",
        "DATABASE_URL": "postgresql://countersign_app:f7Gh2kQ@db/countersign",
        "DATABASE_OWNER_URL": "postgresql://countersign_owner:pX9wLm3@db/countersign",
        "DATABASE_HUB_URL": "postgresql://countersign_hub:r5TzVb8@db/countersign",
        "REDIS_URL": "redis://:k2Jn6Yc@redis:6379/0",
        "DOCUSIGN_INTEGRATION_KEY": "ik",
        "DOCUSIGN_USER_ID": "u",
        "DOCUSIGN_ACCOUNT_ID": "a",
        "DOCUSIGN_PRIVATE_KEY_PATH": str(key),
        "DOCUSIGN_WEBHOOK_URL": "https://sign.example.com/webhooks/x",
        "DOCUSIGN_WEBHOOK_SECRET": "h4Rd1tQ8",
    }
    environ |= changes
    return {name: value for name, value in environ.items() if value != "-"}


def documented() -> dict[str, dict[str, tuple[str, str]]]:
    """Section to name to (line of the setting, comment above it)."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    section, comment = "", ""
    for line in DEFAULTS.read_text().splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section, comment = header[1], ""
            found[section] = {}
        elif setting := re.fullmatch(r"(# )?([a-z_0-9]+) = .*", line):
            found[section][setting[2]] = (line, comment)
            comment = ""
        elif line.startswith("# "):
            comment += line[2:]
        else:
            comment = ""
    return found


def test_defaults_file_documents_every_setting_and_no_other() -> None:
    settings = {section: set(section_fields(section)) for section in ENVIRONMENT_PREFIXES}
    assert {section: set(names) for section, names in documented().items()} == settings
    for section, names in documented().items():
        for name, (_, comment) in names.items():
            assert len(comment) > 5, f"[{section}] {name} has no meaning"


def test_defaults_file_gives_the_defaults_of_the_structs() -> None:
    written = tomllib.loads(DEFAULTS.read_text())
    built_in = msgspec.json.decode(msgspec.json.encode(Settings(), enc_hook=str))
    for section in ENVIRONMENT_PREFIXES:
        given = {name: value for name, value in built_in[section].items() if value is not None}
        assert written.get(section, {}) == given
        for name, (line, _) in documented()[section].items():
            assert line.startswith("# ") == (name not in given)
    assert load_settings([DEFAULTS], {}) == Settings()


def test_designed_settings_exist_under_their_prefixes() -> None:
    assert sum(len(names.split()) for names in DESIGNED.values()) == 23
    for prefix, names in DESIGNED.items():
        section = next(section for section, its in ENVIRONMENT_PREFIXES.items() if its == prefix)
        assert set(names.split()) == set(section_fields(section))


def test_environment_wins_over_file_and_file_over_default(tmp_path: Path) -> None:
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text('[http]\nport = 1111\nhost = "127.0.0.2"\nworkers = 2\n')
    second.write_text("[http]\nport = 2222\nworkers = 3\n")
    environ = {
        "COUNTERSIGN_CONFIG": str(second),
        "COUNTERSIGN_HTTP_WORKERS": "4",
        "PATH": "/bin",
        "REDIS_HOST": "x",
    }
    http = load_settings([first], environ).http
    assert (http.host, http.port, http.workers) == ("127.0.0.2", 2222, 4)


def test_values_from_the_environment_have_their_types() -> None:
    settings = load_settings(
        environ={
            "COUNTERSIGN_DISPATCH_LOOK_UP_DELAYS_S": "1, 2.5",
            "COUNTERSIGN_LOOPBACK_ALLOW_LIST": "127.0.0.1:9000,localhost:*",
            "SIGNATURE_REQUIRE_MFA_FOR_SIGNATURES": "false",
            "DOCUSIGN_ENVIRONMENT": "demo",
            "COUNTERSIGN_DATA_DIR": "/var/lib/countersign",
            "COUNTERSIGN_MASTER_KEY": "dev-1:abc",
            "ADOBESIGN_CLIENT_ID": "",
        }
    )
    assert settings.dispatch.look_up_delays_s == (1.0, 2.5)
    assert settings.countersign.loopback_allow_list == ("127.0.0.1:9000", "localhost:*")
    assert settings.signature.require_mfa_for_signatures is False
    assert settings.docusign.environment is ProviderEnvironment.DEMO
    assert settings.countersign.data_dir == Path("/var/lib/countersign")
    assert settings.countersign.master_key == Secret("dev-1:abc")
    assert settings.adobesign.client_id is None
    assert settings.uses_embedded_stores


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("DOCUSIGN_USERID", "DOCUSIGN_USER_ID"),
        ("ADOBESIGN_CLIENT_SECRETS", "ADOBESIGN_CLIENT_SECRET"),
        ("SIGNATURE_DEFAULT_PROVIDERS", "SIGNATURE_DEFAULT_PROVIDER"),
        ("COUNTERSIGN_HTTP_PROT", "COUNTERSIGN_HTTP_PORT"),
        ("DATABASE_OWNER", "DATABASE_OWNER_URL"),
    ],
)
def test_unknown_variable_is_refused_with_the_nearest_known_name(variable: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown variable {variable}; did you mean {nearest}\\?"):
        load_settings(environ={variable: "x"})


def test_unknown_key_and_section_of_a_file_are_refused_together(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[http]\nprot = 1\n[htpt]\nport = 1\n")
    with pytest.raises(ConfigError) as raised:
        load_settings([path], {"DATABASE_POOL_SIZE": "many"})
    text = str(raised.value)
    assert "unknown setting prot in [http]; did you mean port?" in text
    assert "unknown section [htpt]; did you mean http?" in text
    assert "DATABASE_POOL_SIZE" in text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COUNTERSIGN_IDEMPOTENCY_RETENTION_S", "86399"),
        ("COUNTERSIGN_HTTP_PORT", "70000"),
        ("COUNTERSIGN_MODE", "prod"),
        ("COUNTERSIGN_LOOPBACK_ALLOW_LIST", "10.0.0.1:80"),
        ("COUNTERSIGN_LOOPBACK_ALLOW_LIST", "127.0.0.1"),
        ("COUNTERSIGN_PUBLIC_BASE_URL", "ftp://x"),
        ("COUNTERSIGN_DELIVERY_LEASE_S", "10"),
        ("COUNTERSIGN_ACCESS_SMS_PRICES", "49:9,+44:5"),
        ("COUNTERSIGN_ACCESS_SESSION_IDLE_S", "30000"),
        ("COUNTERSIGN_ACCESS_LOCK_S", "90000"),
        ("COUNTERSIGN_ACCESS_CODE_SENDS_PER_DAY", "2"),
        ("COUNTERSIGN_INBOX_BATCHES_IN_FLIGHT", "0"),
        ("SIGNATURE_CERTIFICATE_KEY_SIZE", "1024"),
        ("DATABASE_URL", "postgresql://a:b@c/d"),
        ("DOCUSIGN_USER_ID", "only-one-of-six"),
        ("COUNTERSIGN_CONFIG", "/nowhere/at/all.toml"),
    ],
)
def test_value_out_of_range_or_half_a_configuration_is_refused(variable: str, value: str) -> None:
    with pytest.raises(ConfigError):
        load_settings(environ={variable: value})


def test_refusal_never_shows_a_value(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[database]\npool_size = "canary"\nurl = 5\n')
    with pytest.raises(ConfigError) as raised:
        load_settings([path], {"DATABASE_HUB_URL": "canary", "DOCUSIGN_WEBHOOK_SECRETS": "canary"})
    assert "canary" not in str(raised.value)


def test_secret_settings_are_masked_when_printed(tmp_path: Path) -> None:
    shown = repr(load_settings(environ=production(tmp_path)))
    for canary in ("f7Gh2kQ", "pX9wLm3", "r5TzVb8", "k2Jn6Yc", "h4Rd1tQ8"):
        assert canary not in shown


def test_production_with_everything_in_order_is_accepted(tmp_path: Path) -> None:
    settings = load_settings(environ=production(tmp_path))
    assert settings.is_production
    assert settings.countersign.mode is Mode.PRODUCTION
    assert is_default_connection(settings.docusign)
    assert not is_default_connection(settings.adobesign)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"COUNTERSIGN_MASTER_KEY_FILE": "-", "COUNTERSIGN_MASTER_KEY": "k:x"}, "master_key_file"),
        ({"COUNTERSIGN_MASTER_KEY_FILE": "-"}, "master_key_file is missing"),
        ({"COUNTERSIGN_LOOPBACK_ALLOW_LIST": "127.0.0.1:*"}, "loopback_allow_list"),
        ({"COUNTERSIGN_PUBLIC_BASE_URL": "http://sign.example.com"}, "COUNTERSIGN_PUBLIC_BASE_URL"),
        ({"COUNTERSIGN_PUBLIC_BASE_URL": "https://127.0.0.1"}, "COUNTERSIGN_PUBLIC_BASE_URL"),
        ({"COUNTERSIGN_ACCESS_IDENTITY_URL": "http://idp.example.com"}, "COUNTERSIGN_ACCESS_IDENTITY_URL"),
        ({"DOCUSIGN_WEBHOOK_URL": "http://sign.example.com/x"}, "DOCUSIGN_WEBHOOK_URL"),
        ({"ADOBESIGN_API_ACCESS_POINT": "http://127.0.0.1:9"}, "ADOBESIGN_API_ACCESS_POINT"),
        ({"COUNTERSIGN_BLOB_URL": "-"}, "blob_url"),
        ({"COUNTERSIGN_BLOB_URL": "memory://"}, "blob_url"),
        (
            {"DATABASE_URL": "-", "DATABASE_OWNER_URL": "-", "DATABASE_HUB_URL": "-", "REDIS_URL": "-"},
            "DATABASE_URL",
        ),
        ({"REDIS_URL": "-"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://redis:6379"}, "REDIS_URL has a default password or none"),
        (
            {"DATABASE_URL": "postgresql://countersign_app:postgres@db/x"},
            "DATABASE_URL has a default password",
        ),
        ({"DATABASE_HUB_URL": "postgresql://countersign_hub:countersign_hub@db/x"}, "DATABASE_HUB_URL has"),
        ({"DOCUSIGN_WEBHOOK_SECRET": "changeme"}, "DOCUSIGN_WEBHOOK_SECRET"),
        ({"DOCUSIGN_PRIVATE_KEY_PATH": "/nowhere/key.pem"}, "private_key_path"),
        (
            {"DATABASE_HUB_URL": "postgresql://countersign_app:f7Gh2kQ@db/countersign"},
            "three different roles",
        ),
        ({"SIGNATURE_ALLOW_SELF_SIGNED_CERTS": "true"}, "allow_self_signed_certs"),
    ],
)
def test_production_refuses_what_is_safe_only_on_ones_own_machine(
    tmp_path: Path, change: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        load_settings(environ=production(tmp_path, **change))


def test_every_setting_has_a_variable_of_its_own() -> None:
    names: list[Any] = [
        variable_name(section, name) for section in ENVIRONMENT_PREFIXES for name in section_fields(section)
    ]
    assert len(names) == len(set(names))
