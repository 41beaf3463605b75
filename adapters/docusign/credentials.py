"""What a connection must know to act for a DocuSign account, and which hosts that lets us talk to.

Must never let a host in that is neither DocuSign's nor named by the connection's administrator: the API base
comes from an answer of the provider (userinfo) and would otherwise be a way to send tokens anywhere.
Source: DocuSign, JWT Grant and userinfo documentation.
"""

import functools
import ipaddress
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from adapters.kit.port import Connection, CredentialField
from config.errors import ConfigError
from config.secret import Secret
from normalizer.errors import Finding, ValidationFailed


class Environment(StrEnum):
    """Two worlds that share nothing: keys, consents and Connect configurations are made anew in each."""

    PRODUCTION = "production"
    DEMO = "demo"


_OAUTH_HOST: dict[Environment, str] = {
    Environment.PRODUCTION: "account.docusign.com",
    Environment.DEMO: "account-d.docusign.com",
}
_OWN_DOMAINS = ("docusign.net", "docusign.com")

CREDENTIAL_FIELDS = (
    CredentialField("integration_key", "Client id (GUID) of the integration at DocuSign."),
    CredentialField("user_id", "GUID of the API user on whose behalf the gateway acts."),
    CredentialField("private_key_pem", "RSA private key of the integration, PEM.", secret=True),
    CredentialField("account_id", "Account GUID; empty: the user's default account.", required=False),
    CredentialField("environment", "production or demo; needed unless oauth_base is given.", required=False),
    CredentialField("oauth_base", "Host or URL of the OAuth server; empty: by environment.", required=False),
    CredentialField("api_base", "URL of the API server; empty: as userinfo says.", required=False),
    CredentialField("webhook_secret", "A Connect HMAC key of the account.", secret=True, required=False),
    CredentialField("consent_redirect_uri", "A redirect URI registered at the integration.", required=False),
    CredentialField("id_check_name", "The account's name for knowledge-based checks.", required=False),
)


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """`environment` or `oauth_base` must be given: a forgotten server must not mean the real one."""

    integration_key: str
    user_id: str
    private_key_pem: Secret
    account_id: str = ""
    environment: Environment | None = None
    oauth_base: str = ""
    api_base: str = ""
    webhook_secret: Secret | None = None
    consent_redirect_uri: str = ""
    # The OpenAPI file says "ID Check $", an official example "ID Check": it is the account's own word.
    id_check_name: str = "ID Check $"

    @property
    def oauth_url(self) -> str:
        return _with_scheme(self.oauth_base or _OAUTH_HOST[self.environment or Environment.PRODUCTION])

    @property
    def api_url(self) -> str:
        """Empty when userinfo decides."""
        return _with_scheme(self.api_base) if self.api_base else ""

    @property
    def audience(self) -> str:
        """The JWT's `aud`: the bare host, without scheme or slash."""
        return urlsplit(self.oauth_url).netloc


def decode_credentials(raw: bytes) -> Credentials:
    """Raises ValidationFailed; its text names the attribute and never shows a value."""
    try:
        credentials = msgspec.json.decode(raw, type=Credentials, dec_hook=_decode_secret)
    except msgspec.ValidationError as error:
        raise _refused(str(error)) from error
    except msgspec.DecodeError as error:
        raise _refused("Credentials are a JSON object.") from error
    missing = [
        name for name in ("integration_key", "user_id", "private_key_pem") if not getattr(credentials, name)
    ]
    if not credentials.oauth_base and credentials.environment is None:
        missing.append("environment (or oauth_base)")
    if missing:
        raise _refused(f"Missing: {', '.join(missing)}.")
    return credentials


def credentials_from_settings(settings: Mapping[str, str]) -> bytes | None:
    """JSON credentials from DOCUSIGN_ settings; None when there are none. Raises ConfigError."""
    given = {name.lower(): value for name, value in settings.items() if value}
    if given.get("enabled", "true").casefold() in {"false", "0", "no"} or "integration_key" not in given:
        return None
    missing = [name for name in ("user_id", "account_id", "private_key_path") if name not in given]
    if missing:
        raise ConfigError(f"DOCUSIGN_ settings are incomplete: {', '.join(missing)} missing.")
    try:
        pem = Path(given["private_key_path"]).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("DOCUSIGN_PRIVATE_KEY_PATH does not name a readable PEM file.") from error
    optional = ("environment", "oauth_base", "api_base", "webhook_secret")
    given.setdefault("environment", Environment.PRODUCTION)  # the design documents' default
    return msgspec.json.encode(
        {"private_key_pem": pem}
        | {name: given[name] for name in ("integration_key", "user_id", "account_id")}
        | {name: given[name] for name in optional if name in given}
    )


def credentials_of(connection: Connection) -> Credentials:
    credentials = connection.credentials
    if not isinstance(credentials, Credentials):
        raise TypeError("a DocuSign connection carries DocuSign credentials")
    return credentials


def is_allowed_host(host: str, connection: Connection) -> bool:
    """DocuSign's own domains, and the hosts that the connection names; loopback only when it may."""
    credentials = credentials_of(connection)
    named = (credentials.oauth_url, credentials.api_url)
    return _is_allowed(host, named, allow_loopback=connection.allow_loopback)


@functools.lru_cache(maxsize=1024)  # asked before every request, always with the same few hosts
def _is_allowed(host: str, named_urls: tuple[str, ...], *, allow_loopback: bool) -> bool:
    bare = _bare(host)
    if not bare or (_is_loopback(bare) and not allow_loopback):
        return False
    named = {_bare(urlsplit(url).netloc) for url in named_urls if url}
    return bare in named or any(bare == own or bare.endswith(f".{own}") for own in _OWN_DOMAINS)


def is_allowed_url(url: str, connection: Connection) -> bool:
    """HTTPS to an allowed host; plain http only to a loopback host of a connection that may."""
    parts = urlsplit(url)
    if not is_allowed_host(parts.netloc, connection) or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and connection.allow_loopback)


def _bare(netloc: str) -> str:
    try:
        return (urlsplit(f"//{netloc}").hostname or "").rstrip(".").lower()
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _with_scheme(base: str) -> str:
    return (base if "://" in base else f"https://{base}").rstrip("/")


def _decode_secret(wanted: type, value: Any) -> Any:
    if wanted is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError("expected a string")


def _refused(problem: str) -> ValidationFailed:
    return ValidationFailed("The DocuSign credentials cannot be used.", (Finding("/credentials", problem),))
