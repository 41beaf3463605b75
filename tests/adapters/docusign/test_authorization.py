"""The JWT grant, the account's API base, and which hosts may be asked."""

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from adapters.docusign.adapter import DocuSign
from adapters.docusign.credentials import is_allowed_host, is_allowed_url
from adapters.kit.exchange import ProviderResponse
from adapters.kit.outcome import AuthFailed, Unknown
from adapters.kit.scripted import Expected, ScriptedExchange, body_of, finish_operation, json_answer
from config.errors import ConfigError
from normalizer.errors import ValidationFailed
from tests.adapters.docusign import samples

ADAPTER = DocuSign()
TOKEN = json_answer({"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600})


def user(*accounts: dict[str, Any]) -> ProviderResponse:
    return json_answer(
        {"sub": "u", "name": "First Last", "created": "2015-08-13T22:03:03.45", "accounts": accounts}
    )


def account(number: int, base: str = "https://na3.docusign.net", **changes: Any) -> dict[str, Any]:
    return {
        "account_id": f"acc-{number}",
        "is_default": False,
        "account_name": "A",
        "base_uri": base,
    } | changes


async def authorize(*answers: Any, connection=None):
    exchange = ScriptedExchange(ADAPTER, [(Expected(), answer) for answer in answers])
    connection = connection or samples.connection()
    outcome = await finish_operation(ADAPTER.authorize(exchange, connection, samples.NOW))
    exchange.finish()
    return outcome, exchange


async def test_authorization_uses_the_configured_account_on_its_own_site() -> None:
    own = samples.connection(credentials=samples.credentials(account_id="ACC-2"))
    got, exchange = await authorize(TOKEN, user(account(1, is_default=True), account(2)), connection=own)
    assert got.api_base == "https://na3.docusign.net/restapi/v2.1/accounts/acc-2"
    assert got.expires_at == samples.NOW + timedelta(seconds=3600)
    assert got.token.reveal() == "t0ken"
    assert ADAPTER.authorization_headers(got) == (("authorization", "Bearer t0ken"),)
    assert [request.authorized for request in exchange.requests] == [False, False]


async def test_authorization_without_account_uses_the_default_one() -> None:
    own = samples.connection(credentials=samples.credentials(account_id=""))
    got, _ = await authorize(TOKEN, user(account(1), account(2, is_default="true")), connection=own)
    assert got.api_base.endswith("/accounts/acc-2")


async def test_assertion_is_a_signed_jwt_for_the_bare_oauth_host() -> None:
    _, exchange = await authorize(TOKEN, user(account(1, account_id=samples.ACCOUNT)))
    form = parse_qs(body_of(exchange.requests[0]).decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    head, claims, signature = form["assertion"][0].split(".")

    def plain(part: str) -> bytes:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    assert json.loads(plain(head)) == {"alg": "RS256", "typ": "JWT"}
    said = json.loads(plain(claims))
    assert said["aud"] == "account-d.docusign.com"
    assert (said["iss"], said["sub"]) == (
        samples.credentials().integration_key,
        samples.credentials().user_id,
    )
    assert said["scope"] == "signature impersonation"
    assert said["iat"] < samples.NOW.timestamp()
    assert said["exp"] - said["iat"] == 3600
    samples.private_key().public_key().verify(
        plain(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )


@pytest.mark.parametrize(
    "base",
    [
        "https://evil.example.com",
        "http://na3.docusign.net",
        "https://docusign.net.evil.example",
        "https://127.0.0.1",
    ],
)
async def test_base_uri_outside_docusign_is_refused(base: str) -> None:
    outcome, _ = await authorize(TOKEN, user(account(1, base, account_id=samples.ACCOUNT)))
    assert isinstance(outcome, AuthFailed)
    assert outcome.provider_code == "host_refused"


async def test_loopback_server_is_refused_unless_the_connection_may() -> None:
    local = samples.credentials(oauth_base="http://127.0.0.1:9", account_id="acc-1")
    refused, exchange = await authorize(connection=samples.connection(credentials=local))
    assert isinstance(refused, AuthFailed)
    assert exchange.requests == []
    got, _ = await authorize(
        TOKEN,
        user(account(1, "http://127.0.0.1:9")),
        connection=samples.connection(credentials=local, allow_loopback=True),
    )
    assert got.api_base == "http://127.0.0.1:9/restapi/v2.1/accounts/acc-1"


async def test_named_api_base_needs_no_userinfo() -> None:
    own = samples.credentials(oauth_base="https://sign.example.com", api_base="https://api.example.com/")
    got, _ = await authorize(TOKEN, connection=samples.connection(credentials=own))
    assert got.api_base == f"https://api.example.com/restapi/v2.1/accounts/{samples.ACCOUNT}"


async def test_missing_consent_names_the_page_that_grants_it() -> None:
    own = samples.credentials(consent_redirect_uri="https://gw.example.com/granted")
    outcome, _ = await authorize(
        json_answer({"error": "consent_required"}, 400), connection=samples.connection(credentials=own)
    )
    assert isinstance(outcome, AuthFailed)
    assert outcome.consent_url == (
        "https://account-d.docusign.com/oauth/auth?response_type=code&scope=signature%20impersonation"
        "&client_id=5a0b0c5a-0000-4000-8000-00000000d0c1&redirect_uri=https%3A%2F%2Fgw.example.com%2Fgranted"
    )


@pytest.mark.parametrize(
    "description", ["no_valid_keys_or_signatures", "issuer_not_found", "user_not_found", "expired"]
)
async def test_invalid_grant_needs_a_person_and_tells_which_part_is_wrong(description: str) -> None:
    answer = json_answer({"error": "invalid_grant", "error_description": description}, 400)
    outcome, _ = await authorize(answer)
    assert isinstance(outcome, AuthFailed)
    assert (outcome.provider_code, outcome.detail, outcome.consent_url) == ("invalid_grant", description, "")


async def test_outage_of_the_oauth_server_is_not_taken_for_bad_credentials() -> None:
    outcome, _ = await authorize(ProviderResponse(status=502, headers={}, body=b"<html>bad gateway</html>"))
    assert isinstance(outcome, Unknown)


async def test_user_without_the_configured_account_needs_a_person() -> None:
    outcome, _ = await authorize(TOKEN, user(account(1)))
    assert isinstance(outcome, AuthFailed)
    assert outcome.provider_code == "account_not_found"


@pytest.mark.parametrize("kind", ["nonsense", "elliptic"])
async def test_unusable_private_key_is_told_without_showing_it(kind: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = "-----BEGIN s3cr3t" if kind == "nonsense" else key.decode()
    outcome, exchange = await authorize(
        connection=samples.connection(credentials=samples.credentials(private_key_pem=pem))
    )
    assert isinstance(outcome, AuthFailed)
    assert "s3cr3t" not in repr(outcome)
    assert exchange.requests == []


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("na3.docusign.net", True),
        ("account.docusign.com:443", True),
        ("DEMO.DOCUSIGN.NET.", True),
        ("docusign.net.evil.example", False),
        ("notdocusign.net", False),
        ("", False),
        ("localhost", False),
        ("[::1]:80", False),
        ("169.254.169.254", False),
    ],
)
def test_only_docusigns_hosts_are_allowed_by_themselves(host: str, allowed: bool) -> None:
    assert is_allowed_host(host, samples.connection()) is allowed


def test_loopback_host_that_the_connection_names_is_allowed_only_where_loopback_is() -> None:
    local = samples.credentials(oauth_base="http://localhost:8080")
    assert not is_allowed_host("localhost:8080", samples.connection(credentials=local))
    assert is_allowed_host("localhost:8080", samples.connection(credentials=local, allow_loopback=True))


def test_host_that_the_connection_names_is_allowed_and_user_info_in_a_url_is_not() -> None:
    own = samples.connection(credentials=samples.credentials(api_base="https://api.example.com"))
    assert is_allowed_host("api.example.com", own)
    assert not is_allowed_host("other.example.com", own)
    assert is_allowed_url("https://na3.docusign.net", own)
    assert not is_allowed_url("https://me@na3.docusign.net", own)
    assert not is_allowed_url("http://na3.docusign.net", own)


# -- credentials ------------------------------------------------------------------------------------------------


def test_credentials_never_show_their_secrets() -> None:
    shown = repr(samples.credentials(webhook_secret="hush"))
    assert "PRIVATE KEY" not in shown
    assert "hush" not in shown


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"integration_key":"i","user_id":"u","private_key_pem":""}',
        b'{"integration_key":"i","user_id":"u","private_key_pem":"p"}',
        b'{"integration_key":"i","user_id":"u","private_key_pem":7,"environment":"demo"}',
        b'{"integration_key":"i","user_id":"u","private_key_pem":"p","environment":"staging"}',
    ],
)
def test_incomplete_credentials_are_refused(raw: bytes) -> None:
    with pytest.raises(ValidationFailed):
        ADAPTER.decode_credentials(raw)


