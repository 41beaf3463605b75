"""The OAuth host: JWT grant checked against the registered public key, consent, and userinfo.

Source: RFC 7523 as the provider narrows it: RS256, exp within an hour of iat, `aud` a bare host.
"""

import base64
import binascii
import secrets
import time
from datetime import timedelta
from urllib.parse import parse_qs

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from litestar import get, post

from .exchange import Answer, HttpRequest, answer, world_of
from .refusals import Refusal
from .world import World

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LONGEST_S = 3600
_SKEW_S = 60


class _Header(msgspec.Struct):
    alg: str = ""


class _Claims(msgspec.Struct):
    iss: str = ""
    sub: str = ""
    aud: str = ""
    iat: float = 0
    exp: float = 0
    scope: str = ""


@post("/oauth/token", name="oauth.token", status_code=200)
async def token(request: HttpRequest) -> Answer:
    """An access token for a valid assertion."""
    world = world_of(request)
    form = parse_qs((await request.body()).decode("latin-1"), keep_blank_values=True)
    if (form.get("grant_type") or [""])[0] != _GRANT:
        raise Refusal("oauth-grant-unsupported")
    check_assertion(world, (form.get("assertion") or [""])[0])
    lifetime = world.settings.token_lifetime_s
    issued = secrets.token_urlsafe(48)
    now = world.now()
    alive = {kept: until for kept, until in world.state.tokens.items() if until > now}
    world.state.tokens = {**alive, issued: now + timedelta(seconds=lifetime)}
    world.touch()
    return answer({"access_token": issued, "token_type": "Bearer", "expires_in": lifetime})


@get("/oauth/userinfo", name="oauth.userinfo")
async def userinfo(request: HttpRequest) -> Answer:
    """The user and the account, whose base_uri is this sandbox."""
    world = world_of(request)
    settings = world.settings
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    until = world.state.tokens.get(shown)
    if scheme.lower() != "bearer" or until is None or until <= world.now():
        raise Refusal("oauth-userinfo-token")
    given, _, family = settings.sender_name.partition(" ")
    account = {
        "account_id": settings.account_id,
        "is_default": True,  # a real boolean here, unlike in the eSignature API
        "account_name": "Sandbox",
        "base_uri": settings.url,
    }
    return answer(
        {
            "sub": settings.user_id,
            "name": settings.sender_name,
            "given_name": given,
            "family_name": family,
            "created": "2020-01-01T00:00:00.000",
            "email": settings.sender_email,
            "accounts": [account],
        }
    )


@get("/oauth/auth", name="oauth.auth")
async def consent(request: HttpRequest) -> Answer:
    """Grants the impersonation consent at once; the real page asks the user."""
    world = world_of(request)
    if request.query_params.get("client_id") != world.settings.integration_key:
        raise Refusal("oauth-consent-client")
    world.state.has_consent = True
    world.touch()
    return answer({"consent": "granted", "note": "The sandbox grants without asking."})


def check_assertion(world: World, assertion: str) -> None:
    """Refuses with the provider's words whatever is wrong with the assertion."""
    settings = world.settings
    try:
        head, body, signature = assertion.split(".")
        header = msgspec.json.decode(_unpadded(head), type=_Header)
        claims = msgspec.json.decode(_unpadded(body), type=_Claims)
        signed = _unpadded(signature)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise Refusal("oauth-assertion-malformed") from error
    if claims.iss.lower() != settings.integration_key:
        raise Refusal("oauth-issuer-unknown")
    if header.alg != "RS256":
        raise Refusal("oauth-algorithm")
    key = load_pem_public_key(settings.public_key_pem)
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("the registered key is no RSA key")
    try:
        key.verify(signed, f"{head}.{body}".encode(), padding.PKCS1v15(), SHA256())
    except InvalidSignature as error:
        raise Refusal("oauth-signature-invalid") from error
    host = settings.netloc.partition(":")[0]
    if claims.aud not in {settings.netloc, host, "account-d.docusign.com"}:
        raise Refusal("oauth-audience-wrong")
    now = time.time()
    if claims.exp <= now - _SKEW_S or claims.iat > now + _SKEW_S:
        raise Refusal("oauth-assertion-expired")
    if claims.exp - claims.iat > _LONGEST_S:
        raise Refusal("oauth-assertion-too-long")
    if "signature" not in claims.scope.split() or "impersonation" not in claims.scope.split():
        raise Refusal("oauth-scope-missing")
    if claims.sub.lower() != settings.user_id:
        raise Refusal("oauth-user-unknown")
    if not world.state.has_consent:
        raise Refusal("oauth-consent-required")


def _unpadded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
