"""Whose request it is: nobody writes an address into the ledger, or escapes a limit, by sending a header."""

from typing import Any

import msgspec
import pytest

from config.settings import HttpSettings
from gateway.http.client_address import client_address
from tests.gateway.bodies import envelope
from tests.gateway.world import Tenant, World, open_world

PROXIES = ("10.0.0.0/8", "2001:db8:ffff::/48")


def come_from(peer: str, *forwarded: str) -> str:
    scope: Any = {
        "client": (peer, 5000) if peer else None,
        "headers": [(b"X-Forwarded-For", value.encode("latin-1")) for value in forwarded],
    }
    return client_address(scope, PROXIES)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", (), "203.0.113.7"),
        ("203.0.113.7", ("198.51.100.1",), "203.0.113.7"),  # no proxy of ours: the header is a lie
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("1.1.1.1, 198.51.100.1",), "198.51.100.1"),  # the left is the client's own writing
        ("10.0.0.1", ("1.1.1.1, 198.51.100.1, 10.0.0.2",), "198.51.100.1"),
        ("10.0.0.1", ("1.1.1.1", "198.51.100.1"), "198.51.100.1"),  # two lines of headers
        ("10.0.0.1", ("10.0.0.9, 10.0.0.2",), "10.0.0.9"),
        ("10.0.0.1", ("198.51.100.1, unknown",), "10.0.0.1"),
        ("10.0.0.1", ("<script>",), "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", (",,",), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1:4711",), "198.51.100.1"),
        ("10.0.0.1", ("[2001:db8::1]:4711",), "2001:db8::1"),
        ("10.0.0.1", ("2001:DB8:0:0::1",), "2001:db8::1"),
        ("::ffff:10.0.0.1", ("::ffff:198.51.100.1",), "198.51.100.1"),
        ("2001:db8:ffff::1", ("fe80::1%eth0",), "fe80::1"),
        ("testclient", ("198.51.100.1",), "testclient"),
        ("", ("198.51.100.1",), ""),
    ],
)
def test_address_is_the_right_most_hop_that_no_proxy_of_ours_wrote(
    peer: str, forwarded: tuple[str, ...], expected: str
) -> None:
    assert come_from(peer, *forwarded) == expected


@pytest.mark.parametrize(("proxies", "expected"), [((), "127.0.0.1"), (("127.0.0.1",), "198.51.100.1")])
async def test_ledger_names_the_address_that_may_be_believed(
    gateway_settings: Any, proxies: tuple[str, ...], expected: str
) -> None:
    from tests.gateway.fake_provider import FakeProvider

    settings = msgspec.structs.replace(gateway_settings, http=HttpSettings(trusted_proxies=proxies))
    async with open_world(settings, FakeProvider("alpha")) as world:
        acme = await _tenant(world)
        made = await acme.made(envelope(), headers={"x-forwarded-for": "198.51.100.1"})
        trail = (await acme.get(f"/envelopes/{made['id']}/audit-trail")).json()
    addresses = {entry["actor"]["ip_address"] for entry in trail["entries"]} - {""}
    assert addresses == {expected}


async def _tenant(world: World) -> Tenant:
    tenant = await world.tenant()
    await tenant.route(await tenant.connect("alpha"))
    return tenant
