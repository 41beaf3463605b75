"""Access tokens for receivers that ask for them: the client credentials grant, through the same guard.

A token is fetched once for all who wait for it, kept in memory until shortly before it ends, and renewed once
when a receiver refuses it. No redirect is followed and the answer is capped, as for a webhook. Must never put a
token, the client's secret or what the token server answered into an error, a log or a row.
Source: RFC 6749 section 4.4 (client credentials), 2.3.1 (client password by Basic), 5.2 (errors); RFC 6750 2.1.
"""

import asyncio
import base64
import re
import time
from collections.abc import Callable
from urllib.parse import quote_plus, urlencode
from uuid import UUID

import msgspec

from config.secret import Secret
from webhooks.outbound.client import Answer, WebhookClient, milliseconds_since
from webhooks.outbound.ending import end_tasks
from webhooks.outbound.mailbox import OAuthAccess, Route

_LONGEST_FETCH_S = 10.0
_USUAL_LIFE_S = 300.0  # of a token whose end is not told
_LONGEST_LIFE_S = 86_400.0
_MARGIN = 0.1  # of its life, at most
_MOST_MARGIN_S = 60.0
_MOST_KEPT = 10_000
_TOKEN = re.compile(r"[\x21-\x7e]{1,8000}\Z")
_REASONS = frozenset(
    {
        "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
        "unsupported_grant_type", "invalid_scope", "access_denied", "invalid_target",
        "temporarily_unavailable", "server_error",
    }
)  # fmt: skip


class _Issued(msgspec.Struct, frozen=True):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - a kind of token
    expires_in: float | None = None


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""


class _Kept:
    __slots__ = ("fetching", "good_until", "revision", "token")

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self.token: Secret | None = None
        self.good_until = 0.0
        self.fetching: asyncio.Task[Secret | Answer] | None = None


class Tokens:
    """One token per endpoint, of the endpoint's present revision."""

    def __init__(self, client: WebhookClient, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._monotonic = monotonic
        self._kept: dict[UUID, _Kept] = {}

    async def get(self, route: Route, *, refused: str = "") -> Secret | Answer:
        """A token, or the failed attempt that the want of one is. `refused`: the token that a receiver has
        just refused; when somebody has renewed it meanwhile, the new one is given.
        """
        kept = self._kept.get(route.endpoint_id)
        if kept is None or kept.revision != route.revision:
            if len(self._kept) >= _MOST_KEPT:
                self._kept = {key: old for key, old in self._kept.items() if old.fetching is not None}
            kept = self._kept[route.endpoint_id] = _Kept(route.revision)
        if kept.token is not None and kept.token.reveal() != refused and self._monotonic() < kept.good_until:
            return kept.token
        if kept.fetching is None:
            kept.fetching = asyncio.create_task(self._renew(kept, route))
        # Whoever gives up waiting must not end the fetch of the others.
        return await asyncio.shield(kept.fetching)

    async def close(self) -> None:
        await end_tasks([kept.fetching for kept in self._kept.values() if kept.fetching is not None])
        self._kept.clear()

    async def _renew(self, kept: _Kept, route: Route) -> Secret | Answer:
        try:
            if route.oauth is None:
                raise ValueError("a route without OAuth needs no token")
            asked_at = self._monotonic()
            issued = await self._fetch(route, route.oauth)
            if isinstance(issued, Answer):
                kept.token = None
                return issued
            life = min(_USUAL_LIFE_S if issued.expires_in is None else issued.expires_in, _LONGEST_LIFE_S)
            kept.token = Secret(issued.access_token)
            kept.good_until = asked_at + life - min(life * _MARGIN, _MOST_MARGIN_S)
            return kept.token
        finally:
            kept.fetching = None

    async def _fetch(self, route: Route, access: OAuthAccess) -> _Issued | Answer:
        started = time.perf_counter()
        form = {"grant_type": "client_credentials", "scope": access.scope, "audience": access.audience}
        pair = f"{quote_plus(access.client_id)}:{quote_plus(access.secret.reveal())}"
        answer = await self._client.post(
            access.token_url,
            {
                "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
            },
            urlencode({name: value for name, value in form.items() if value}).encode(),
            min(route.timeout_s, _LONGEST_FETCH_S),
            route.tls,
        )
        problem = "" if answer.status == 200 else _why_refused(answer)
        if not problem:
            try:
                issued = msgspec.json.decode(answer.body, type=_Issued, strict=False)
            except (msgspec.MsgspecError, UnicodeError):
                problem = "its answer is not a token response in JSON"
            else:
                if issued.token_type.lower() == "bearer" and _TOKEN.match(issued.access_token):
                    return issued
                problem = "it did not issue a bearer token"
        return Answer(
            milliseconds_since(started),
            error=f"no access token from {access.token_url.raw_host}: {problem}",
            slow=answer.slow,
        )


def _why_refused(answer: Answer) -> str:
    """The status and the standard's own word; nothing else that the token server says."""
    if answer.status is None:
        return answer.error
    try:
        reason = msgspec.json.decode(answer.body, type=_Refusal).error
    except (msgspec.MsgspecError, UnicodeError):
        reason = ""
    return f"it answered {answer.status}" + (f" ({reason})" if reason in _REASONS else "")
