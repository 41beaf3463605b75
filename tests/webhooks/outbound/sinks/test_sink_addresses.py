"""Brokers and targets: what is taken at registration, what is refused, and what is never connected to."""

import itertools

import msgspec
import pytest

from config.secret import Secret
from normalizer.errors import ValidationFailed
from tests.webhooks.outbound.hub import Hub
from tests.webhooks.outbound.sinks.certificates import authority
from tests.webhooks.outbound.sinks.gate import Gate
from tests.webhooks.outbound.sinks.stands import LOOPBACK, gated, make_message, make_route, sinks_of
from tests.webhooks.outbound.ssrf_corpus import (
    _LITERAL_HOSTS,
    _LOCAL_NAMES,
    _NO_NAMES,
    FORBIDDEN_ADDRESSES,
)
from webhooks.outbound.client_certificate import make_tls
from webhooks.outbound.endpoint import OAuth
from webhooks.outbound.guard import Guard
from webhooks.outbound.sinks.target import ExchangeTarget, SinkKind, StreamTarget, read_target
from webhooks.outbound.sinks.vet import read_credentials, vet_sink_url

PUBLIC = "93.184.216.34"
REDIS, AMQP = SinkKind.REDIS_STREAM, SinkKind.AMQP
BROKERS = [(REDIS, "rediss", 6380), (AMQP, "amqps", 5671)]


def answering(*answers: list[str]):
    turns = itertools.chain(answers, itertools.repeat(answers[-1]))

    async def lookup(host: str, port: int) -> list[str]:
        return next(turns)

    return lookup


def broker_route(kind: SinkKind, url: str):
    target = StreamTarget("s") if kind is REDIS else ExchangeTarget("", "q")
    return make_route(url, sink=kind, target=target, timeout_s=2.0)


@pytest.mark.parametrize(("kind", "scheme", "port"), BROKERS)
@pytest.mark.parametrize("host", [*_LITERAL_HOSTS, *_LOCAL_NAMES, *_NO_NAMES])
def test_a_brokers_forbidden_host_is_refused_at_registration(kind, scheme, port, host):
    with pytest.raises(ValidationFailed) as refused:
        vet_sink_url(Guard(lookup=answering([PUBLIC])), kind, f"{scheme}://{host}:{port}/")
    assert refused.value.code == "url_refused"


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (REDIS, "redis://h.example.com:6379/0"),
        (REDIS, "https://h.example.com/"),
        (REDIS, "rediss://h.example.com:443/"),
        (REDIS, "rediss://h.example.com:5671/"),
        (REDIS, "rediss://u:p@h.example.com/0"),
        (REDIS, "rediss://:p@h.example.com/0"),
        (REDIS, "rediss://h.example.com/0?ssl_cert_reqs=none"),
        (REDIS, "rediss://h.example.com/x"),
        (REDIS, "rediss://h.example.com/0/1"),
        (REDIS, "unix:///var/run/redis.sock"),
        (AMQP, "amqp://h.example.com:5671/"),
        (AMQP, "amqps://h.example.com:5672/"),
        (AMQP, "amqps://h.example.com:6380/"),
        (AMQP, "amqps://u@h.example.com/"),
        (AMQP, "amqps://h.example.com/?no_verify_ssl=1"),
        (AMQP, "amqps://h.example.com/v?cafile=/etc/passwd"),
        (AMQP, "amqps://h.example.com/?"),
        (AMQP, "amqps://h.example.com/#x"),
        (SinkKind.HTTP, "rediss://h.example.com:6380/0"),
    ],
)
def test_a_url_of_another_kind_port_or_with_options_is_refused(kind: SinkKind, url: str):
    with pytest.raises(ValidationFailed) as refused:
        vet_sink_url(Guard(lookup=answering([PUBLIC])), kind, url)
    assert refused.value.findings[0].remedy


@pytest.mark.parametrize(
    ("kind", "url", "used"),
    [
        (REDIS, "rediss://Cache.Example.com", "rediss://cache.example.com:6380"),
        (REDIS, "rediss://cache.example.com:6379/3", "rediss://cache.example.com:6379/3"),
        (AMQP, "amqps://mq.example.com/a%2Fb", "amqps://mq.example.com:5671/a%2Fb"),
        (AMQP, "amqps://mq.bücher.example/", "amqps://mq.xn--bcher-kva.example:5671/"),
        (SinkKind.HTTP, "https://hooks.example.com/x?y=1", "https://hooks.example.com/x?y=1"),
    ],
)
def test_a_public_broker_is_taken_with_its_port(kind: SinkKind, url: str, used: str):
    assert str(vet_sink_url(Guard(lookup=answering([PUBLIC])), kind, url)) == used


@pytest.mark.parametrize(("kind", "scheme", "port"), BROKERS)
@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
async def test_a_broker_whose_name_leads_to_a_forbidden_address_is_refused_at_registration(
    kind, scheme, port, address
):
    guard = Guard(lookup=answering([PUBLIC, address]))
    with pytest.raises(ValidationFailed):
        await guard.vet_name(vet_sink_url(guard, kind, f"{scheme}://mq.example.com:{port}/"))


@pytest.mark.parametrize(("kind", "scheme", "port"), BROKERS)
async def test_a_broker_whose_name_changes_to_a_forbidden_address_is_never_connected_to(kind, scheme, port):
    answers = [[PUBLIC]]

    async def lookup(host: str, port: int) -> list[str]:
        return answers[-1]

    guard = Guard(lookup=lookup)
    url = vet_sink_url(guard, kind, f"{scheme}://mq.example.com:{port}/")
    await guard.vet_name(url)
    async with sinks_of(guard) as sinks:
        for address in FORBIDDEN_ADDRESSES:
            answers.append([PUBLIC, address])
            answer = await sinks[kind].send(broker_route(kind, str(url)), make_message())
            assert (answer.status, answer.slow) == (None, True)
            assert "not public" in answer.error


