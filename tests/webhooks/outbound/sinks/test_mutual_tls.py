"""Receivers that refuse whoever shows no certificate of their authority, and servers that nobody vouches for."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest

from config.secret import Secret
from tests.webhooks.outbound.sinks.certificates import TestAuthority, authority
from tests.webhooks.outbound.sinks.stands import Stand, amqp_stand, http_stand, redis_stand
from webhooks.outbound.client_certificate import make_tls
from webhooks.outbound.sinks.target import SinkKind

Open = Callable[..., AbstractAsyncContextManager[Stand]]


@pytest.fixture(params=list(SinkKind), ids=str)
def open_stand(request: pytest.FixtureRequest) -> Open:
    match request.param:
        case SinkKind.HTTP:
            return http_stand
        case SinkKind.REDIS_STREAM:
            return partial(redis_stand, request.getfixturevalue("redis_url"))
        case SinkKind.AMQP:
            return partial(amqp_stand, request.getfixturevalue("rabbit"))


def own_tls(of: TestAuthority | None = None, *, ca: str = ""):
    client = (of or authority()).issue("a tenant's gateway")
    return make_tls(client.pem, Secret(client.key_pem), ca or authority().pem)


async def test_a_receiver_that_asks_for_a_certificate_is_delivered_to_with_the_right_one(open_stand: Open):
    async with open_stand(authority().server_context(asks_for=authority().pem)) as stand:
        assert (await stand.send(tls=own_tls())).status
        assert len(await stand.taken()) == 1


async def test_a_receiver_that_asks_for_a_certificate_refuses_whoever_shows_none(open_stand: Open):
    async with open_stand(authority().server_context(asks_for=authority().pem)) as stand:
        answer = await stand.send(tls=make_tls("", None, authority().pem))
        assert answer.status is None
        assert answer.error
        assert await stand.taken() == []


async def test_a_receiver_that_asks_for_a_certificate_refuses_a_strangers(open_stand: Open):
    async with open_stand(authority().server_context(asks_for=authority().pem)) as stand:
        answer = await stand.send(tls=own_tls(TestAuthority("Somebody else")))
        assert answer.status is None
        assert await stand.taken() == []


async def test_a_receiver_of_an_unknown_authority_is_not_sent_to(open_stand: Open):
    async with open_stand(authority().server_context()) as stand:
        usual = await stand.send()
        other = await stand.send(tls=own_tls(ca=TestAuthority("Somebody else").pem))
        assert (usual.status, other.status) == (None, None)
        assert "CERTIFICATE_VERIFY_FAILED" in usual.error + other.error
        assert await stand.taken() == []


async def test_a_further_authority_is_trusted_by_its_own_endpoint_only(open_stand: Open):
    async with open_stand(authority().server_context()) as stand:
        assert (await stand.send(tls=make_tls("", None, authority().pem))).status
        refused = await stand.send(2, endpoint_id=stand.route.endpoint_id.__class__(int=7))
        assert refused.status is None
        assert len(await stand.taken()) == 1


async def test_a_server_under_another_name_is_not_sent_to(open_stand: Open):
    async with open_stand(authority().server_context()) as stand:
        answer = await stand.send(
            url=stand.route.url.with_host("127.0.0.2"), tls=make_tls("", None, authority().pem)
        )
        assert answer.status is None
        assert await stand.taken() == []
