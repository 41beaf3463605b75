"""Nothing but public https servers is ever reached: the corpus at registration and at delivery."""

import asyncio
import ipaddress
import itertools
import socket
import threading
from collections.abc import Iterator

import pytest
from aiohttp import ClientConnectorError, ClientSession, TCPConnector
from hypothesis import given
from hypothesis import strategies as st

from config.public_addresses import read_networks, why_refused
from normalizer.errors import ValidationFailed
from tests.webhooks.outbound.receiver import serve
from tests.webhooks.outbound.ssrf_corpus import (
    ALLOWED_URLS,
    FORBIDDEN_ADDRESSES,
    FORBIDDEN_URLS,
    PUBLIC_ADDRESSES,
)
from webhooks.outbound.client import WebhookClient
from webhooks.outbound.guard import AddressRefused, Guard, GuardedResolver

PUBLIC = "93.184.216.34"


def answering(*answers: list[str]):
    """A name server that gives the answers in turn and then repeats the last."""
    turns: Iterator[list[str]] = itertools.chain(answers, itertools.repeat(answers[-1]))

    async def lookup(host: str, port: int) -> list[str]:
        return next(turns)

    return lookup


async def post(guard: Guard, url):
    client = WebhookClient(guard, response_bytes=1024, connect_timeout_s=1.0)
    await client.open()
    try:
        return await client.post(url, {}, b"{}", 3.0)
    finally:
        await client.close()


def test_the_corpus_is_large():
    assert len(FORBIDDEN_URLS) + 2 * len(FORBIDDEN_ADDRESSES) >= 150
    assert len(set(FORBIDDEN_URLS)) == len(FORBIDDEN_URLS)


@pytest.mark.parametrize("url", FORBIDDEN_URLS)
def test_a_forbidden_url_is_refused_at_registration(url: str):
    guard = Guard(lookup=answering([PUBLIC]))
    with pytest.raises(ValidationFailed) as refused:
        guard.vet_url(url)
    assert refused.value.code == "url_refused"
    assert refused.value.findings[0].remedy


@pytest.mark.parametrize(("url", "sent"), ALLOWED_URLS.items())
def test_a_public_https_url_is_taken_in_its_normal_form(url: str, sent: str):
    assert str(Guard(lookup=answering([PUBLIC])).vet_url(url)) == sent


@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
async def test_a_name_that_leads_to_a_forbidden_address_is_refused_at_registration(address: str):
    guard = Guard(lookup=answering([PUBLIC, address]))  # one bad answer among good ones
    with pytest.raises(ValidationFailed):
        await guard.vet_name(guard.vet_url("https://hooks.example.com/"))


@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
async def test_a_name_that_changes_to_a_forbidden_address_is_not_connected_to_at_delivery(address: str):
    guard = Guard(lookup=answering([PUBLIC], [address]))
    url = guard.vet_url("https://hooks.example.com/")
    await guard.vet_name(url)
    answer = await post(guard, url)
    assert answer.status is None
    assert "not public" in answer.error


@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
def test_a_socket_to_a_forbidden_address_is_never_made(address: str):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(AddressRefused):
        Guard().make_socket((family, socket.SOCK_STREAM, 6, "", (address, 443)))


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_public_address_passes(address: str):
    assert why_refused(address) is None


@given(st.ip_addresses())
def test_whatever_python_calls_private_is_refused_too(address):
    embeds = address.version == 6 and (address.ipv4_mapped or address in ipaddress.ip_network("64:ff9b::/96"))
    if not address.is_global and not embeds and not (address.version == 6 and address.sixtofour):
        assert why_refused(str(address)) is not None


def test_the_deployments_own_networks_are_refused():
    own = read_networks(["93.184.216.0/24", "2606:4700::/32"])
    assert why_refused("93.184.216.34", own) is not None
    assert why_refused("::ffff:93.184.216.34", own) is not None
    assert why_refused("2606:4700::1", own) is not None
    assert why_refused("1.1.1.1", own) is None


