"""Delivers notifications: one queue and one task per webhook, strictly in order, retried, then disabled.

Every answer must be 2xx and echo the client id, in a header or in the body; anything else is a failure.
The real service's schedule takes 72 hours; here the delays are seconds, with the same shape (doubling,
fifteen retries).
"""

import asyncio
import contextlib

import httpx
import msgspec

from adapters.adobe_sign.sandbox.box import LoggedAttempt, Sandbox
from adapters.adobe_sign.sandbox.world import Notification, Webhook

_HEADER = "X-AdobeSign-ClientId"


class Deliveries:
    """The background tasks that empty the queues."""

    def __init__(self, box: Sandbox) -> None:
        self._box = box
        self._client = httpx.AsyncClient(follow_redirects=False, trust_env=False)
        self._wakes: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._late: set[asyncio.Task[None]] = set()

    def wake(self, webhook: Webhook) -> None:
        """Something is in this webhook's queue."""
        self._wakes.setdefault(webhook.id, asyncio.Event()).set()
        task = self._tasks.get(webhook.id)
        if task is None or task.done():
            self._tasks[webhook.id] = asyncio.create_task(self._serve(webhook.id))
        while self._box.late:
            late = asyncio.create_task(self._deliver_late(*self._box.late.pop()))
            self._late.add(late)
            late.add_done_callback(self._late.discard)

    def resume(self) -> None:
        """Go on with the queues of an earlier run."""
        for webhook in self._box.world.webhooks.values():
            if webhook.queue:
                self.wake(webhook)

    def wake_all(self) -> None:
        """Let every task look again, so that those of forgotten webhooks end."""
        for wake in self._wakes.values():
            wake.set()

    async def close(self) -> None:
        tasks = [*self._tasks.values(), *self._late]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._client.aclose()

    async def verify_intent(self, url: str, client_id: str) -> tuple[str, str]:
        """Ask whether the URL wants notifications; ("", "") if it does, else the trigger and the problem."""
        try:
            async with asyncio.timeout(self._box.options.verify_timeout_s):
                answer = await self._client.get(url, headers={_HEADER: client_id}, timeout=None)
        except TimeoutError:
            return "intent_too_slow", "The webhook URL did not answer the verification request in time"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return "intent_unreachable", f"The webhook URL could not be reached: {type(error).__name__}"
        if not answer.is_success:
            return "intent_wrong_status", f"The webhook URL answered {answer.status_code} to the verification"
        if not echoes(answer, client_id):
            return "intent_not_echoed", "The webhook URL did not echo the client id"
        return "", ""

    async def _serve(self, webhook_id: str) -> None:
        while (webhook := self._box.world.webhooks.get(webhook_id)) is not None:
            wake = self._wakes[webhook_id]
            wake.clear()
            if webhook.status == "ACTIVE" and webhook.queue:
                await self._deliver_head(webhook, webhook.queue[0])
            else:
                await wake.wait()

    async def _deliver_head(self, webhook: Webhook, head: Notification) -> None:
        await self._wait_until_due(head)
        ok = await self._attempt(webhook, head)
        if ok:
            if head in webhook.queue:
                webhook.queue.remove(head)
        elif head.attempts > self._box.options.retries:
            # As the real service does: the webhook is disabled and what was queued is lost.
            webhook.status = "INACTIVE"
            webhook.disabled_by = f"{head.attempts} failed attempts"
            webhook.queue.clear()
        else:
            await asyncio.sleep(self._delay_after(head.attempts))
        self._box.mark_dirty()
        self._box.flush()

    async def _deliver_late(self, webhook: Webhook, notification: Notification) -> None:
        """One attempt outside the queue, for the injected late message; a failure joins the queue."""
        await self._wait_until_due(notification)
        if not await self._attempt(webhook, notification):
            webhook.queue.append(notification)
            self.wake(webhook)

    async def _wait_until_due(self, notification: Notification) -> None:
        wait = (notification.not_before - self._box.now()).total_seconds()
        if wait > 0:
            await asyncio.sleep(wait)

    def _delay_after(self, attempts: int) -> float:
        options = self._box.options
        delay: float = options.retry_first_s * 2 ** min(attempts - 1, 30)
        return min(options.retry_max_s, delay)

    async def _attempt(self, webhook: Webhook, notification: Notification) -> bool:
        notification.attempts += 1
        headers = {_HEADER: webhook.client_id, "Content-Type": "application/json"}
        status, reason = 0, ""
        try:
            async with asyncio.timeout(self._box.options.deliver_timeout_s):
                answer = await self._client.post(
                    webhook.url, content=notification.body.encode(), headers=headers, timeout=None
                )
            status = answer.status_code
            if not answer.is_success:
                reason = f"status {status}"
            elif not echoes(answer, webhook.client_id):
                reason = "client id not echoed"
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            reason = type(error).__name__
        self._box.attempts.append(
            LoggedAttempt(
                webhook.id,
                notification.id,
                notification.event,
                notification.attempts,
                status,
                not reason,
                reason,
                self._box.now(),
            )
        )
        return not reason


def echoes(answer: httpx.Response, client_id: str) -> bool:
    """Whether the answer names the client id, in the header or in the JSON body."""
    if answer.headers.get(_HEADER) == client_id:
        return True
    try:
        body = msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return isinstance(body, dict) and body.get("xAdobeSignClientId") == client_id
