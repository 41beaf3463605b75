"""No forbidden address is reached by a webhook, a token request or a broker: at registration, and at each delivery.

Through the desk and a running deliverer, with names that a rebinding DNS server resolves and canaries that count
connections; and in a network where every address there is would answer.
"""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from config.secret import Secret
from normalizer.errors import ValidationFailed
from tests.house.tree import ROOT
from tests.webhooks.outbound.canary import watch
from tests.webhooks.outbound.hub import ACTOR, SOURCE, Hub
from tests.webhooks.outbound.name_server import NameServer, serve_names
from tests.webhooks.outbound.receiver import Receiver, always
from tests.webhooks.outbound.sinks.stands import make_message, make_route, sinks_of
from tests.webhooks.outbound.ssrf_corpus import (
    _LITERAL_HOSTS,
    _LOCAL_NAMES,
    _NO_NAMES,
    ALLOWED_URLS,
    FORBIDDEN_ADDRESSES,
    FORBIDDEN_URLS,
)
from tests.webhooks.outbound.ssrf_world import KINDS, PUBLIC, SHAPES, SPELLINGS, tell
from webhooks.outbound.endpoint import EndpointChange, OAuth
from webhooks.outbound.guard import AddrInfo, Guard
from webhooks.outbound.mailbox import OAuthAccess
from webhooks.outbound.sinks.target import SinkKind

GOOD = {
    "http": "https://good.example.com/",
    "token": "https://good.example.com/",
    "redis": "rediss://good.example.com:6380/0",
    "amqp": "amqps://good.example.com:5671/",
}
MOST_ENDPOINTS = 100  # of one tenant
HOSTS = [*_LITERAL_HOSTS, *_LOCAL_NAMES, *_NO_NAMES]
FORMS = {
    "http": FORBIDDEN_URLS,
    "token": FORBIDDEN_URLS,
    "redis": [f"rediss://{host}:6380/" for host in HOSTS],
    "amqp": [f"amqps://{host}:5671/" for host in HOSTS],
}
# What a redirect may point to. None is followed, so that none is even looked up.
LOCATIONS = [
    "http://169.254.169.254/latest/meta-data/", "https://169.254.169.254/", "http://[fd00:ec2::254]/latest/", "http://100.100.100.200/",
    "http://metadata.google.internal/computeMetadata/v1/", "//169.254.169.254/", "/elsewhere", "http://2852039166/",
    "http://[::ffff:a9fe:a9fe]/", "http://168.63.129.16/", "file:///etc/passwd", "unix:/var/run/docker.sock", "gopher://127.0.0.1:6379/_FLUSHALL",
]  # fmt: skip


@pytest_asyncio.fixture
async def names() -> AsyncIterator[NameServer]:
    async with serve_names() as server:
        server.say("good.example.com", [PUBLIC])
        yield server


@pytest_asyncio.fixture
async def closed_hub(store, redis_url, names: NameServer) -> AsyncIterator[Hub]:
    """With no development list, as in production, and the rebinding name server."""
    made = Hub(store, redis_url, loopback=(), lookup=names.lookup)
    yield made
    await made.close()


async def register(hub: Hub, tenant, kind: str, url: str):
    match kind:
        case "http":
            return await hub.endpoint(tenant, url)
        case "token":
            oauth = OAuth(token_url=url, client_id="client")
            return await hub.endpoint(tenant, GOOD["http"], oauth=oauth, oauth_secret=Secret("a-secret"))
        case "redis":
            return await hub.endpoint(tenant, url, sink=SinkKind.REDIS_STREAM, sink_target="s")
        case _:
            return await hub.endpoint(tenant, url, sink=SinkKind.AMQP, sink_target="/q")


def spelled(kind: str, number: int) -> str:
    """A host in one of its spellings; a token URL is written in ASCII."""
    host = SPELLINGS[number % len(SPELLINGS)](f"h{number}.example.com")
    return host.encode("idna").decode() if kind == "token" else host