async def test_a_rebinding_name_never_reaches_the_canary():
    async with serve() as canary:
        port = int(canary.url.split(":")[2].split("/")[0])
        flips = [[PUBLIC], ["127.0.0.1"], ["127.0.0.1", PUBLIC], [PUBLIC, "127.0.0.1"], ["::1"]]
        guard = Guard(lookup=answering(*flips))
        await guard.resolve("hooks.example.com", port)
        for _ in flips[1:]:
            answer = await post(guard, guard.vet_url("https://hooks.example.com/").with_port(port))
            assert answer.status is None
        assert canary.requests == []
        assert not canary.peers


async def test_the_socket_factory_holds_even_where_the_resolver_is_passed_by():
    guard = Guard(lookup=answering([PUBLIC]))
    async with serve() as canary:
        connector = TCPConnector(resolver=GuardedResolver(guard), socket_factory=guard.make_socket)
        async with ClientSession(connector=connector) as session:
            with pytest.raises(ClientConnectorError) as refused:
                await session.post(canary.url)  # a literal address goes past the resolver
            assert isinstance(refused.value.os_error, AddressRefused)
        assert not canary.peers


async def test_a_name_server_that_hangs_is_given_up(monkeypatch):
    async def hang(host: str, port: int) -> list[str]:
        await asyncio.sleep(60)
        return [PUBLIC]

    monkeypatch.setattr("webhooks.outbound.guard.LOOKUP_TIMEOUT_S", 0.05)
    guard = Guard(lookup=hang)
    answer = await post(guard, guard.vet_url("https://hooks.example.com/"))
    assert answer.error == "the host name cannot be resolved"


async def test_a_name_that_does_not_exist_may_be_registered_and_fails_at_delivery():
    async def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    guard = Guard(lookup=nowhere)
    url = guard.vet_url("https://not-yet.example.com/")
    await guard.vet_name(url)
    assert (await post(guard, url)).error == "the host name cannot be resolved"


async def test_the_development_list_lets_only_its_own_addresses_pass():
    async with serve() as listed, serve() as other:
        guard = Guard([listed.url.split("/")[2]])
        assert (await post(guard, guard.vet_url(listed.url))).status == 204
        with pytest.raises(ValidationFailed):
            guard.vet_url(other.url)
        with pytest.raises(ValidationFailed):
            Guard().vet_url(listed.url)


async def test_the_environments_proxy_is_not_used(monkeypatch):
    async with serve() as receiver, serve() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        guard = Guard(["127.0.0.1:*"])
        assert (await post(guard, guard.vet_url(receiver.url))).status == 204
        assert proxy.requests == []


async def test_names_whose_look_up_hangs_take_no_thread_from_others_again(
    monkeypatch: pytest.MonkeyPatch,
):
    names = [f"hangs{number}.example" for number in range(32)]
    begun: list[str] = []
    all_begun, loop = asyncio.Event(), asyncio.get_running_loop()
    rounds = [threading.Event(), threading.Event()]
    release = iter(rounds)
    current = [next(release)]

    def hang(host: str, port: int, **options: object):
        if host.startswith("hangs"):
            begun.append(host)
            if len(begun) == len(names):
                loop.call_soon_threadsafe(all_begun.set)
            current[0].wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, port))]

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    guard = Guard()
    try:
        first = [asyncio.create_task(guard.resolve(name, 443)) for name in names]
        await asyncio.wait_for(all_begun.wait(), 20)
        for task in first:
            task.cancel()
        await asyncio.gather(*first, return_exceptions=True)
        current[0] = next(release)
        rounds[0].set()
        second = [asyncio.create_task(guard.resolve(name, 443)) for name in names]
        await asyncio.sleep(0)
        assert await guard.resolve("quick.example", 443) == [PUBLIC]
        assert len(begun) <= len(names) + 4
        rounds[1].set()
        assert await asyncio.gather(*second) == [[PUBLIC]] * len(names)
    finally:
        for one in rounds:
            one.set()
        guard.close()
