"""How a connection gets its token and its home.

The refresh token is traded for an hour of access; an integration key is the token itself. Either way the
account's shard is asked for, so that a moved account is found again. Must never follow the answer to a host
that is neither the provider's nor the connection's own.
Source: developer guide of 2026-04-29: oauth/v2/refresh (the refresh token is not rotated; it dies after 60
days without use), baseUris, INVALID_API_ACCESS_POINT.
"""

from datetime import datetime, timedelta
from urllib.parse import urlencode

from adapters.adobe_sign.answers import BaseUris, TokenAnswer, User, decode
from adapters.adobe_sign.calls import read, user_headers
from adapters.adobe_sign.credentials import Credentials, allowed_url, api_base, discovery_url
from adapters.kit.exchange import Effect, Exchange, ProviderRequest
from adapters.kit.outcome import AuthFailed, Interruption
from adapters.kit.port import Authorization, Connection, CredentialHealth
from config.secret import Secret

# A long-lived key does not expire, but the account may move: look once a day.
_KEY_LIFETIME = timedelta(hours=24)


async def authorize(exchange: Exchange, connection: Connection, now: datetime) -> Authorization:
    credentials: Credentials = connection.credentials
    _require_allowed(credentials.api_access_point, connection)
    if credentials.integration_key:
        token, lifetime = credentials.integration_key, _KEY_LIFETIME
    else:
        token, lifetime = await _refresh(exchange, credentials)
    home = await _find_home(exchange, connection, token)
    return Authorization(token=token, expires_at=now + lifetime, api_base=api_base(home))


async def check_credentials(exchange: Exchange, connection: Connection) -> CredentialHealth:
    user = await read(exchange, connection, "check_credentials", "/users/me", User)
    home = await read(exchange, connection, "check_credentials", "/baseUris", BaseUris)
    return CredentialHealth(
        account=user.account_id or user.id, detail=f"{user.email} at {home.api_access_point}"
    )


async def _refresh(exchange: Exchange, credentials: Credentials) -> tuple[Secret, timedelta]:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": credentials.refresh_token.reveal(),
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret.reveal(),
    }
    response = await exchange(
        ProviderRequest(
            operation="authorize",
            method="POST",
            path=f"{credentials.api_access_point}/oauth/v2/refresh",
            effect=Effect.NONE,  # an unused access token is harmless
            content=(urlencode(form).encode(),),
            content_type="application/x-www-form-urlencoded",
            authorized=False,
        )
    )
    answer = decode(response, TokenAnswer)
    return Secret(answer.access_token), timedelta(seconds=answer.expires_in)


async def _find_home(exchange: Exchange, connection: Connection, token: Secret) -> str:
    response = await exchange(
        ProviderRequest(
            operation="authorize",
            method="GET",
            path=discovery_url(connection.credentials),
            effect=Effect.NONE,
            # Not the executor's header yet: this request is part of making it.
            headers=(("Authorization", f"Bearer {token.reveal()}"), *user_headers(connection)),
            authorized=False,
        )
    )
    home = decode(response, BaseUris).api_access_point
    _require_allowed(home, connection)
    return home


def _require_allowed(url: str, connection: Connection) -> None:
    if not allowed_url(url, connection):
        raise Interruption(
            AuthFailed("API_ACCESS_POINT_REFUSED", f"{url[:100]} is no host that this connection may use")
        )
