"""A network of its own in which every address in the world is this machine, and somebody listens on all of them.

Run by test_ssrf.py, as root of namespaces of its own. The system's resolver asks the rebinding name server here, so that nothing stands between the
guard and getaddrinfo, and a connection to any address whatever is seen. Prints what was seen as JSON.
"""

import asyncio
import json
from collections.abc import Iterator

from config.secret import Secret
from normalizer.errors import ValidationFailed
from tests.webhooks.outbound.canary import Canary, watch
from tests.webhooks.outbound.name_server import NameServer, serve_names
from tests.webhooks.outbound.sinks.stands import make_message, make_route, sinks_of
from tests.webhooks.outbound.ssrf_corpus import FORBIDDEN_ADDRESSES
from webhooks.outbound.guard import Guard
from webhooks.outbound.mailbox import OAuthAccess, Route
from webhooks.outbound.sinks.senders import Sinks
from webhooks.outbound.sinks.target import ExchangeTarget, SinkKind, StreamTarget
from webhooks.outbound.sinks.vet import vet_sink_url

PUBLIC = "93.184.216.34"
PUBLIC_V6 = "2606:2800:220:1:248:1893:25c8:1946"
PORTS = (443, 6380, 5671)
KINDS = ("http", "token", "redis", "amqp")
# How a bad address may come: alone, beside good ones, behind an alias, behind two; X stands for the bad one.
SHAPES = {
    "alone": ["X"],
    "good first": [PUBLIC, "X"],
    "bad first": ["X", PUBLIC],
    "among both families": [PUBLIC, PUBLIC_V6, "X"],
    "alias": ["ALIAS"],
    "two aliases": ["FAR"],
}
# How one and the same name may be written.
SPELLINGS = (
    str,
    str.upper,
    lambda host: host + ".",
    lambda host: "bü" + host,
    lambda host: host.title() + ".",
)


def tell(names: NameServer, host: str, shape: str, address: str, *, first: tuple[str, ...] = ()) -> None:
    """What a host answers, however it is written. `first`: to the first question only."""
    name = host.encode("idna").decode().lower().rstrip(".")
    meaning = {"X": address, "ALIAS": f"alias.{name}", "FAR": f"far.{name}"}
    names.say(f"alias.{name}", [address])
    names.say(f"far.{name}", [f"alias.{name}"])
    bad = [meaning.get(entry, entry) for entry in SHAPES[shape]]
    names.say(name, *([first] if first else []), bad)


def route_of(kind: str, guard: Guard, host: str) -> Route:
    """Vetted as at registration, by its spelling."""
    if kind == "redis":
        url = vet_sink_url(guard, SinkKind.REDIS_STREAM, f"rediss://{host}:6380/0")
        return make_route(str(url), sink=SinkKind.REDIS_STREAM, target=StreamTarget("s"), timeout_s=2.0)
    if kind == "amqp":
        url = vet_sink_url(guard, SinkKind.AMQP, f"amqps://{host}:5671/")
        return make_route(str(url), sink=SinkKind.AMQP, target=ExchangeTarget("", "q"), timeout_s=2.0)
    url = vet_sink_url(guard, SinkKind.HTTP, f"https://{host}/")
    if kind == "http":
        return make_route(str(url), timeout_s=2.0)
    access = OAuthAccess(url, "client", Secret("a-secret"))
    return make_route("https://receiver.example.com/", oauth=access, timeout_s=2.0)


def forms() -> Iterator[tuple[str, str, str]]:
    """(host as it is written, shape, address) for everything that DNS can answer; zones it cannot."""
    number = 0
    for address in FORBIDDEN_ADDRESSES:
        if "%" in address:
            continue
        for shape in SHAPES:
            number += 1
            yield SPELLINGS[number % len(SPELLINGS)](f"h{number}.example.com"), shape, address


async def try_one(
    names: NameServer, sinks: Sinks, guard: Guard, kind: str, form: tuple[str, str, str]
) -> str:
    """A name that rebinds: its first answer is good. What went wrong, or nothing."""
    host, shape, address = form
    tell(names, host, shape, address, first=(PUBLIC,))
    await guard.vet_name(guard.vet_url(f"https://{host}/"))
    route = route_of(kind, guard, host)
    answer = await sinks[route.sink].send(route, make_message())
    refused = answer.status is None and "not public" in answer.error
    return "" if refused else f"{kind}: {shape}: {address}: {answer.error}"


async def try_all(names: NameServer, canary: Canary) -> dict[str, object]:
    guard = Guard()
    passed: list[str] = []
    deliveries = 0
    async with sinks_of(guard) as sinks:
        for host, shape, address in forms():
            tell(names, host, shape, address)
            try:
                await guard.vet_name(guard.vet_url(f"https://{host}/"))
                passed.append(f"registration: {shape}: {address}")
            except ValidationFailed:
                pass
            for kind in KINDS:
                passed += filter(None, [await try_one(names, sinks, guard, kind, (host, shape, address))])
                deliveries += 1
        seen: dict[str, object] = {"forms": len(list(forms())), "deliveries": deliveries}
        seen["passed"] = passed
        seen["canary"] = list(canary.connections)
        for kind in KINDS:  # the canary is no dead one: a public address is connected to
            names.say(f"{kind}.example.org", [PUBLIC])
            await sinks[route_of(kind, guard, "x.example").sink].send(
                route_of(kind, guard, f"{kind}.example.org"), make_message()
            )
    seen["control"] = list(canary.connections)
    return seen


async def main() -> None:
    async with serve_names(port=53) as names, watch(PORTS, "0.0.0.0", "::") as canary:
        print(json.dumps(await try_all(names, canary)))


if __name__ == "__main__":
    asyncio.run(main())
