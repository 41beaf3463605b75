"""Posts each webhook to a tenant's URL, with an access token where the endpoint asks for one."""

import asyncio
import time
from collections.abc import Awaitable

from webhooks.outbound.client import Answer, WebhookClient, milliseconds_since
from webhooks.outbound.echoes import hide_echoes
from webhooks.outbound.mailbox import Route
from webhooks.outbound.oauth import Tokens
from webhooks.outbound.sinks.port import OutgoingMessage


class HttpSink:
    def __init__(self, client: WebhookClient) -> None:
        """The client stays its owner's, who opens and closes it."""
        self._client = client
        self._tokens = Tokens(client)

    def send(self, route: Route, message: OutgoingMessage) -> Awaitable[Answer]:
        """No coroutine of its own: this is the way that nearly every delivery takes."""
        if route.url is None:
            raise ValueError("a route without a URL is not sent to")
        if route.oauth is not None:
            return self._send_with_token(route, message)
        return self._client.post(route.url, message.headers, message.body, route.timeout_s, route.tls)

    async def close(self) -> None:
        await self._tokens.close()

    async def _send_with_token(self, route: Route, message: OutgoingMessage) -> Answer:
        """One deadline for the token and the request; a token that was refused is renewed once."""
        if route.url is None:
            raise ValueError("a route without a URL is not sent to")
        started = time.perf_counter()
        answer = Answer(duration_ms=0)
        refused = ""
        try:
            async with asyncio.timeout(route.timeout_s):
                for _ in range(2):
                    token = await self._tokens.get(route, refused=refused)
                    if isinstance(token, Answer):
                        return token
                    headers = {**message.headers, "Authorization": f"Bearer {token.reveal()}"}
                    posted = await self._client.post(
                        route.url, headers, message.body, route.timeout_s, route.tls
                    )
                    answer = hide_echoes(posted, (token,))
                    if answer.status != 401:
                        break
                    refused = token.reveal()
        except TimeoutError:
            return Answer(
                milliseconds_since(started),
                error=f"no answer within {route.timeout_s:g} s, the access token included",
                slow=True,
            )
        return answer