async def exhaust(hub: Hub, tenants: Sequence, count: int) -> dict:
    """An event of each tenant, sent once to each of so many endpoints; the attempts' outcomes by endpoint."""
    for tenant in tenants:
        await hub.emit(tenant)
    async with hub.delivering(default_schedule_delays_s=()):
        await hub.settled(count, "exhausted")
    rows = await hub.store.hub.fetch(
        "SELECT d.endpoint_id, a.status, a.error FROM delivery_attempts a JOIN deliveries d ON d.id = a.delivery_id"
    )
    return {row["endpoint_id"]: (row["status"], row["error"]) for row in rows}


def test_the_forms_are_many():
    forms = {(kind, url) for kind, urls in FORMS.items() for url in urls}
    named = {(shape, address) for shape in SHAPES for address in FORBIDDEN_ADDRESSES}
    assert (len(FORBIDDEN_URLS) >= 120, len(forms) >= 380, len(named) >= 450) == (True, True, True)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_forbidden_form_is_refused_at_registration_and_at_a_change(
    closed_hub: Hub, names: NameServer, kind: str
):
    tenant = await closed_hub.tenant()
    made = (await register(closed_hub, tenant, kind, GOOD[kind])).endpoint
    taken, pointers = [], set()
    for url in FORMS[kind]:
        change = EndpointChange(url=url)
        if kind == "token":
            change = EndpointChange(
                oauth=OAuth(token_url=url, client_id="client"), oauth_secret=Secret("another")
            )
        for ask in (
            register(closed_hub, tenant, kind, url),
            closed_hub.desk.change(tenant, made.id, change, ACTOR, SOURCE),
        ):
            try:
                await ask
                taken.append(url)
            except ValidationFailed as refused:
                pointers.add(refused.findings[0].where)
    assert taken == []
    assert pointers == {"/oauth/token_url" if kind == "token" else "/url"}
    assert await closed_hub.desk.list(tenant) == [made]
    assert set(names.questions) == {"good.example.com"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_forbidden_form_that_is_stored_all_the_same_is_not_sent_to(
    closed_hub: Hub, names: NameServer, kind: str
):
    """Whether an older rule let it in or somebody wrote it into the table."""
    storable = [url for url in FORMS[kind] if "\0" not in url and len(url) <= 2048]
    assert len(storable) >= len(FORMS[kind]) - 3
    tenants = [await closed_hub.tenant() for _ in range(0, len(storable), MOST_ENDPOINTS)]
    for at, url in enumerate(storable):
        made = await register(closed_hub, tenants[at // MOST_ENDPOINTS], kind, GOOD[kind])
        change = "url = $2"
        if kind == "token":
            change = "oauth = jsonb_set(oauth, '{token_url}', to_jsonb($2::text))"
        await closed_hub.store.hub.execute(
            f"UPDATE webhook_endpoints SET {change} WHERE id = $1", made.endpoint.id, url
        )
    names.questions.clear()
    seen = await exhaust(closed_hub, tenants, len(storable))
    assert len(seen) == len(storable)
    sent = [
        (status, error)
        for status, error in seen.values()
        if status is not None or not error.startswith("not sent: This URL")
    ]
    assert sent == []
    assert names.questions == []


async def test_a_name_that_rebinds_between_registration_and_delivery_is_never_connected_to(
    closed_hub: Hub, names: NameServer
):
    async with watch((8443, 6380, 5671)) as canary:
        bad = [address for address in FORBIDDEN_ADDRESSES if "%" not in address]
        forms = [(KINDS[at % 4], list(SHAPES)[at // 4 % 6], address) for at, address in enumerate(bad)]
        reaching = (canary.host, f"::ffff:{canary.host}", f"64:ff9b::{canary.host}")
        forms += [(kind, shape, address) for kind in KINDS for shape in SHAPES for address in reaching]
        tenants = [await closed_hub.tenant() for _ in range(0, len(forms), MOST_ENDPOINTS)]
        for at, (kind, shape, address) in enumerate(forms):
            host = spelled(kind, at)
            tell(names, host, shape, address, first=(PUBLIC,))
            url = {"redis": f"rediss://{host}:6380/", "amqp": f"amqps://{host}:5671/"}.get(
                kind, f"https://{host}:8443/"
            )
            if kind == "token":
                tell(names, "good.example.com", "alone", PUBLIC)
            await register(closed_hub, tenants[at // MOST_ENDPOINTS], kind, url)
        seen = await exhaust(closed_hub, tenants, len(forms))
        assert len(forms) >= 140
        assert [one for one in seen.values() if one[0] is not None or "not public" not in one[1]] == []
        assert canary.connections == []
        with socket.create_connection((canary.host, 8443), 2):
            await closed_hub.until(lambda: canary.connections)  # it would have been seen


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_name_that_leads_to_a_forbidden_address_is_refused_at_registration_in_every_shape(
    closed_hub: Hub, names: NameServer, shape: str
):
    tenant = await closed_hub.tenant()
    taken: list[tuple[str, str]] = []
    problems: list[str] = []
    for at, address in enumerate(address for address in FORBIDDEN_ADDRESSES if "%" not in address):
        kind = KINDS[at % 4]
        host = spelled(kind, at)
        tell(names, host, shape, address)
        url = {"redis": f"rediss://{host}", "amqp": f"amqps://{host}/"}.get(kind, f"https://{host}/")
        try:
            await register(closed_hub, tenant, kind, url)
            taken.append((kind, address))
        except ValidationFailed as refused:
            problems.append(refused.findings[0].problem)
    assert taken == []
    assert [problem for problem in problems if "not public" not in problem] == []
    assert await closed_hub.desk.list(tenant) == []


async def test_good_names_are_registered_in_every_spelling(closed_hub: Hub, names: NameServer):
    """Otherwise all of the above would prove little."""
    tenant = await closed_hub.tenant()
    for url in ALLOWED_URLS:
        await register(closed_hub, tenant, "http", url)
    for kind, url in GOOD.items():
        await register(closed_hub, tenant, kind, url)
    assert len(await closed_hub.desk.list(tenant)) == len(ALLOWED_URLS) + len(GOOD)


class WatchedGuard(Guard):
    """Remembers what it made sockets for and which names it looked up."""

    def __init__(self, loopback: Sequence[str]) -> None:
        super().__init__(loopback)
        self.made: list[object] = []
        self.asked: list[str] = []

    def make_socket(self, info: AddrInfo) -> socket.socket:
        self.made.append(info[4][0])
        return super().make_socket(info)

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return await super().resolve(host, port)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
async def test_no_redirect_is_followed_wherever_it_leads(receiver: Receiver, status: int):
    guard = WatchedGuard(["127.0.0.1:*"])
    async with watch((0,)) as canary, sinks_of(guard) as sinks:
        answered = []
        for at, location in enumerate([*LOCATIONS, f"http://{canary.host}:8443/"]):
            receiver.answer = always(status, Location=location)
            answer = await sinks[SinkKind.HTTP].send(make_route(receiver.url), make_message(2 * at))
            access = OAuthAccess(make_route(receiver.url).url, "client", Secret("a-secret"))
            token = await sinks[SinkKind.HTTP].send(
                make_route(receiver.url, oauth=access), make_message(2 * at + 1)
            )
            answered.append((answer.status, token.status, f"it answered {status}" in token.error))
        assert answered == [(status, None, True)] * (len(LOCATIONS) + 1)
        assert len(receiver.requests) == 2 * (len(LOCATIONS) + 1)
        assert (set(guard.made), guard.asked, canary.connections) == ({"127.0.0.1"}, [], [])


SETUP = """
{ ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip -6 route add local ::/0 dev lo &&
  printf 'nameserver 127.0.0.1\\n' > "$1" && mount --bind "$1" /etc/resolv.conf; } || exit 97
exec "$2" -m tests.webhooks.outbound.ssrf_world
"""


def test_not_one_connection_is_made_where_the_whole_world_is_a_canary(tmp_path: Path):
    """With the system's own resolver, in a network of its own where every address of either family answers."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("unshare or ip is not installed")
    command = ["unshare", "-rmn", "sh", "-c", SETUP, "sh", str(tmp_path / "resolv.conf"), sys.executable]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if said.returncode == 97 or said.stderr.startswith("unshare: "):
        pytest.skip(f"no network of its own can be made here: {said.stderr.strip()}")
    assert (said.returncode, said.stderr) == (0, "")
    seen = json.loads(said.stdout)
    assert (seen["passed"], seen["canary"]) == ([], [])
    assert seen["forms"] >= 440
    assert seen["deliveries"] == 4 * seen["forms"]
    assert seen["control"] == [[PUBLIC, port] for port in (443, 443, 6380, 5671)]
