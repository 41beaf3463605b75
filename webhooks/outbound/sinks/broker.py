"""What the sinks with kept connections share: one bounded attempt, whose every failure becomes an answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from config.database import assert_no_open_transaction
from webhooks.outbound.client import Answer, milliseconds_since, shorten
from webhooks.outbound.mailbox import Route
from webhooks.outbound.sinks.port import TAKEN
from webhooks.outbound.sinks.stock import Link, Stock
from webhooks.outbound.sinks.wire import WireFailed

_L = TypeVar("_L", bound=Link)


async def attempt_on(
    stock: Stock[_L],
    route: Route,
    put: Callable[[_L], Awaitable[None]],
    describe: Callable[[Exception], str],
) -> Answer:
    """`put` sends the message and returns when the server has taken it; `describe` says what it raised."""
    assert_no_open_transaction()
    started = time.perf_counter()
    try:
        async with asyncio.timeout(route.timeout_s), stock.use(route) as link:
            # A library may swallow the cancellation of the line above; without a connection it must end, too.
            ending = asyncio.get_running_loop().call_later(route.timeout_s, link.abort)
            try:
                await put(link)
            finally:
                ending.cancel()
    except WireFailed as error:
        return Answer(milliseconds_since(started), error=shorten(str(error)), slow=True)
    except TimeoutError:
        return Answer(milliseconds_since(started), error=f"no answer within {route.timeout_s:g} s", slow=True)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Nobody asked for our end: a library says in this way that its connection was closed.
        return Answer(milliseconds_since(started), error="the connection was closed before the answer")
    except Exception as error:  # noqa: BLE001 - client libraries raise anything when a server talks nonsense
        return Answer(milliseconds_since(started), error=shorten(describe(error)))
    return Answer(milliseconds_since(started), status=TAKEN)
