"""OAuth 2: authorize, token, refresh, revoke. No consent page: the one application is always allowed.

Source: provider contracts B1.
"""

import secrets
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from adapters.adobe_sign.sandbox import options as defaults
from adapters.adobe_sign.sandbox.box import ALL_SCOPES
from adapters.adobe_sign.sandbox.calls import API, Call, Reply, endpoint
from adapters.adobe_sign.sandbox.world import AccessToken, JsonObject, RefreshToken

_IDLE = timedelta(days=60)
_CODE_LIFE = timedelta(minutes=5)


async def _form(call: Call) -> dict[str, str]:
    kind = call.request.headers.get("content-type", "").split(";")[0].strip()
    if kind != "application/x-www-form-urlencoded":
        raise call.refuse("wrong_content_type", "The body must be application/x-www-form-urlencoded")
    pairs = parse_qs((await call.request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    return {key: values[-1] for key, values in pairs.items()}


def _check_client(call: Call, form: dict[str, str]) -> None:
    given = (form.get("client_id", ""), form.get("client_secret", ""))
    if given != (defaults.CLIENT_ID, defaults.CLIENT_SECRET):
        raise call.refuse("unknown_client", "The client id or the client secret is invalid")


def _issue(call: Call, scopes: list[str]) -> JsonObject:
    token = "3AAABLblq" + secrets.token_urlsafe(32)
    life = call.box.options.token_s
    expires = call.box.now() + timedelta(seconds=life)
    call.box.world.access_tokens[token] = AccessToken(
        expires=expires, client_id=defaults.CLIENT_ID, scopes=scopes
    )
    call.box.mark_dirty()
    return {"access_token": token, "token_type": "Bearer", "expires_in": int(life)}


@endpoint("POST", "/oauth/v2/refresh", "oauth_refresh", public=True)
async def refresh(call: Call) -> Reply:
    form = await _form(call)
    if form.get("grant_type") != "refresh_token":
        raise call.refuse("wrong_grant", "grant_type must be refresh_token")
    _check_client(call, form)
    known = call.box.world.refresh_tokens.get(form.get("refresh_token", ""))
    if known is None or known.revoked:
        raise call.refuse("unknown_refresh_token", "The refresh token is invalid")
    if known.last_used + _IDLE < call.box.now():
        raise call.refuse("idle_refresh_token", "The refresh token has not been used for 60 days")
    known.last_used = call.box.now()
    return Reply(body=_issue(call, known.scopes))


@endpoint("POST", "/oauth/v2/token", "oauth_token", public=True)
async def token(call: Call) -> Reply:
    form = await _form(call)
    if form.get("grant_type") != "authorization_code":
        raise call.refuse("wrong_grant", "grant_type must be authorization_code")
    _check_client(call, form)
    issued = call.box.world.codes.pop(form.get("code", ""), None)
    if issued is None:
        raise call.refuse("unknown_code", "The authorization code is unknown or was used")
    if issued + _CODE_LIFE < call.box.now():
        raise call.refuse("expired_code", "The authorization code is older than five minutes")
    fresh = "3AAABLblqRefresh" + secrets.token_urlsafe(24)
    call.box.world.refresh_tokens[fresh] = RefreshToken(
        client_id=defaults.CLIENT_ID, scopes=ALL_SCOPES, last_used=call.box.now()
    )
    points = {"api_access_point": f"{call.box.base_url}/", "web_access_point": f"{call.box.base_url}/"}
    return Reply(body=_issue(call, ALL_SCOPES) | {"refresh_token": fresh} | points)


@endpoint("POST", "/oauth/v2/revoke", "oauth_revoke", public=True)
async def revoke(call: Call) -> Reply:
    value = (await _form(call)).get("token", "")
    if not value:
        raise call.refuse("no_token", "The token is missing")
    grant = call.box.world.refresh_tokens.get(value)
    access = call.box.world.access_tokens.get(value)
    if grant is not None:
        if grant.revoked:
            raise call.refuse("expired_token", "The token was revoked already")
        grant.revoked = True
    elif access is not None:
        if access.expires <= call.box.now():
            raise call.refuse("expired_token", "The token has expired")
        access.expires = call.box.now()
    else:
        raise call.refuse("unknown_token", "The token is unknown")
    call.box.mark_dirty()
    return Reply(status=200)


@endpoint("GET", "/public/oauth/v2", "oauth_authorize", public=True)
async def authorize(call: Call) -> Reply:
    target = urlsplit(call.query("redirect_uri"))
    known = call.query("client_id") == defaults.CLIENT_ID and call.query("response_type") == "code"
    local = target.scheme in {"http", "https"} and (
        target.hostname in {"127.0.0.1", "localhost", "::1", *call.box.options.webhook_allow}
    )
    if not local:
        return Reply(
            status=400, content=b"The redirect_uri must lead to this machine.", media_type="text/plain"
        )
    answer = {"state": call.query("state")}
    if known:
        code = secrets.token_urlsafe(24)
        call.box.world.codes[code] = call.box.now()
        call.box.mark_dirty()
        point = f"{call.box.base_url}/"
        answer |= {"code": code, "api_access_point": point, "web_access_point": point}
    else:
        answer |= {"error": "UNAUTHORIZED_CLIENT"}
    return Reply(status=302, headers={"Location": f"{target.geturl()}?{urlencode(answer)}"})


@endpoint("GET", f"{API}/baseUris", "base_uris")
async def base_uris(call: Call) -> Reply:
    point = f"{call.box.base_url}/"
    return Reply(body={"apiAccessPoint": point, "webAccessPoint": point})


@endpoint("GET", f"{API}/users/{{user_id:str}}", "get_user", scope="user_read")
async def get_user(call: Call) -> Reply:
    user = {
        "id": call.box.user_id(call.actor),
        "email": call.actor,
        "firstName": "Sandbox",
        "lastName": "Sender",
        "company": "Sandbox",
        "status": "ACTIVE",
        "accountId": "CBJCHBCAABAAsandboxAccount0000000000000000000",
        "isAccountAdmin": True,
    }
    if call.path("user_id") not in {"me", user["id"]}:
        raise call.refuse("unknown_api_user", "An invalid user ID was provided.")
    return call.with_etag("user", user)


HANDLERS = [refresh, token, revoke, authorize, base_uris, get_user]
