"""The JWT grant and the account's API base: how a connection gets its Authorization.

Must never follow a base URI to a host that is neither DocuSign's nor the connection's own, and never show the
assertion or the token. There is no refresh token: a new assertion is signed instead.
Source: DocuSign, JWT Grant and userinfo documentation; RFC 7523; RFC 7518 section 3.3 (RS256).
"""

import base64
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from adapters.docusign.answers import Token, UserAccount, UserInfo, is_true
from adapters.docusign.credentials import Credentials, credentials_of, is_allowed_url
from adapters.docusign.requests import decode
from adapters.kit.exchange import Effect, Exchange, ProviderRequest
from adapters.kit.outcome import AuthFailed, Interruption
from adapters.kit.port import Authorization, Connection
from config.secret import Secret

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE = "signature impersonation"
_CLOCK_SKEW = timedelta(seconds=30)
_LIFETIME = timedelta(seconds=3600)  # DocuSign's longest


async def authorize(exchange: Exchange, connection: Connection, now: datetime) -> Authorization:
    credentials = credentials_of(connection)
    _require_allowed(credentials.oauth_url, connection)
    token = await _request_token(exchange, credentials, now)
    base, account_id = await _find_account(exchange, credentials, token.access_token)
    _require_allowed(base, connection)
    return Authorization(
        token=Secret(token.access_token),
        expires_at=now + timedelta(seconds=token.expires_in),
        api_base=f"{base.rstrip('/')}/restapi/v2.1/accounts/{quote(account_id, safe='')}",
    )


def userinfo_request(credentials: Credentials, token: str = "") -> ProviderRequest:
    """With `token`, for the time before there is an Authorization."""
    own = (("authorization", f"Bearer {token}"),) if token else ()
    return ProviderRequest(
        operation="userinfo",
        method="GET",
        path=f"{credentials.oauth_url}/oauth/userinfo",
        effect=Effect.NONE,
        headers=(("accept", "application/json"), *own),
        authorized=not token,
    )


def consent_url(credentials: Credentials) -> str:
    """The page on which an administrator lets the integration act for the user."""
    query = {"response_type": "code", "scope": _SCOPE, "client_id": credentials.integration_key}
    if credentials.consent_redirect_uri:
        query["redirect_uri"] = credentials.consent_redirect_uri
    return f"{credentials.oauth_url}/oauth/auth?{urlencode(query, quote_via=quote)}"


async def _request_token(exchange: Exchange, credentials: Credentials, now: datetime) -> Token:
    form = urlencode({"grant_type": _GRANT, "assertion": _assertion(credentials, now)})
    request = ProviderRequest(
        operation="authorize",
        method="POST",
        path=f"{credentials.oauth_url}/oauth/token",
        effect=Effect.NONE,  # several tokens may live at once: asking twice costs a call and harms nothing
        headers=(("accept", "application/json"),),
        content=(form.encode(),),
        content_type="application/x-www-form-urlencoded",
        authorized=False,
    )
    try:
        return decode(await exchange(request), Token)
    except Interruption as interruption:
        raise _with_consent_url(interruption, credentials) from interruption


def _with_consent_url(interruption: Interruption, credentials: Credentials) -> Interruption:
    failure = interruption.outcome
    if isinstance(failure, AuthFailed) and failure.provider_code.casefold() == "consent_required":
        return Interruption(msgspec.structs.replace(failure, consent_url=consent_url(credentials)))
    return interruption


async def _find_account(exchange: Exchange, credentials: Credentials, token: str) -> tuple[str, str]:
    """(base URI, account id): the connection's own, else what userinfo says of the configured account."""
    if credentials.api_url and credentials.account_id:
        return credentials.api_url, credentials.account_id
    answer = decode(await exchange(userinfo_request(credentials, token)), UserInfo)
    account = _pick(answer.accounts, credentials.account_id)
    return credentials.api_url or account.base_uri, account.account_id


def _pick(accounts: tuple[UserAccount, ...], wanted: str) -> UserAccount:
    for account in accounts:
        if account.account_id.casefold() == wanted.casefold() or (not wanted and is_true(account.is_default)):
            return account
    which = "the configured account" if wanted else "a default account"
    raise Interruption(AuthFailed("account_not_found", f"The user has no access to {which}."))


def _require_allowed(url: str, connection: Connection) -> None:
    if not is_allowed_url(url, connection):
        raise Interruption(
            AuthFailed("host_refused", "The host is neither DocuSign's nor this connection's.")
        )


def _assertion(credentials: Credentials, now: datetime) -> str:
    """The signed JWT. It starts a little in the past, so that a slow clock here is not "not yet valid"."""
    issued = now - _CLOCK_SKEW
    claims = {
        "iss": credentials.integration_key,
        "sub": credentials.user_id,
        "aud": credentials.audience,
        "iat": int(issued.timestamp()),
        "exp": int((issued + _LIFETIME).timestamp()),
        "scope": _SCOPE,
    }
    head = _base64url(msgspec.json.encode({"alg": "RS256", "typ": "JWT"}))
    signed = head + b"." + _base64url(msgspec.json.encode(claims))
    signature = _private_key(credentials).sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return (signed + b"." + _base64url(signature)).decode()


def _private_key(credentials: Credentials) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(credentials.private_key_pem.reveal().encode(), None)
    except (ValueError, TypeError) as error:
        # The library's text could quote the key; it stays out.
        raise Interruption(
            AuthFailed("private_key", "The private key is not an unencrypted PEM key.")
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Interruption(AuthFailed("private_key", "The private key is not an RSA key."))
    return key


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
