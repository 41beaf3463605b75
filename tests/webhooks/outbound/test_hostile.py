"""Receivers that hang, drip, redirect, flood, break off or lie: each costs its own deliveries only."""

import asyncio
import contextlib
import gzip
import socket
import struct
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.webhooks.outbound.hub import Hub
from tests.webhooks.outbound.receiver import Receiver, always, serve


@contextlib.asynccontextmanager
async def raw_server(handle) -> AsyncIterator[str]:
    """A TCP server that speaks as `handle(reader, writer)` says, after the request's head has arrived."""
    tasks: set[asyncio.Task] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await handle(reader, writer)
        writer.close()
        if asyncio.current_task().cancelling():
            writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def deliver_to(hub: Hub, url: str, *, state: str = "exhausted", **endpoint):
    tenant = await hub.tenant()
    await hub.endpoint(tenant, url, timeout_seconds=1, **endpoint)
    await hub.emit(tenant)
    async with hub.delivering(default_schedule_delays_s=(), response_bytes=2048):
        await hub.settled(1, state)
    return tenant, (await hub.attempts())[-1]


async def test_a_receiver_that_never_answers_is_given_up_after_its_time(hub: Hub):
    async def hang(reader, writer):
        await asyncio.sleep(60)

    async with raw_server(hang) as url:
        _, attempt = await deliver_to(hub, url)
    assert attempt["error"].startswith("no answer within 1 s")
    assert 900 <= attempt["duration_ms"] < 3000


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"])
async def test_a_receiver_that_drips_is_given_up_after_the_whole_time(hub: Hub, start: bytes):
    async def drip(reader, writer):
        writer.write(start)
        head = b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 5000
        for at in range(5000):
            writer.write(head[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0.05)

    async with raw_server(drip) as url:
        _, attempt = await deliver_to(hub, url)
    assert attempt["error"].startswith("no answer within 1 s")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(hub: Hub, receiver: Receiver, status: int):
    async with serve() as canary:
        receiver.answer = always(status, Location=canary.url)
        _, attempt = await deliver_to(hub, receiver.url)
        assert (attempt["status"], canary.requests) == (status, [])
        assert attempt["error"].startswith(f"answered {status}; redirects are not followed")


async def test_an_endless_answer_is_cut_and_its_connection_closed(hub: Hub):
    written = 0

    async def flood(reader, writer):
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(1000):
                writer.write(b"x" * 1_000_000)
                await writer.drain()
                written += 1_000_000

    async with raw_server(flood) as url:
        _, attempt = await deliver_to(hub, url, state="succeeded")
    assert attempt["response"] == b"x" * 1024
    assert written < 50_000_000


async def test_a_failures_answer_is_kept_up_to_the_cap(hub: Hub, receiver: Receiver):
    async def complain(request: web.Request, received) -> web.Response:
        return web.Response(status=500, body=b"no" * 5000)

    receiver.answer = complain
    _, attempt = await deliver_to(hub, receiver.url)
    assert attempt["response"] == b"no" * 1024


async def test_a_gzip_bomb_is_not_unpacked(hub: Hub, receiver: Receiver):
    bomb = gzip.compress(b"\0" * 2_000_000)

    async def explode(request: web.Request, received) -> web.Response:
        return web.Response(status=200, body=bomb, headers={"Content-Encoding": "gzip"})

    receiver.answer = explode
    _, attempt = await deliver_to(hub, receiver.url, state="succeeded")
    assert attempt["response"] == bomb[:1024]


async def test_a_reset_is_a_failed_attempt(hub: Hub):
    async def reset(reader, writer):
        peer = writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with raw_server(reset) as url:
        _, attempt = await deliver_to(hub, url)
    assert attempt["error"].startswith("the exchange broke")


async def test_nobody_listening_is_a_failed_attempt(hub: Hub):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    _, attempt = await deliver_to(hub, f"http://127.0.0.1:{port}/hook")
    assert attempt["error"].startswith("no connection")


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 999999 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_an_answer_that_is_no_http_is_a_failed_attempt(hub: Hub, answer: bytes):
    async def lie(reader, writer):
        writer.write(answer)
        await writer.drain()

    async with raw_server(lie) as url:
        _, attempt = await deliver_to(hub, url)
    assert attempt["status"] is None
    assert attempt["error"].startswith("the exchange broke")


async def test_410_switches_the_endpoint_off_and_keeps_what_waits(hub: Hub, receiver: Receiver):
    receiver.answer = always(410)
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url, max_in_flight=1)
    await hub.emit(tenant, 3)
    async with hub.delivering():
        await hub.settled(3, "held")
        await hub.emit(tenant)
        await hub.settled(4, "held")
    assert len(receiver.requests) == 1
    endpoint = await hub.desk.read(tenant, made.endpoint.id)
    told = "answered 410; the endpoint said that it is gone"
    assert (endpoint.active, endpoint.disabled_reason) == (False, told)
    assert (await hub.ledger_types(tenant)).count("endpoint_disabled") == 1


async def test_429_with_retry_after_waits_and_burns_no_attempt(hub: Hub, receiver: Receiver):
    receiver.answer = always(429, Retry_After="3600")
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    async with hub.delivering():
        await hub.emit(tenant)
        await hub.until(hub.attempts)
    [row] = await hub.deliveries()
    waits = await hub.store.hub.fetchval("SELECT extract(epoch FROM due_at - now())::float FROM deliveries")
    assert (row["state"], row["attempt"], row["throttled"]) == ("pending", 0, 1)
    assert 3500 < waits <= 3600


async def test_hanging_endpoints_do_not_hold_up_the_others(hub: Hub):
    async def hang(reader, writer):
        await asyncio.sleep(60)

    async with raw_server(hang) as hanging, serve() as healthy:
        tenant = await hub.tenant()
        for _ in range(6):
            await hub.endpoint(tenant, hanging, timeout_seconds=30)
        await hub.endpoint(tenant, healthy.url)
        async with hub.delivering(in_flight=64, batch_size=16, grace_s=0.1):
            sent = await hub.put(tenant, 60)
            await hub.until(lambda: len(healthy.requests) == 60, within_s=15)
    assert sorted(healthy.ids) == sorted(sent)


async def test_an_endpoint_that_timed_out_gets_one_slot_until_it_answers(hub: Hub, receiver: Receiver):
    hanging = True

    async def hang_first(request: web.Request, received) -> web.Response:
        if hanging:
            await asyncio.sleep(60)
        return web.Response(status=204)

    receiver.answer = hang_first
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url, timeout_seconds=1, max_in_flight=4)
    await hub.put(tenant, 20)
    async with hub.delivering(default_schedule_delays_s=(0.01,) * 40):
        await hub.until(lambda: receiver.in_flight == 4)
        await hub.until(lambda: len(receiver.requests) > 4)
        await asyncio.sleep(0.3)
        assert len(receiver.requests) == 5
        hanging = False
        await hub.settled(20)
