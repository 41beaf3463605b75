"""`countersign listen` at a real gateway with a real deliverer: what comes is verified, printed and passed on."""

import asyncio
import dataclasses
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from config.errors import ConfigError
from config.secret import Secret
from gateway.app import create_app
from gateway.cli.listen import listen_until
from gateway.cli.listening import Message, Printer
from gateway.cli.main import _parser
from gateway.deliverer import run
from normalizer.canonical import canonical_bytes
from normalizer.catalogue.samples import ENVELOPE_ID
from normalizer.catalogue.schemas import FULL, THIN, example_body
from normalizer.vocabulary import EventType
from tests.gateway.cli.command import CommandLine, clean_environ
from tests.gateway.world import Tenant, World
from tests.webhooks.inbound.listen import listen as serve_app
from tests.webhooks.outbound.receiver import Received, Receiver, serve
from webhooks.verify import Verified

WITHIN_S = 60


@dataclass
class Listening:
    """The command while it runs: `url` is where it listens, `endpoint` what it made."""

    process: asyncio.subprocess.Process
    endpoint: str = ""
    url: str = ""

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def complaint(self) -> str:
        assert self.process.stderr is not None
        async with asyncio.timeout(WITHIN_S):
            return (await self.process.stderr.readline()).decode().rstrip("\n")

    async def end(self, which: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Its exit status and what it said last."""
        assert self.process.stderr is not None
        self.process.send_signal(which)
        async with asyncio.timeout(WITHIN_S):
            said = (await self.process.stderr.read()).decode()
            return await self.process.wait(), said


@pytest_asyncio.fixture
async def base(world: World) -> AsyncIterator[str]:
    """A gateway behind a real server, and a deliverer beside it."""
    stop = asyncio.Event()
    delivering = asyncio.create_task(run(world.services.settings, stop=stop))
    try:
        async with serve_app(create_app(world.services)) as url:
            yield url
    finally:
        stop.set()
        await delivering


@asynccontextmanager
async def listening(cli: CommandLine, base: str, key: str, *more: str) -> AsyncIterator[Listening]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli.main", "listen", "--api", base, *more,
        env=clean_environ() | cli.environ | {"COUNTERSIGN_API_KEY": key},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    made = Listening(process)
    try:
        first = await made.complaint()
        assert first.startswith("ep_"), first
        made.endpoint, made.url = first.split(" ")[0], first.split(" ")[3].rstrip(";")
        yield made
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def forge(listener: Listening, target: Receiver) -> None:
    """Invented, changed and stale messages are refused, told, and not passed on."""
    [real] = target.requests
    stale = {"webhook-timestamp": "1700000000", "X-Signature-Timestamp": "1700000000"}
    async with aiohttp.ClientSession() as session:
        for body, headers in (
            (b'{"type":"envelope.completed"}', {}),
            (real.body.replace(b"endpoint.test", b"endpoint.tesT"), real.headers),
            (real.body, {**real.headers, **stale}),
        ):
            given = {name: value for name, value in headers.items() if name.lower() != "content-length"}
            async with session.post(listener.url, data=body, headers=given) as answer:
                assert answer.status == 401
            assert (await listener.complaint()).startswith("refused: ")
    assert len(target.requests) == 1


async def test_deliveries_are_verified_printed_and_the_endpoint_goes_with_the_command(
    world: World, acme: Tenant, base: str, cli: CommandLine
) -> None:
    async with serve() as target, listening(cli, base, acme.key, "--forward", target.url) as listener:
        assert await listener.complaint() == f"passing on to {target.url}"
        sent = (await acme.post(f"/webhooks/{listener.endpoint}/test")).json()
        line = await listener.line()
        assert "endpoint.test" in line
        assert f"#{sent['sequence']}  -  verified by v1  " in line
        assert line.endswith(" ms  -> 204")
        assert (await acme.get(f"/webhooks/{listener.endpoint}")).status_code == 200
        await forge(listener, target)
        status, said = await listener.end()
        assert (status, f"{listener.endpoint} is deleted." in said) == (0, True)
        assert "Traceback" not in said
    assert (await acme.get(f"/webhooks/{listener.endpoint}")).status_code == 404


@pytest.mark.parametrize(
    ("type_", "payload", "named"),
    [("envelope.sent", FULL, True), ("envelope.sent", THIN, True), ("endpoint.failing", FULL, False)],
)
def test_line_names_the_envelope_in_every_form_of_the_body(
    type_: str, payload: str, named: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    body = example_body(EventType(type_), payload)
    message = Message(
        received_at=datetime.now(UTC),
        verified=Verified(str(body["id"]), type_, 1, "v1"),
        body=canonical_bytes(body),
        answer=None,
    )
    Printer(as_json=False).message(message)
    assert (ENVELOPE_ID in capsys.readouterr().out) == named


@asynccontextmanager
async def listening_here(
    world: World, tenant: Tenant, base: str, *more: str
) -> AsyncIterator[dict[str, Any]]:
    """The same in this process; the endpoint that it made."""
    general = msgspec.structs.replace(
        world.services.settings.countersign, api_key=Secret(tenant.key) if tenant.key else None
    )
    settings = msgspec.structs.replace(world.services.settings, countersign=general)
    stop = asyncio.Event()
    options = _parser().parse_args(["listen", "--api", base, *more])
    running = asyncio.create_task(listen_until(stop, options, settings))
    try:
        yield await until(tenant, "/webhooks", running)
    finally:
        stop.set()
        await running


async def until(tenant: Tenant, path: str, running: "asyncio.Task[None] | None" = None) -> dict[str, Any]:
    """The first that is listed there."""
    async with asyncio.timeout(WITHIN_S):
        while not (found := (await tenant.get(path)).json()):
            if running is not None and running.done():
                await running
            await asyncio.sleep(0.02)
    return dict(found[0])


async def test_what_is_passed_on_keeps_its_bytes_and_headers_and_the_answer_comes_back(
    world: World, acme: Tenant, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def answer(request: web.Request, received: Received) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "600"}, text="not now")

    options = ("--json", "--keep", "--events", "envelope.sent, endpoint.failing", "--filter", '{"data.x": 1}')
    async with serve(answer) as target:
        async with listening_here(world, acme, base, "--forward", target.url, *options) as endpoint:
            assert endpoint["events"] == ["envelope.sent", "endpoint.failing"]
            assert endpoint["filter"] == {"data.x": 1}
            sent = (await acme.post(f"/webhooks/{endpoint['id']}/test")).json()
            attempt = await until(acme, f"/deliveries/{sent['delivery_id']}/attempts")
            assert (attempt["status"], attempt["response"]) == (503, "not now")
        [received] = target.requests
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert (document["verified_by"], document["forwarded"]) == ("v1", 503)
    assert document["latency_ms"] >= 0
    assert document["body"] == json.loads(received.body)
    assert document["body"]["id"] == received.id == sent["event_id"]
    assert received.headers["X-Signature-Event"] == "endpoint.test"
    assert received.headers["Content-Type"] == "application/json"
    assert f"{endpoint['id']} is kept" in printed.err
    assert acme.key not in printed.err + printed.out
    assert (await acme.get(f"/webhooks/{endpoint['id']}")).status_code == 200


async def test_what_is_passed_on_to_nobody_is_tried_again_later(
    world: World, acme: Tenant, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with listening_here(world, acme, base, "--forward", "http://127.0.0.1:9/hook") as endpoint:
        sent = (await acme.post(f"/webhooks/{endpoint['id']}/test")).json()
        attempt = await until(acme, f"/deliveries/{sent['delivery_id']}/attempts")
        assert attempt["status"] == 502
    assert capsys.readouterr().out.endswith("-> no answer\n")


async def test_a_wrong_key_address_or_filter_is_told_in_a_sentence(
    world: World, acme: Tenant, base: str
) -> None:
    stranger = dataclasses.replace(acme, key="cs_test_aaaaaaaa_nothing_00000000")
    for tenant, more, words in (
        (stranger, (), "made no endpoint: "),
        (dataclasses.replace(acme, key=""), (), "no key: set COUNTERSIGN_API_KEY"),
        (acme, ("--api", "http://127.0.0.1:9"), "cannot be reached"),
        (acme, ("--filter", "["), "no JSON object"),
        (acme, ("--events", "eaten"), "/events/0"),
        (acme, ("--forward", "ftp://x"), "--forward begins with http"),
        (acme, ("--port", "70000"), "--port is between"),
        (acme, ("--url", "nothing"), "--url begins with http"),
        (acme, ("--key-file", "/nothing"), "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=words) as refusal:
            async with listening_here(world, tenant, base, *more):
                pass
        assert not tenant.key or tenant.key not in str(refusal.value)
    assert (await acme.get("/webhooks")).json() == []
