"""Carries Connect messages: one lane per configuration, in order, acknowledged or given up.

With acknowledgement on, a refusal marks the lane as down: the messages behind it wait, and the first
success lets them follow in order. The provider retries over days; here the schedule is seconds and can be
set.
Must never send to a host that is not on the development allow-list (`*` allows all).
"""

import asyncio
import base64
import hashlib
import hmac
from collections import deque
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from .catalogue import JsonObject
from .faults import FaultKind
from .hooks import disable
from .messages import compose
from .state import Envelope, Hook, Message, Recipient
from .world import World

_LOG_SIZE = 100
_MAX_RETRIES = 10


class Courier:
    """Queues, signs, sends and logs; start and stop it with the server."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lanes: dict[int, deque[Message]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._held: dict[int, Message] = {}
        world.emit = self.emit

    async def start(self) -> None:
        timeout = aiohttp.ClientTimeout(total=self._world.settings.ack_timeout_s)
        self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        for message in self._world.state.messages:
            if message.status == "queued":
                self._enqueue(message)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def emit(self, envelope: Envelope, event: str, recipient: Recipient | None = None) -> None:
        """Queues one message per configuration that asks for this event."""
        account_hooks = [kept.hook for kept in self._world.state.account_hooks.values()]
        for hook in [*envelope.hooks, *account_hooks]:
            if hook.is_enabled and event in hook.events:
                body = compose(self._world, envelope, event, recipient, hook)
                self._post(envelope, event, hook, body)

    def redeliver(self, message: Message) -> None:
        """Puts a message at the end of its lane again, as republishing does."""
        message.status, message.error = "queued", ""
        self._enqueue(message)
        self._world.touch()

    def publish(self, envelope: Envelope) -> int:
        """Sends the envelope's present state again to all who ask for it; returns the number of messages."""
        before = len(self._world.state.messages)
        self.emit(envelope, f"envelope-{envelope.status}")
        return len(self._world.state.messages) - before

    def _post(self, envelope: Envelope, event: str, hook: Hook, body: JsonObject) -> None:
        world = self._world
        message = Message(
            id=world.new_id(), failure_id=str(world.next_number()), envelope_id=envelope.id, event=event,
            hook=hook,
            body=body, created_at=world.now(),
        )  # fmt: skip
        copies = [message]
        if world.faults.take(FaultKind.DUPLICATE_WEBHOOK, event):
            copies.append(msgspec.structs.replace(message, id=world.new_id()))
        late = world.faults.take(FaultKind.LATE_WEBHOOK, event)
        if late:
            message.held_s = late.seconds or 3.0
        for copy in copies:
            self._keep(copy)
        reordered = world.faults.take(FaultKind.REORDER_WEBHOOKS, event)
        if reordered:
            self._hold(message, reordered.seconds or 2.0)
            return
        for copy in copies:
            self._enqueue(copy)
        swapped = self._held.pop(hook.configuration_id, None)
        if swapped is not None:
            self._enqueue(swapped)

    def _keep(self, message: Message) -> None:
        messages = self._world.state.messages
        messages.append(message)
        ended = [kept for kept in messages if kept.status == "delivered"]
        for old in ended[: max(0, len(ended) - _LOG_SIZE)]:  # the provider keeps the last 100 entries only
            messages.remove(old)
        self._world.touch()

    def _hold(self, message: Message, seconds: float) -> None:
        """Keeps a message back until the next one has gone, or until the time is over."""
        number = message.hook.configuration_id
        before = self._held.pop(number, None)
        if before is not None:
            self._enqueue(before)
        self._held[number] = message

        async def release() -> None:
            await asyncio.sleep(seconds)
            if self._held.get(number) is message:
                del self._held[number]
                self._enqueue(message)

        self._spawn(release())

    def _enqueue(self, message: Message) -> None:
        if message.held_s:
            self._spawn(self._deliver_late(message))
            return
        number = message.hook.configuration_id
        if number in self._lanes:
            self._lanes[number].append(message)
            return
        self._lanes[number] = deque([message])
        self._spawn(self._run_lane(number))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver_late(self, message: Message) -> None:
        await asyncio.sleep(message.held_s)
        message.held_s = 0.0
        await self._deliver(message)

    async def _run_lane(self, number: int) -> None:
        lane = self._lanes[number]
        while lane:
            await self._deliver(lane.popleft())
        del self._lanes[number]

    async def _deliver(self, message: Message) -> None:
        """Attempts until delivered or given up; without acknowledgement there is one attempt."""
        schedule = self._world.settings.retry_schedule_s
        while True:
            message.error = await self._attempt(message)
            message.attempts += 1
            message.last_try_at = self._world.now()
            self._world.touch()
            if not message.error:
                message.status = "delivered"
                break
            if not message.hook.is_acknowledged or message.attempts > _MAX_RETRIES:
                message.status = "failed"
                self._give_up(message.hook)
                break
            message.body["retryCount"] = message.attempts
            await asyncio.sleep(schedule[min(message.attempts, len(schedule)) - 1])
        self._world.save()

    def _give_up(self, hook: Hook) -> None:
        """A configuration of the account whose messages fail to the end is switched off; the real one after 14 days."""
        kept = self._world.state.account_hooks.get(str(hook.configuration_id))
        if kept is not None and hook.is_acknowledged:
            disable(kept, "System")

    async def _attempt(self, message: Message) -> str:
        """Empty on a 2xx answer, otherwise what went wrong."""
        hook = message.hook
        allowed = self._world.settings.webhook_allow
        if "*" not in allowed and urlsplit(hook.url).hostname not in allowed:
            return "host is not on the sandbox's --webhook-allow list: not sent"
        body = msgspec.json.encode(message.body)
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "DocuSign-Sandbox"}
        headers["X-DocuSign-AccountId"] = self._world.settings.account_id
        if hook.is_signed:
            headers |= sign(body, self._world.state.hmac_keys)
        if self._session is None:
            raise RuntimeError("the courier is not started")
        try:
            async with self._session.post(
                hook.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                await answer.read()
                return "" if 200 <= answer.status < 300 else f"HTTP {answer.status}"
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return f"{type(error).__name__}: {error}"


def sign(body: bytes, keys: list[str]) -> dict[str, str]:
    """One signature header per active key over the exact bytes; the key is the text itself, never decoded."""
    headers = {"X-Authorization-Digest": "HMACSHA256"}
    for number, key in enumerate(keys, start=1):
        digest = hmac.new(key.encode(), body, hashlib.sha256).digest()
        headers[f"X-DocuSign-Signature-{number}"] = base64.b64encode(digest).decode()
    return headers
