"""Twenty-one hostile receivers among two hundred healthy ones: these get everything, and wait for none of those."""

from collections import Counter
from uuid import UUID

from tests.webhooks.outbound.hostile_servers import ENDING, HOLDING, Hostile, serve_all
from tests.webhooks.outbound.hub import Hub
from tests.webhooks.outbound.receiver import serve
from tests.webhooks.outbound.sinks.certificates import authority

HEALTHY = 200
TENANTS = 3  # of one hundred endpoints at most
EVENTS = 3
CAP = 65_536
# What lies in the two sockets of a connection when its reader has stopped.
MOST_IN_SOCKETS = 32_000_000


class Crowd:
    """`hostile`: endpoints by what their server is called. Each tenant has some of both kinds."""

    def __init__(self, hub: Hub, servers: dict[str, Hostile]) -> None:
        self.hub = hub
        self.servers = servers
        self.tenants: list[UUID] = []
        self.healthy: set[UUID] = set()
        self.hostile: dict[str, UUID] = {}

    async def settle_in(self, healthy_url: str, *, holding_timeout_s: int) -> None:
        """Those that end by themselves have time to, however busy this machine is."""
        holding = {one.__name__ for one in HOLDING}
        self.tenants = [await self.hub.tenant() for _ in range(TENANTS)]
        for at, (name, server) in enumerate(self.servers.items()):
            trust = {"server_ca": authority().pem} if name == "expired" else {}
            timeout_s = holding_timeout_s if name in holding else 60
            made = await self.hub.endpoint(
                self.tenants[at % TENANTS], server.url, timeout_seconds=timeout_s, **trust
            )
            self.hostile[name] = made.endpoint.id
        for at in range(HEALTHY):
            made = await self.hub.endpoint(self.tenants[at % TENANTS], f"{healthy_url}/{at}")
            self.healthy.add(made.endpoint.id)

    async def emit(self, count: int) -> None:
        for tenant in self.tenants:
            await self.hub.emit(tenant, count)

    async def states(self) -> dict[UUID, Counter]:
        states: dict[UUID, Counter] = {}
        for row in await self.hub.deliveries():
            states.setdefault(row["endpoint_id"], Counter())[row["state"]] += 1
        return states

    async def attempts(self) -> dict[UUID, list[dict]]:
        rows = await self.hub.store.hub.fetch(
            "SELECT d.endpoint_id, a.status, a.outcome, a.error, a.response FROM delivery_attempts a"
            " JOIN deliveries d ON d.id = a.delivery_id ORDER BY a.started_at"
        )
        by_endpoint: dict[UUID, list[dict]] = {}
        for row in rows:
            by_endpoint.setdefault(row["endpoint_id"], []).append(dict(row))
        return by_endpoint


async def test_healthy_endpoints_get_everything_while_hostile_ones_hold_what_they_were_given(hub: Hub):
    """None of those that hold ever ends here, so that whoever waited for one of them would wait for ever."""
    async with serve_all() as servers, serve() as healthy:
        crowd = Crowd(hub, servers)
        await crowd.settle_in(healthy.url, holding_timeout_s=60)
        assert (len(crowd.hostile), len(crowd.healthy)) == (21, HEALTHY)
        async with hub.delivering(in_flight=64, batch_size=32, grace_s=0.1):
            await crowd.emit(EVENTS)

            async def healthy_are_done() -> bool:
                states = await crowd.states()
                return all(states.get(one) == Counter(succeeded=EVENTS) for one in crowd.healthy)

            await hub.until(healthy_are_done, within_s=60)
            attempts = await crowd.attempts()
            await hub.until(lambda: all(servers[one.__name__].requests for one in HOLDING))
            holding = [crowd.hostile[one.__name__] for one in HOLDING]
            assert [one for one in holding if one in attempts] == []
    assert {len(attempts[one]) for one in crowd.healthy} == {EVENTS}
    assert len(healthy.requests) == EVENTS * HEALTHY
    assert set(Counter((one.path, one.id) for one in healthy.requests).values()) == {1}


async def test_every_hostile_exchange_ends_at_its_deadline_and_costs_a_bounded_part_of_memory(hub: Hub):
    """The holding ones never end by themselves: that all is settled is the deadline's doing."""
    async with serve_all() as servers, serve() as healthy:
        crowd = Crowd(hub, servers)
        await crowd.settle_in(healthy.url, holding_timeout_s=1)
        async with hub.delivering(in_flight=64, batch_size=32, default_schedule_delays_s=()):
            await crowd.emit(1)

            async def nothing_is_open() -> bool:
                states = await crowd.states()
                throttled = states.pop(crowd.hostile["always_has_too_much"], None)
                done = {"succeeded", "exhausted", "held"}
                return (
                    bool(throttled)
                    and len(states) == 220
                    and all(set(one) <= done for one in states.values())
                )

            await hub.until(nothing_is_open, within_s=60)
        attempts = await crowd.attempts()
    first = {name: attempts[endpoint][0] for name, endpoint in crowd.hostile.items()}
    said = {name: (row["status"], row["error"].split(":")[0].split(";")[0]) for name, row in first.items()}
    late = (None, "no answer within 1 s")
    broke = (None, "the exchange broke")
    assert said == {
        **dict.fromkeys((one.__name__ for one in HOLDING), late),
        "answers_a_gigabyte": (200, ""),
        "fails_with_a_gigabyte": (500, "answered 500"),
        "floods_headers": broke,
        "has_huge_headers": broke,
        "sends_a_bomb": (200, ""),
        "redirects_to_itself": (307, "answered 307"),
        "resets": broke,
        "closes_its_half": broke,
        "talks_nonsense": broke,
        "is_gone": (410, "answered 410"),
        "always_has_too_much": (429, "answered 429"),
        "self_signed": (None, "TLS failed"),
        "expired": (None, "TLS failed"),
    }
    assert len(said) == len(HOLDING) + len(ENDING) + 2
    kept = [len(row["response"] or b"") for rows in attempts.values() for row in rows]
    assert max(kept) == len(first["fails_with_a_gigabyte"]["response"]) == CAP
    assert servers["redirects_to_itself"].requests == 1
    assert {
        name: one.most_written for name, one in servers.items() if one.most_written > MOST_IN_SOCKETS
    } == {}
    assert {len(attempts[one]) for one in crowd.healthy} == {1}