@pytest.mark.parametrize("kind", [REDIS, AMQP], ids=str)
async def test_a_rebinding_brokers_name_never_reaches_the_canary(kind: SinkKind):
    async with gated(1) as canary:
        for answers in (["127.0.0.1"], ["127.0.0.1", PUBLIC], ["::1"], ["::ffff:127.0.0.1"]):
            async with sinks_of(Guard(lookup=answering(answers))) as sinks:
                scheme = "rediss" if kind is REDIS else "amqps"
                route = broker_route(kind, f"{scheme}://mq.example.com:{canary.port}/")
                assert (await sinks[kind].send(route, make_message())).status is None
        assert canary.connections == 0


@pytest.mark.parametrize("kind", [REDIS, AMQP], ids=str)
async def test_only_the_development_list_lets_a_plain_broker_of_this_machine_pass(kind: SinkKind):
    canary = Gate(1)
    await canary.open()
    url = f"{'redis' if kind is REDIS else 'amqp'}://127.0.0.1:{canary.port}/"
    with pytest.raises(ValidationFailed):
        vet_sink_url(Guard(), kind, url)
    assert vet_sink_url(Guard(LOOPBACK), kind, url).port == canary.port
    async with sinks_of(Guard()) as sinks:
        assert "not public" in (await sinks[kind].send(broker_route(kind, url), make_message())).error
    assert canary.connections == 0
    await canary.shut()


async def test_a_token_urls_host_is_vetted_and_named_where_it_stands():
    guard = Guard(lookup=answering(["10.0.0.1"]))
    url = guard.vet_url("https://tokens.example.com/", pointer="/oauth/token_url")
    with pytest.raises(ValidationFailed) as refused:
        await guard.vet_name(url, pointer="/oauth/token_url")
    assert refused.value.findings[0].where == "/oauth/token_url"


@pytest.mark.parametrize(("kind", "scheme", "port"), BROKERS)
async def test_a_tenants_broker_in_a_private_network_is_refused_before_anything_is_stored(
    store, redis_url, kind, scheme, port
):
    hub = Hub(store, redis_url, lookup=answering(["10.0.0.1"]))
    tenant = await hub.tenant()
    target = "s" if kind is REDIS else "/q"
    with pytest.raises(ValidationFailed) as refused:
        await hub.endpoint(tenant, f"{scheme}://mq.example.com:{port}/", sink=kind, sink_target=target)
    oauth = OAuth(token_url="https://tokens.example.com/", client_id="c")
    with pytest.raises(ValidationFailed) as token_refused:
        await hub.endpoint(tenant, "https://127.0.0.1:1/", oauth=oauth, oauth_secret=Secret("a-secret"))
    assert [one.value.findings[0].where for one in (refused, token_refused)] == ["/url", "/oauth/token_url"]
    assert await hub.desk.list(tenant) == []
    await hub.close()


async def test_a_certificate_of_our_own_opens_no_forbidden_address():
    client = authority().issue("tenant")
    tls = make_tls(client.pem, Secret(client.key_pem), authority().pem)
    async with sinks_of(Guard(lookup=answering(["169.254.169.254"]))) as sinks:
        for route in (
            make_route("https://h.example.com/"),
            broker_route(REDIS, "rediss://h.example.com:6380/"),
            broker_route(AMQP, "amqps://h.example.com:5671/"),
        ):
            answer = await sinks[route.sink].send(msgspec.structs.replace(route, tls=tls), make_message())
            assert "not public" in answer.error


@pytest.mark.parametrize(
    ("kind", "text", "target"),
    [
        (SinkKind.HTTP, "", None),
        (REDIS, "signatures", StreamTarget("signatures")),
        (REDIS, "t:{7}:events?maxlen=1000", StreamTarget("t:{7}:events", 1000)),
        (AMQP, "events/signatures.{type}", ExchangeTarget("events", "signatures.{type}")),
        (AMQP, "/queue", ExchangeTarget("", "queue")),
        (AMQP, "hash/{key}", ExchangeTarget("hash", "{key}")),
        (AMQP, "x/a/b", ExchangeTarget("x", "a/b")),
    ],
)
def test_a_target_is_read(kind: SinkKind, text: str, target):
    assert read_target(kind, text) == target


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (SinkKind.HTTP, "stream"),
        (REDIS, ""),
        (REDIS, "a b"),
        (REDIS, "s?maxlen=0"),
        (REDIS, "s?maxlen=1e3"),
        (REDIS, "s?minid=1"),
        (REDIS, "x" * 201),
        (AMQP, ""),
        (AMQP, "exchange"),
        (AMQP, "exchange/"),
        (AMQP, "ex change/key"),
        (AMQP, "x/{tenant}"),
        (AMQP, "x/a\nb"),
        (AMQP, "x/" + "k" * 300),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(kind: SinkKind, text: str):
    with pytest.raises(ValidationFailed) as refused:
        read_target(kind, text)
    assert refused.value.findings[0].where == "/sink_target"


@pytest.mark.parametrize("text", ["", "user", "user:", ":", "u:p\n", "u" * 256 + ":p", "u:" + "p" * 256])
def test_credentials_that_make_no_sense_are_refused(text: str):
    with pytest.raises(ValidationFailed) as refused:
        read_credentials(text)
    assert refused.value.findings[0].where == "/sink_secret"


def test_credentials_are_split_at_the_first_colon():
    assert read_credentials("user:a:b") == ("user", "a:b")
    assert read_credentials(":only-a-password") == ("", "only-a-password")
