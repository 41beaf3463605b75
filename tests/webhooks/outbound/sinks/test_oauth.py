"""Receivers that take nothing without an access token, and token servers that give none, or never answer."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from yarl import URL

from config.secret import Secret
from tests.webhooks.outbound.receiver import Receiver, serve
from tests.webhooks.outbound.sinks.stands import make_message, make_route, sinks_of
from webhooks.outbound.guard import Guard
from webhooks.outbound.mailbox import OAuthAccess, Route
from webhooks.outbound.sinks.target import SinkKind

SECRET = "s3cret:with/odd+signs"


class TokenServer:
    """Issues token-1, token-2 and so on to the one client that it knows."""

    def __init__(self) -> None:
        self.issued = 0
        self.valid: set[str] = set()
        self.more: dict[str, object] = {"expires_in": 3600}
        self.instead: web.Response | None = None
        self.forms: list[dict] = []
        self.hold: asyncio.Event | None = None

    async def answer(self, request: web.Request, received) -> web.StreamResponse:
        if self.hold is not None:
            await self.hold.wait()
        if self.instead is not None:
            instead = self.instead
            return web.Response(status=instead.status, body=instead.body, headers=instead.headers)
        pair = base64.b64decode(received.headers["Authorization"].removeprefix("Basic ")).decode()
        if pair != "client+7:s3cret%3Awith%2Fodd%2Bsigns":
            return web.json_response({"error": "invalid_client", "error_description": pair}, status=401)
        self.forms.append(dict(URL("http://x/?" + received.body.decode()).query))
        self.issued += 1
        self.valid.add(f"token-{self.issued}")
        token = {"access_token": f"token-{self.issued}", "token_type": "bearer", **self.more}
        return web.json_response(token)


class World:
    def __init__(self, tokens: TokenServer, token_url: str, receiver: Receiver, sinks) -> None:
        self.tokens = tokens
        self.receiver = receiver
        self.access = OAuthAccess(URL(token_url), "client 7", Secret(SECRET), "hooks:write", "https://api")
        self.route = make_route(receiver.url, oauth=self.access)
        self._sinks = sinks

    async def send(self, number: int = 1, *, route: Route | None = None):
        return await self._sinks[SinkKind.HTTP].send(route or self.route, make_message(number))


@asynccontextmanager
async def world(guard: Guard | None = None) -> AsyncIterator[World]:
    tokens = TokenServer()

    async def answer(request: web.Request, received) -> web.Response:
        token = received.headers.get("Authorization", "").removeprefix("Bearer ")
        return web.Response(status=204 if token in tokens.valid else 401)

    async with serve(tokens.answer) as issuer, serve(answer) as receiver, sinks_of(guard) as sinks:
        yield World(tokens, issuer.url, receiver, sinks)


async def test_a_receiver_that_asks_for_a_token_is_delivered_to():
    async with world() as here:
        assert (await here.send()).status == 204
        assert here.tokens.forms == [
            {"grant_type": "client_credentials", "scope": "hooks:write", "audience": "https://api"}
        ]


async def test_a_receiver_that_asks_for_a_token_refuses_whoever_has_none():
    async with world() as here:
        assert (await here.send(route=make_route(here.receiver.url))).status == 401


async def test_a_token_is_fetched_once_for_all_who_wait_and_used_again():
    async with world() as here:
        answers = await asyncio.gather(*(here.send(number) for number in range(20)))
        assert {answer.status for answer in answers} == {204}
        await here.send(21)
        assert here.tokens.issued == 1


async def test_a_token_that_is_about_to_end_is_renewed_before():
    async with world() as here:
        here.tokens.more = {"expires_in": "0"}
        assert [(await here.send(number)).status for number in (1, 2)] == [204, 204]
        assert here.tokens.issued == 2
        assert len(here.receiver.requests) == 2


async def test_a_token_that_is_refused_is_renewed_once_for_all():
    async with world() as here:
        await here.send()
        here.tokens.valid.clear()
        answers = await asyncio.gather(*(here.send(number) for number in range(8)))
        assert {answer.status for answer in answers} == {204}
        assert here.tokens.issued == 2


async def test_a_receiver_that_refuses_every_token_is_a_failure_after_two():
    async with world() as here:
        here.tokens.valid = set()
        here.receiver.answer = lambda request, received: _status(401)
        answer = await here.send()
        assert (answer.status, answer.error) == (401, "answered 401")
        assert (here.tokens.issued, len(here.receiver.requests)) == (2, 2)


async def test_a_token_that_the_receiver_shows_in_its_answer_is_not_kept():
    async with world() as here:
        shown: list[str] = []

        async def show(request: web.Request, received: object) -> web.Response:
            shown.append(request.headers["Authorization"])
            return web.Response(status=500, text=f"you sent {shown[-1]}")

        here.receiver.answer = show
        answer = await here.send()
        assert shown[0].startswith("Bearer ")
        assert answer.body == b"you sent Bearer ***"


async def test_another_revision_gets_a_token_of_its_own():
    async with world() as here:
        await here.send()
        again = make_route(
            here.receiver.url, oauth=here.access, endpoint_id=here.route.endpoint_id, revision=2
        )
        assert (await here.send(route=again)).status == 204
        assert here.tokens.issued == 2


async def test_refused_credentials_are_told_by_the_standards_word_and_nothing_else():
    async with world() as here:
        wrong = make_route(
            here.receiver.url, oauth=OAuthAccess(here.access.token_url, "client 7", Secret("not-this"))
        )
        answer = await here.send(route=wrong)
        assert answer.status is None
        assert answer.error == "no access token from 127.0.0.1: it answered 401 (invalid_client)"
        assert answer.body == b""
        assert here.receiver.requests == []


@pytest.mark.parametrize(
    ("instead", "words"),
    [
        (web.Response(status=500, text="trace"), "it answered 500"),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "it answered 302"),
        (web.Response(text="<html>"), "its answer is not a token response in JSON"),
        (web.json_response({"token_type": "bearer"}), "its answer is not a token response in JSON"),
        (web.json_response({"access_token": "a", "token_type": "mac"}), "it did not issue a bearer token"),
        (web.json_response({"access_token": "a\r\nHost: b"}), "it did not issue a bearer token"),
        (web.json_response({"access_token": ""}), "it did not issue a bearer token"),
        (web.Response(body=b'{"access_token":"' + b"x" * 9000), "its answer is not a token response in JSON"),
        (web.json_response({"error": SECRET}, status=400), "it answered 400"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_token_server_that_gives_none_is_a_failed_attempt(instead: web.Response, words: str):
    async with world() as here:
        here.tokens.instead = instead
        answer = await here.send()
        assert (answer.status, answer.error) == (None, f"no access token from 127.0.0.1: {words}")
        assert here.receiver.requests == []
        here.tokens.instead = None
        assert (await here.send(2)).status == 204


async def test_a_token_server_that_never_answers_is_given_up_after_the_endpoints_time():
    async with world() as here:
        here.tokens.hold = asyncio.Event()
        route = make_route(here.receiver.url, oauth=here.access, timeout_s=0.3)
        answer = await here.send(route=route)
        assert (answer.status, answer.slow) == (None, True)
        assert "0.3 s" in answer.error
        here.tokens.hold.set()


async def test_whoever_gives_up_waiting_does_not_end_the_fetch_of_the_others():
    async with world() as here:
        here.tokens.hold = asyncio.Event()
        first, second = (asyncio.create_task(here.send(number)) for number in (1, 2))
        await asyncio.sleep(0.05)
        first.cancel()
        here.tokens.hold.set()
        assert (await second).status == 204
        assert here.tokens.issued == 1


async def test_a_token_server_at_a_forbidden_address_is_not_connected_to():
    async def lookup(host: str, port: int) -> list[str]:
        return ["169.254.169.254"]

    async with world() as here, sinks_of(Guard(lookup=lookup)) as sinks:
        access = OAuthAccess(URL("https://tokens.example.com/"), "client 7", Secret(SECRET))
        route = make_route("https://hooks.example.com/", oauth=access)
        answer = await sinks[SinkKind.HTTP].send(route, make_message())
        assert answer.status is None
        assert "not public" in answer.error
        assert here.tokens.issued == 0


async def _status(status: int) -> web.Response:
    return web.Response(status=status)
