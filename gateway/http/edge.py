"""Who calls, whether they may, and how often: before any controller runs.

A route under the API names its scope in `opt={"scope": Scope...}`; one without is found at start-up. The DMS
says which of its users acts in X-Actor-* headers, when its key has the scope act_as; without them the key
itself is the actor. Must never take an actor's name from a key that may not give one.
"""

import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Receive, Send
from litestar.types import Scope as AsgiScope

from config.logging import request_id
from gateway.http.client_address import client_address
from gateway.http.problems import BadRequest, TooMany
from gateway.http.rate_limit import RateLimiter
from gateway.services import Caller
from gateway.tenants.api_keys import KeyRing, KeyRow, NotAllowed, NotAuthenticated
from gateway.tenants.scopes import Scope
from normalizer.events import Actor, ActorType, Source, SourceKind
from normalizer.ids import Kind, print_id

SYSTEM = UUID(int=0)
_ACTOR_LIMITS = {"id": 200, "name": 200, "email": 200, "ip": 50, "user-agent": 400}


class Edge(ASGIMiddleware):
    """Sets scope["state"]["caller"] and, for the idempotency rules, ["key_row"]."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, keys: KeyRing, limiter: RateLimiter, trusted_proxies: Sequence[str]) -> None:
        self._keys = keys
        self._limiter = limiter
        self._proxies = tuple(trusted_proxies)

    async def handle(self, scope: AsgiScope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        wanted = scope["route_handler"].opt.get("scope")
        if wanted is None:  # documentation and health need no key
            await next_app(scope, receive, send)
            return
        if b"%00" in scope["query_string"] or "\0" in scope["path"]:
            raise BadRequest("The address has a NUL character.")
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        row = await self._keys.authenticate(_bearer(headers.get("authorization", "")))
        allowance = await self._limiter.take(str(row.id), row.rate_per_minute)
        state: dict[str, Any] = scope["state"]
        state["allowance"] = allowance  # the outermost layer tells it with every answer, refusals too
        if not allowance.allowed:
            raise TooMany(
                f"This key may make {allowance.limit_per_minute} calls a minute.",
                max(1, math.ceil(allowance.wait_s)),
            )
        if wanted not in row.scopes:
            raise NotAllowed(f"This key does not have the scope {wanted}.", remedy="Use a key that has it.")
        state["key_row"] = row
        state["caller"] = self._caller(scope, headers, row)
        await next_app(scope, receive, send)

    def _caller(self, scope: AsgiScope, headers: dict[str, str], row: KeyRow) -> Caller:
        key_id = print_id(Kind.API_KEY, row.id)
        named = {word: headers.get(f"x-actor-{word}", "") for word in _ACTOR_LIMITS}
        if any(named.values()):
            actor = _named_actor(named, row, key_id)
        else:
            actor = Actor(
                type=ActorType.ADMINISTRATOR if row.tenant_id == SYSTEM else ActorType.API_KEY,
                id=key_id,
                credential_id=key_id,
                ip_address=client_address(scope, self._proxies),
                user_agent=headers.get("user-agent", "")[:400],
            )
        return Caller(
            tenant_id=row.tenant_id,
            key_id=row.id,
            scopes=row.scopes,
            actor=actor,
            source=Source(kind=SourceKind.API, request_id=request_id.get() or ""),
        )


def check_routes(app: Litestar, prefix: str) -> None:
    """Raises RuntimeError for a route of the API that names no scope: it would be open to everybody."""
    open_routes = [
        route.path
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path.startswith(prefix)
        for handler in route.route_handlers
        if handler.opt.get("scope") is None and "OPTIONS" not in handler.http_methods
    ]
    if open_routes:
        raise RuntimeError(f"these routes name no scope: {sorted(set(open_routes))}")


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticated("The request carries no API key.")
    return token.strip()


def _named_actor(named: dict[str, str], row: KeyRow, key_id: str) -> Actor:
    if Scope.ACT_AS not in row.scopes:
        raise NotAllowed(
            "This key may not say who acts.",
            remedy="Leave the X-Actor-* headers out, or use a key with act_as.",
        )
    # Names are not Latin-1: the headers are percent-encoded UTF-8.
    decoded = {word: unquote(value) for word, value in named.items()}
    if not decoded["id"]:
        raise BadRequest(
            "X-Actor-Id is missing.", remedy="Send the acting user's id with the other X-Actor headers."
        )
    for word, limit in _ACTOR_LIMITS.items():
        if len(decoded[word]) > limit or any(ord(letter) < 32 for letter in decoded[word]):
            raise BadRequest(f"X-Actor-{word.title()} is too long or has control characters.")
    return Actor(
        type=ActorType.USER,
        id=decoded["id"],
        credential_id=key_id,
        name=decoded["name"],
        email=decoded["email"],
        ip_address=decoded["ip"],
        user_agent=decoded["user-agent"],
    )
