"""Which hosts a call may reach, and how many connections are kept to them."""

import msgspec
import pytest

from adapters.kit.outcome import Done, Rejected
from adapters.kit.port import Connection
from tests.adapters.kit.fake_provider import FAST, Bench, FakeAdapter, FakeServer, open_bench, request


async def test_hosts_asked_in_turns_keep_their_connections() -> None:
    async with open_bench() as bench:
        other = FakeServer()
        await other.start()
        for base in (bench.server.base, other.base) * 3:
            assert isinstance(await bench.send(request(authorized=False, path=f"{base}/things")), Done)
        assert (bench.server.open_connections, other.open_connections) == (1, 1)
        await other.stop()


async def test_more_hosts_than_connections_are_all_asked() -> None:
    async with open_bench(msgspec.structs.replace(FAST, connections=1)) as bench:
        other = FakeServer()
        await other.start()
        for base in (bench.server.base, other.base) * 2:
            assert isinstance(await bench.send(request(authorized=False, path=f"{base}/things")), Done)
        assert (bench.server.count("/things"), other.count("/things")) == (2, 2)
        await other.stop()


@pytest.mark.parametrize(
    ("path", "loopback"),
    [
        ("https://evil.example/x", True),
        ("http://127.0.0.1:1/x", False),
        ("https://127.0.0.1@evil.example/", True),
        ("@evil.example/x", True),
        ("https://user:secret@127.0.0.1/x", True),
        ("/things/../../admin", True),
        ("/things/%2e%2e/admin", True),
        ("/a\r\nHost: evil", True),
        ("https://127.0.0.1\\@evil.example/", True),
    ],
)
async def test_request_to_a_foreign_place_never_leaves(bench: Bench, path: str, loopback: bool) -> None:
    connection = Connection(id="c", tenant_id="t", credentials=None, allow_loopback=loopback)
    if not loopback:
        outcome = await bench.send(request(path=path, authorized=False), connection=connection)
    else:
        outcome = await bench.send(request(path=path))
    assert isinstance(outcome, Rejected)
    assert outcome.code == "request_refused"
    assert bench.server.count("/things") == 0
    assert all(received.path == "/token" for received in bench.server.received)


class TrustingAdapter(FakeAdapter):
    """An administrator has named whatever host is asked for."""

    def allowed_host(self, host: str, connection: Connection) -> bool:
        return True


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "10.0.0.5", "[fd00:ec2::254]", "2130706433", "0x7f000001", "127.1", "0X7F.1",
     "[::ffff:10.0.0.1]", "100.100.100.200.", "provider.example:22", "provider.example:6379"],
)  # fmt: skip
async def test_named_host_that_is_an_address_or_odd_port_is_never_asked(
    bench: Bench, host: str, loopback: bool
) -> None:
    connection = Connection(id="c", tenant_id="t", credentials=None, allow_loopback=loopback)
    bench.adapter = TrustingAdapter(bench.server.base)
    outcome = await bench.send(request(path=f"https://{host}/x", authorized=False), connection=connection)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "request_refused"


async def test_header_with_a_line_break_never_leaves(bench: Bench) -> None:
    outcome = await bench.send(request(headers=(("x-user", "a\r\nx-admin: 1"),)))
    assert isinstance(outcome, Rejected)
    assert bench.server.count("/things") == 0
