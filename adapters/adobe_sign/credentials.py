"""The credentials of a connection, where they come from, and which hosts they may lead to.

Two ways in: a refresh token of an OAuth application (preferred), or a long-lived integration key. Must never
let a host through that is neither the provider's own nor named by the connection itself.
Source: developer guide of 2026-04-29, OAuth and baseUris; hosts as published there.
"""

import ipaddress
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec

from adapters.kit.port import Connection, CredentialField
from config.secret import Secret
from normalizer.errors import Finding, ValidationFailed

_PROVIDER_HOST = re.compile(r"api(\.[a-z]{2}\d+)?\.(adobesign\.(com|us)|echosign\.com)\Z")
_DISCOVERY = "https://api.adobesign.com"
_DISCOVERED_DOMAIN = ".adobesign.com"
_DEFAULT_ACCESS_POINT = "https://api.na1.adobesign.com"
_API_PATH = "/api/rest/v6"
_IDLE_LIFE = timedelta(days=60)  # of a refresh token; each use begins it anew


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`client_id` is also what the provider names itself by in webhooks, so it is needed with either way in.
    `api_user` (an e-mail address) is for whom an account-wide token acts.
    """

    client_id: str
    client_secret: Secret = Secret("")
    refresh_token: Secret = Secret("")
    integration_key: Secret = Secret("")
    api_access_point: str = _DEFAULT_ACCESS_POINT
    api_user: str = ""


CREDENTIAL_FIELDS = (
    CredentialField("client_id", "The application's client id; its webhooks carry it too."),
    CredentialField("client_secret", "The application's secret.", secret=True, required=False),
    CredentialField("refresh_token", "Dies after 60 days without use.", secret=True, required=False),
    CredentialField("integration_key", "Instead of secret and refresh token.", secret=True, required=False),
    CredentialField("api_access_point", "https://api.{shard}.adobesign.com", required=False),
    CredentialField("api_user", "For whom an account-wide token acts (e-mail).", required=False),
)


def decode_credentials(raw: bytes) -> Credentials:
    """Raises ValidationFailed."""
    try:
        credentials = msgspec.json.decode(raw, type=Credentials, dec_hook=_secret)
    except msgspec.MsgspecError as error:
        raise ValidationFailed(f"These are no Acrobat Sign credentials: {error}") from error
    findings = tuple(_findings(credentials))
    if findings:
        raise ValidationFailed("The Acrobat Sign credentials are incomplete.", findings)
    return msgspec.structs.replace(credentials, api_access_point=credentials.api_access_point.rstrip("/"))


def credentials_from_settings(settings: Mapping[str, str]) -> bytes | None:
    """From the design documents' ADOBESIGN_ settings; None when they say nothing or `enabled` is false.
    Raises ValidationFailed when they say only a part.
    """
    given = {name.lower(): value for name, value in settings.items() if value}
    if given.get("enabled", "true").lower() in {"false", "0", "no", "off"}:
        return None
    named = {name: given[name] for name in Credentials.__struct_fields__ if name in given}
    if not named.keys() - {"api_access_point"}:
        return None
    raw = msgspec.json.encode(named)
    decode_credentials(raw)
    return raw


def allowed_host(host: str, connection: Connection) -> bool:
    """Whether a request may go to this host (a name, with or without a port)."""
    name = _name_of(host)
    if _PROVIDER_HOST.match(name):
        return True
    own = urlsplit(connection.credentials.api_access_point).hostname or ""
    return bool(name) and name == own and (connection.allow_loopback or not _is_internal(name))


def allowed_url(url: str, connection: Connection) -> bool:
    """Https to an allowed host; http only in development, to the connection's own."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username or parts.password:
        return False
    if parts.scheme != "https" and not (
        parts.scheme == "http" and connection.allow_loopback and _is_internal(parts.hostname)
    ):
        return False
    return allowed_host(parts.hostname, connection)


def discovery_url(credentials: Credentials) -> str:
    """Where the account's home is asked for: the shard-less host knows every account; a server of another
    name answers for itself.
    """
    name = urlsplit(credentials.api_access_point).hostname or ""
    origin = _DISCOVERY if name.endswith(_DISCOVERED_DOMAIN) else credentials.api_access_point
    return f"{origin}{_API_PATH}/baseUris"


def api_base(access_point: str) -> str:
    return access_point.rstrip("/") + _API_PATH


def account_key(connection: Connection) -> str:
    credentials: Credentials = connection.credentials
    return f"{urlsplit(credentials.api_access_point).netloc}/{credentials.client_id}"


def idle_limit(connection: Connection) -> timedelta | None:
    """How long the credentials live without use; an integration key lives its years whether used or not."""
    credentials: Credentials = connection.credentials
    return None if credentials.integration_key else _IDLE_LIFE


def _findings(credentials: Credentials) -> list[Finding]:
    found = []
    if not credentials.client_id:
        found.append(Finding("/client_id", "is empty", "Take it from the application's page."))
    if not credentials.integration_key and not (credentials.client_secret and credentials.refresh_token):
        found.append(
            Finding(
                "/refresh_token",
                "neither client_secret and refresh_token nor integration_key are there",
                "Connect the account again, or make an integration key.",
            )
        )
    parts = urlsplit(credentials.api_access_point)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.path.strip("/"):
        found.append(Finding("/api_access_point", "is not an origin like https://api.na1.adobesign.com"))
    return found


def _name_of(host: str) -> str:
    """A host without its port, lower case; empty for what is none. urlsplit would drop control characters."""
    if not host.isprintable() or " " in host:
        return ""
    return (urlsplit(f"//{host}").hostname or "").lower()


def _is_internal(name: str) -> bool:
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not ipaddress.ip_address(name).is_global
    except ValueError:
        return False


def _secret(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"expected text, got {type(value).__name__}")
