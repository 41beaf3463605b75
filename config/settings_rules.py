"""What settings must be together: half a connection, or development's shortcuts in production, are refused.

Must never repair a setting silently: it names every conflict and leaves the decision to the operator.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from config.notice_rules import find_notice_conflicts
from config.sealing_rules import find_sealing_conflicts
from config.secret import Secret
from config.settings import AdobeSignSettings, DocuSignSettings, Settings
from config.settings_access import AccessSettings

_LOOPBACK_HOSTS = {"127.0.0.1", "localhost", "::1", "[::1]"}
_WELL_KNOWN_PASSWORDS = {
    "", "admin", "change-me", "changeme", "countersign", "default", "guest", "minioadmin", "password",
    "postgres", "redis", "root", "secret", "test", "valkey",
}  # fmt: skip


def find_conflicts(settings: Settings) -> list[str]:
    """One sentence per conflict; empty when the settings fit together."""
    conflicts = [*_incomplete_connections(settings), *_incomplete_stores(settings), *_bad_values(settings)]
    conflicts += find_notice_conflicts(settings)
    conflicts += find_sealing_conflicts(settings)
    if settings.is_production:
        conflicts += _unsafe_in_production(settings)
    return conflicts


def missing_for_connection(section: DocuSignSettings | AdobeSignSettings) -> list[str]:
    """The names that a default connection still needs; empty when it is complete."""
    return [name for name in section.REQUIRED if not getattr(section, name)]


def is_default_connection(section: DocuSignSettings | AdobeSignSettings) -> bool:
    """Whether the section describes a default connection that is to be used."""
    return section.enabled and not missing_for_connection(section)


def _incomplete_connections(settings: Settings) -> Iterator[str]:
    for name, section in (("docusign", settings.docusign), ("adobesign", settings.adobesign)):
        missing = missing_for_connection(section)
        if section.enabled and missing and len(missing) < len(section.REQUIRED):
            yield f"[{name}] is incomplete: {', '.join(missing)} missing (or set enabled = false)"
    key_path = settings.docusign.private_key_path
    if settings.docusign.enabled and key_path is not None and not key_path.is_file():
        yield f"[docusign] private_key_path: there is no file {key_path}"


def _incomplete_stores(settings: Settings) -> Iterator[str]:
    database = settings.database
    given = [database.url, database.owner_url, database.hub_url]
    if any(given) and not all(given):
        yield "DATABASE_URL, DATABASE_OWNER_URL and DATABASE_HUB_URL are set together or not at all"
    elif all(given) and len({url.reveal() for url in given if url is not None}) < 3:
        yield "DATABASE_URL, DATABASE_OWNER_URL and DATABASE_HUB_URL must name three different roles"
    if all(given) != (settings.redis.url is not None):
        yield "the database URLs and REDIS_URL are set together or not at all"


def _bad_values(settings: Settings) -> Iterator[str]:
    general = settings.countersign
    for name, url in _public_urls(settings):
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
            yield f"{name} must be an http(s) address without user and query"
    for entry in general.loopback_allow_list:
        host, _, port = entry.rpartition(":")
        if host not in _LOOPBACK_HOSTS or not (port == "*" or (port.isdecimal() and int(port) < 65_536)):
            yield "[countersign] loopback_allow_list takes host:port or host:* with a loopback host only"
    if general.master_key is not None and general.master_key_file is not None:
        yield "master_key and master_key_file are alternatives; set one"
    if settings.delivery.lease_s <= settings.delivery.total_timeout_s:
        yield "[delivery] lease_s must be longer than total_timeout_s, or a delivery could be made twice"
    yield from _bad_access(settings.access)


def _bad_access(access: AccessSettings) -> Iterator[str]:
    for entry in access.sms_prices:
        country, _, cents = entry.partition(":")
        if not (country.isdecimal() and 1 <= len(country) <= 3 and cents.isdecimal()):
            yield "[access] sms_prices takes calling codes with a price in cents, as 49:9"
    if access.session_idle_s > access.session_absolute_s:
        yield "[access] session_idle_s is longer than session_absolute_s"
    if access.code_sends > access.code_sends_per_day:
        yield "[access] code_sends is more than code_sends_per_day"
    if access.lock_s > access.lock_longest_s:
        yield "[access] lock_s is longer than lock_longest_s"


def _unsafe_in_production(settings: Settings) -> Iterator[str]:
    general = settings.countersign
    if general.loopback_allow_list:
        yield "production: loopback_allow_list is for development"
    if general.master_key is not None:
        yield "production: the master key must come from master_key_file"
    if general.master_key_file is None and general.master_key is None:
        yield "production: master_key_file is missing"
    if general.blob_url is None or general.blob_url.startswith("memory:"):
        yield "production: blob_url is missing or in memory"
    if settings.uses_embedded_stores:
        yield "production: DATABASE_URL, DATABASE_OWNER_URL, DATABASE_HUB_URL and REDIS_URL are missing"
    if settings.signature.allow_self_signed_certs:
        yield "production: allow_self_signed_certs is for development"
    for name, url in _public_urls(settings):
        if urlsplit(url).scheme != "https":
            yield f"production: {name} must begin with https://"
        elif urlsplit(url).hostname in _LOOPBACK_HOSTS:
            yield f"production: {name} names this machine"
    for name, secret in _store_urls(settings):
        if _has_well_known_password(secret, user_needed=name != "REDIS_URL"):
            yield f"production: {name} has a default password or none"
    for name, shared_secret in (
        ("DOCUSIGN_WEBHOOK_SECRET", settings.docusign.webhook_secret),
        ("ADOBESIGN_CLIENT_SECRET", settings.adobesign.client_secret),
    ):
        if shared_secret is not None and shared_secret.reveal().lower() in _WELL_KNOWN_PASSWORDS:
            yield f"production: {name} is a default password"


def _public_urls(settings: Settings) -> Iterator[tuple[str, str]]:
    yield "COUNTERSIGN_PUBLIC_BASE_URL", settings.countersign.public_base_url
    yield "ADOBESIGN_API_ACCESS_POINT", settings.adobesign.api_access_point
    if settings.docusign.webhook_url:
        yield "DOCUSIGN_WEBHOOK_URL", settings.docusign.webhook_url
    if settings.adobesign.webhook_url:
        yield "ADOBESIGN_WEBHOOK_URL", settings.adobesign.webhook_url
    if settings.access.identity_url:
        yield "COUNTERSIGN_ACCESS_IDENTITY_URL", settings.access.identity_url


def _store_urls(settings: Settings) -> Iterator[tuple[str, Secret]]:
    for name, secret in (
        ("DATABASE_URL", settings.database.url),
        ("DATABASE_OWNER_URL", settings.database.owner_url),
        ("DATABASE_HUB_URL", settings.database.hub_url),
        ("REDIS_URL", settings.redis.url),
    ):
        if secret is not None:
            yield name, secret


def _has_well_known_password(url: Secret, *, user_needed: bool) -> bool:
    try:
        parts = urlsplit(url.reveal())
        password = parts.password or ""
    except ValueError:
        return True
    return password.lower() in _WELL_KNOWN_PASSWORDS or (user_needed and password == parts.username)
