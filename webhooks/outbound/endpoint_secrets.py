"""The secrets beside the signing secret: sensitive headers, the client's key, OAuth's and the broker's secret.

They are written and never read back by a tenant. So whoever may change an endpoint must not learn them by leading
them elsewhere: where a secret goes to another server, it is given anew. Must never show a value, in a finding
neither.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from yarl import URL

from config.database import Transaction
from config.secret import Secret
from config.vault import Vault
from normalizer.errors import Finding, ValidationFailed
from webhooks.outbound.client_certificate import vet_client_certificate
from webhooks.outbound.endpoint import Configuration, EndpointChange, NewEndpoint
from webhooks.outbound.headers import vet_headers
from webhooks.outbound.sinks.target import SinkKind
from webhooks.outbound.sinks.vet import read_credentials
from webhooks.outbound.vaulted import SecretColumn, seal_headers, seal_secret

_LONGEST_OAUTH_SECRET = 1000


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets of a request. UNSET: not mentioned; None: to be removed."""

    sensitive_headers: Mapping[str, Secret | None] | UnsetType | None = UNSET
    client_key: Secret | UnsetType | None = UNSET
    oauth_secret: Secret | UnsetType | None = UNSET
    sink_secret: Secret | UnsetType | None = UNSET


class Kept(msgspec.Struct, frozen=True):
    """What is there before: the configuration, the sealed columns, and the sensitive headers opened."""

    configuration: Configuration
    sealed: Mapping[str, bytes | None]
    headers: Mapping[str, Secret]

    def has(self, column: SecretColumn) -> bool:
        return self.sealed[column.value] is not None


def given_by(request: NewEndpoint | EndpointChange) -> Given:
    if isinstance(request, EndpointChange):
        return Given(**{name: getattr(request, name) for name in Given.__struct_fields__})
    return Given(
        sensitive_headers=request.sensitive_headers or UNSET,
        client_key=request.client_key or UNSET,
        oauth_secret=request.oauth_secret or UNSET,
        sink_secret=request.sink_secret or UNSET,
    )


def vet_secrets(
    after: Configuration, given: Given, headers: Mapping[str, Secret], kept: Kept | None, *, now: datetime
) -> None:
    """`headers`: the sensitive ones as they will be. Raises ValidationFailed."""
    vet_headers(
        after.headers,
        {name: value.reveal() for name, value in headers.items()},
        has_oauth=after.oauth is not None,
    )
    findings: list[Finding] = []
    if kept is not None and _origin(after.url) != _origin(kept.configuration.url):
        findings += _vet_move(after, given, headers, kept)
    findings += _vet_oauth_secret(after, given, kept)
    findings += _vet_sink_secret(after, given)
    findings += _vet_client_key(after, given, kept)
    if findings:
        raise ValidationFailed("The endpoint's secrets do not fit.", tuple(findings))
    if isinstance(given.client_key, Secret):
        vet_client_certificate(after.client_certificate, given.client_key, now=now)
    if isinstance(given.sink_secret, Secret):
        read_credentials(given.sink_secret.reveal())


async def seal_secrets(
    vault: Vault,
    tx: Transaction,
    tenant_id: UUID,
    endpoint_id: UUID,
    after: Configuration,
    given: Given,
    headers: Mapping[str, Secret],
    kept: Kept | None,
) -> dict[str, object]:
    """The sealed columns that change; None removes what belongs to nothing any more."""
    columns: dict[str, object] = {}
    if given.sensitive_headers is not UNSET and (headers or (kept is not None and kept.headers)):
        columns["sensitive_header_names"] = tuple(headers)
        columns[SecretColumn.SENSITIVE_HEADERS.value] = (
            await seal_headers(vault, tx, tenant_id, endpoint_id, headers) if headers else None
        )
    for column, value, belongs in (
        (SecretColumn.CLIENT_KEY, given.client_key, bool(after.client_certificate)),
        (SecretColumn.OAUTH_SECRET, given.oauth_secret, after.oauth is not None),
        (SecretColumn.SINK_SECRET, given.sink_secret, after.sink is not SinkKind.HTTP),
    ):
        if isinstance(value, Secret):
            columns[column.value] = await seal_secret(vault, tx, tenant_id, endpoint_id, column, value)
        elif (value is None or not belongs) and kept is not None and kept.has(column):
            columns[column.value] = None
    return columns


def _vet_move(after: Configuration, given: Given, headers: Mapping[str, Secret], kept: Kept) -> list[Finding]:
    """The messages go to another server, and the secrets in them with them."""
    findings = []
    mentioned = given.sensitive_headers if isinstance(given.sensitive_headers, Mapping) else {}
    told = {name.lower() for name, value in mentioned.items() if value is not None}
    kept_blindly = sorted(name for name in headers if name.lower() not in told)
    if kept_blindly:
        findings.append(
            Finding(
                "/sensitive_headers",
                f"the URL leads to another server, which would be told {', '.join(kept_blindly)}",
                "Give these headers again with the new URL, or remove them with null.",
            )
        )
    if kept.has(SecretColumn.SINK_SECRET) and given.sink_secret is UNSET:
        findings.append(
            Finding(
                "/sink_secret",
                "the URL leads to another server, which would be told the credentials",
                "Give them again with the new URL, or remove them with null.",
            )
        )
    if kept.has(SecretColumn.OAUTH_SECRET) and after.oauth is not None and given.oauth_secret is UNSET:
        findings.append(
            Finding(
                "/oauth_secret",
                "the URL leads to another server, which would be shown access tokens",
                "Give it again with the new URL, or remove oauth with null.",
            )
        )
    return findings


def _vet_oauth_secret(after: Configuration, given: Given, kept: Kept | None) -> list[Finding]:
    secret = given.oauth_secret
    if after.oauth is None:
        return [_stray("/oauth_secret", "oauth")] if isinstance(secret, Secret) else []
    if isinstance(secret, Secret):
        if secret and len(secret.reveal()) <= _LONGEST_OAUTH_SECRET and secret.reveal().isprintable():
            return []
        return [Finding("/oauth_secret", f"a printable text of at most {_LONGEST_OAUTH_SECRET} characters")]
    before = kept.configuration.oauth if kept is not None else None
    same = before is not None and (before.token_url, before.client_id) == (
        after.oauth.token_url,
        after.oauth.client_id,
    )
    if same and secret is UNSET:
        return []
    return [Finding("/oauth_secret", "the client needs its secret", "Give it with token_url and client_id.")]


def _vet_sink_secret(after: Configuration, given: Given) -> list[Finding]:
    if after.sink is SinkKind.HTTP and isinstance(given.sink_secret, Secret):
        return [_stray("/sink_secret", "a sink of redis_stream or amqp")]
    return []


def _vet_client_key(after: Configuration, given: Given, kept: Kept | None) -> list[Finding]:
    key = given.client_key
    if not after.client_certificate:
        return [_stray("/client_key", "client_certificate")] if isinstance(key, Secret) else []
    before = kept.configuration.client_certificate if kept is not None else ""
    if isinstance(key, Secret) or (key is UNSET and after.client_certificate == before):
        return []
    return [Finding("/client_key", "the certificate needs its key", "Give both together.")]


def _stray(where: str, owner: str) -> Finding:
    return Finding(where, f"it belongs to {owner}, which is not there", f"Give {owner} too, or leave it out.")


def _origin(url: str) -> URL:
    return URL(url).origin()
