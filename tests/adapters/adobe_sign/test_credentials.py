"""Credentials, settings and hosts: nothing half, nothing shown, nothing led astray."""

import json

import msgspec
import pytest

from adapters.adobe_sign import ADAPTER
from adapters.adobe_sign.credentials import allowed_url
from adapters.kit.outcome import AuthFailed
from adapters.kit.scripted import Expected, ScriptedExchange, finish_operation
from normalizer.errors import ValidationFailed
from tests.adapters.adobe_sign.probe import answer
from tests.adapters.adobe_sign.samples import BASE, NOW, connection

TOKEN = answer({"access_token": "token-1", "token_type": "Bearer", "expires_in": 3600})


def script(*answers) -> ScriptedExchange:
    return ScriptedExchange(ADAPTER, [(Expected(), each) for each in answers])


async def test_refresh_token_becomes_an_hour_at_the_home_shard() -> None:
    exchange = script(TOKEN, answer({"apiAccessPoint": "https://api.eu1.adobesign.com/"}))
    got = await ADAPTER.authorize(exchange, connection(), NOW)
    exchange.finish()
    assert got.api_base == "https://api.eu1.adobesign.com/api/rest/v6"
    assert (got.expires_at - NOW).total_seconds() == 3600
    assert ADAPTER.authorization_headers(got) == (("Authorization", "Bearer token-1"),)
    assert "token-1" not in repr(got)


async def test_integration_key_is_the_token_itself() -> None:
    made = connection(
        credentials={
            "integration_key": "key-1",
            "client_secret": "",
            "refresh_token": "",
            "api_user": "a@x.example",
        }
    )
    exchange = script(answer({"apiAccessPoint": "https://api.na1.adobesign.com/"}))
    got = await ADAPTER.authorize(exchange, made, NOW)
    assert got.token.reveal() == "key-1"
    assert dict(exchange.requests[0].headers)["x-api-user"] == "email:a@x.example"


@pytest.mark.parametrize(
    "home",
    [
        "https://api.na1.adobesign.com.evil.example/",
        "https://evil.example/",
        "http://api.na1.adobesign.com/",
        "https://user:pw@api.na1.adobesign.com/",
        "https://169.254.169.254/",
        "https://127.0.0.1/",
        "ftp://api.na1.adobesign.com/",
        "",
    ],
)
async def test_discovery_that_leads_elsewhere_is_refused(home) -> None:
    outcome = await finish_operation(
        ADAPTER.authorize(script(TOKEN, answer({"apiAccessPoint": home})), connection(), NOW)
    )
    assert isinstance(outcome, AuthFailed)
    assert outcome.provider_code == "API_ACCESS_POINT_REFUSED"


@pytest.mark.parametrize(
    ("base", "allow_loopback", "allowed"),
    [
        ("http://127.0.0.1:8080", True, True),
        ("http://127.0.0.1:8080", False, False),
        ("https://127.0.0.1:8080", False, False),
        ("http://sign.example.com", True, False),
        ("https://sign.example.com", False, True),
        ("https://10.0.0.7", False, False),
    ],
)
async def test_own_server_is_allowed_by_name_and_loopback_in_development_only(
    base, allow_loopback, allowed
) -> None:
    made = connection(credentials={"api_access_point": base}, allow_loopback=allow_loopback)
    assert allowed_url(base, made) is allowed
    if not allowed:
        outcome = await finish_operation(ADAPTER.authorize(script(), made, NOW))
        assert isinstance(outcome, AuthFailed)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("api.adobesign.com", True),
        ("API.NA1.ADOBESIGN.COM:443", True),
        ("api.na1.echosign.com", True),
        ("api.us1.adobesign.us", True),
        ("secure.na1.adobesign.com", False),
        ("api.na1.adobesign.com.evil.example", False),
        ("xapi.na1.adobesign.com", False),
        ("api.na1.adobesign.com\n", False),
        ("127.0.0.1", False),
        ("[::1]", False),
        ("", False),
    ],
)
def test_host_is_the_providers_own_or_refused(host, allowed) -> None:
    assert ADAPTER.allowed_host(host, connection()) is allowed


def test_design_settings_become_credentials() -> None:
    raw = ADAPTER.credentials_from_settings(
        {
            "ENABLED": "true",
            "CLIENT_ID": "c",
            "client_secret": "s",
            "REFRESH_TOKEN": "r",
            "API_ACCESS_POINT": BASE,
            "WEBHOOK_URL": "https://gw.example.com/x",
        }
    )
    assert json.loads(raw) == {
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "r",
        "api_access_point": BASE,
    }
    decoded = ADAPTER.decode_credentials(raw)
    assert decoded.refresh_token.reveal() == "r"
    assert "'r'" not in repr(decoded)


@pytest.mark.parametrize(
    "settings", [{}, {"enabled": "false", "client_id": "c"}, {"api_access_point": BASE}, {"client_id": ""}]
)
def test_unset_settings_make_no_connection(settings) -> None:
    assert ADAPTER.credentials_from_settings(settings) is None


def test_half_settings_are_an_error_that_names_what_is_missing() -> None:
    with pytest.raises(ValidationFailed) as raised:
        ADAPTER.credentials_from_settings({"client_id": "c"})
    assert [finding.where for finding in raised.value.findings] == ["/refresh_token"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b'{"client_id": "c", "client_secret": 5, "refresh_token": "r"}',
        b'{"client_id": "c", "client_secret": "s", "refresh_token": "r", "typo": 1}',
        b'{"client_id": "c", "client_secret": "s", "refresh_token": "r", "api_access_point": "nowhere"}',
        b'{"client_id": "c", "integration_key": "k", "api_access_point": "https://x.example/path"}',
    ],
)
def test_unusable_credentials_are_refused(raw) -> None:
    with pytest.raises(ValidationFailed):
        ADAPTER.decode_credentials(raw)


def test_credential_fields_name_every_credential() -> None:
    declared = {each.name: each.secret for each in ADAPTER.credential_fields}
    decoded = connection().credentials
    assert set(declared) == set(decoded.__struct_fields__)
    secret = {each.name for each in msgspec.structs.fields(decoded) if each.type.__name__ == "Secret"}
    assert {name for name, is_secret in declared.items() if is_secret} == secret


def test_account_is_host_and_application() -> None:
    assert ADAPTER.account_key(connection()) == "api.na1.adobesign.com/client-1"
