"""Kept connections: one message at a time, one revision, and none that has ended."""

import asyncio

import pytest

from tests.webhooks.outbound.sinks.stands import make_route
from webhooks.outbound.sinks.stock import Stock


class Link:
    def __init__(self) -> None:
        self.is_usable = True
        self.aborted = False
        self.closed = False
        self.hangs = False

    def abort(self) -> None:
        self.aborted = True

    async def close(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        self.closed = True


class Made:
    def __init__(self, **options) -> None:
        self.links: list[Link] = []
        self.stock = Stock(self._open, **options)

    async def _open(self, route) -> Link:
        self.links.append(Link())
        return self.links[-1]


ROUTE = make_route("redis://127.0.0.1:1/")
LATER = make_route("redis://127.0.0.1:1/", endpoint_id=ROUTE.endpoint_id, revision=2)


async def test_two_messages_at_once_have_two_connections():
    made = Made()
    async with made.stock.use(ROUTE) as one, made.stock.use(ROUTE) as other:
        assert one is not other
    async with made.stock.use(ROUTE):
        pass
    assert len(made.links) == 2
    await made.stock.close()
    assert [link.closed for link in made.links] == [True, True]


async def test_a_connection_that_ended_while_it_was_kept_is_not_handed_out():
    made = Made()
    async with made.stock.use(ROUTE) as one:
        pass
    one.is_usable = False
    async with made.stock.use(ROUTE) as other:
        assert other is not one
    await made.stock.close()


async def test_a_connection_in_use_while_the_endpoint_changes_is_not_kept():
    made = Made()
    async with made.stock.use(ROUTE) as old:
        async with made.stock.use(LATER) as new:
            assert new is not old
    async with made.stock.use(LATER) as again:
        assert again is new
    await made.stock.close()
    assert old.closed


async def test_a_connection_whose_message_failed_is_ended_at_once():
    made = Made()
    with pytest.raises(ValueError, match="nonsense"):
        async with made.stock.use(ROUTE) as link:
            raise ValueError("nonsense")
    assert link.aborted
    async with made.stock.use(ROUTE) as other:
        assert other is not link
    await made.stock.close()


async def test_a_connection_that_does_not_say_goodbye_is_aborted(monkeypatch):
    monkeypatch.setattr("webhooks.outbound.sinks.stock._GOODBYE_S", 0.01)
    made = Made()
    async with made.stock.use(ROUTE) as link:
        link.hangs = True
    await made.stock.close()
    assert (link.aborted, link.closed) == (True, False)


async def test_only_what_is_idle_for_its_time_ends():
    made = Made(idle_s=60.0)
    async with made.stock.use(ROUTE), made.stock.use(ROUTE):
        pass
    shelf = made.stock._shelves[ROUTE.endpoint_id]
    (_, old), (at, young) = shelf.idle
    shelf.idle = [(at - 61.0, old), (at, young)]
    made.stock._clear_old(ROUTE.endpoint_id, shelf)
    await asyncio.wait(made.stock._goodbyes)
    assert (old.closed, young.closed) == (True, False)
    async with made.stock.use(ROUTE) as again:
        assert again is young
    await made.stock.close()