def test_settings_make_credentials_for_production_unless_they_say_demo(tmp_path) -> None:
    key = tmp_path / "key.pem"
    key.write_text(samples.private_key_pem())
    settings = {
        "ENABLED": "true",
        "INTEGRATION_KEY": "i",
        "USER_ID": "u",
        "ACCOUNT_ID": "a",
        "PRIVATE_KEY_PATH": str(key),
        "WEBHOOK_URL": "https://gw.example.com/hook",
        "WEBHOOK_SECRET": "hush",
    }
    raw = ADAPTER.credentials_from_settings(settings)
    assert raw is not None
    read = ADAPTER.decode_credentials(raw)
    assert read.oauth_url == "https://account.docusign.com"
    assert read.webhook_secret is not None
    demo = ADAPTER.credentials_from_settings(settings | {"ENVIRONMENT": "demo"})
    assert demo is not None
    assert ADAPTER.decode_credentials(demo).audience == "account-d.docusign.com"


def test_settings_that_are_unset_or_switched_off_make_no_credentials() -> None:
    assert ADAPTER.credentials_from_settings({}) is None
    assert ADAPTER.credentials_from_settings({"ENABLED": "false", "INTEGRATION_KEY": "i"}) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"INTEGRATION_KEY": "i"},
        {"INTEGRATION_KEY": "i", "USER_ID": "u", "ACCOUNT_ID": "a", "PRIVATE_KEY_PATH": "/nowhere"},
    ],
)
def test_half_of_the_settings_is_a_start_up_error(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="DOCUSIGN_"):
        ADAPTER.credentials_from_settings(settings)
