"""The door for providers: who posts, is it authentic, keep it, answer in the provider's own form.

The exact bytes are verified before anything reads them; without a key, or with a doubt, the answer is no.
An authentic message is answered 2xx once it is durable and whatever it says: a refusal of one message would
make a provider hold back all that follow. Must never log a body, a header's value or a path key.
"""

import math
import time
from collections.abc import AsyncIterator
from functools import lru_cache

from adapters.kit.port import RawRequest, Reply
from config.logging import log_wide
from normalizer.ids import Kind, print_id
from webhooks.inbound.admission import Admission, admit, mask_address
from webhooks.inbound.keep import MessageKeeper
from webhooks.inbound.message import Verification
from webhooks.inbound.ports import Client, CountPost, FindSender, Sender, WakeWorkers
from webhooks.inbound.refusals import Refusals
from webhooks.inbound.throttle import Throttle

_NOT_FOUND = Reply(404)
_FORBIDDEN = Reply(403)
_TOO_LARGE = Reply(413, (("connection", "close"),))
_BUSY = Reply(503, (("retry-after", "5"),))
_UNKNOWN = "unknown"
Headers = tuple[tuple[str, str], ...]


class Door:
    """`body_bytes`: the largest body; `buffered_bytes`: what all bodies that are being read may hold."""

    def __init__(
        self,
        find: FindSender,
        keeper: MessageKeeper,
        refusals: Refusals,
        throttle: Throttle,
        wake: WakeWorkers,
        count: CountPost,
        *,
        body_bytes: int,
        buffered_bytes: int = 134_217_728,
    ) -> None:
        self._find = find
        self._keeper = keeper
        self._refusals = refusals
        self._throttle = throttle
        self._wake = wake
        self._count = count
        self._body_bytes = body_bytes
        self._room = max(buffered_bytes, body_bytes)

    async def challenge(self, webhook_path: str, path_key: str, headers: Headers, client: Client) -> Reply:
        """The answer to a provider that asks whether its webhooks are wanted here."""
        sender = await self._sender(webhook_path, path_key)
        if sender is None:
            return self._refuse(None, client, "no connection under this path", _NOT_FOUND)
        admission = admit(sender.rules, client)
        if admission.refusal:
            return self._refuse(sender, client, admission.refusal, _FORBIDDEN)
        reply = sender.adapter.challenge(
            RawRequest(method="GET", headers=headers, body=b""), sender.connection
        )
        if reply.status >= 400:
            return self._refuse(sender, client, "verification of intent refused", reply)
        self._count(sender.adapter.name, "challenged")
        return reply

    async def receive(
        self,
        webhook_path: str,
        path_key: str,
        headers: Headers,
        chunks: AsyncIterator[bytes],
        client: Client,
    ) -> Reply:
        """Raises StoreUnavailable when the message could not be made durable: the provider posts it again."""
        began = time.perf_counter()
        sender = await self._sender(webhook_path, path_key)
        if sender is None:
            return self._refuse(None, client, "no connection under this path", _NOT_FOUND)
        admission = admit(sender.rules, client)
        if admission.refusal:
            return self._refuse(sender, client, admission.refusal, _FORBIDDEN)
        if _declared_bytes(headers) > self._body_bytes:
            return self._refuse(sender, client, "body over the limit", _TOO_LARGE)
        buffered = bytearray()
        try:
            async for chunk in chunks:
                buffered += chunk
                self._room -= len(chunk)
                if len(buffered) > self._body_bytes:
                    return self._refuse(sender, client, "body over the limit", _TOO_LARGE)
                if self._room < 0:
                    self._count(sender.adapter.name, "busy")
                    return _BUSY
            request = RawRequest(method="POST", headers=headers, body=bytes(buffered))
            return await self._take(sender, request, client, admission, began)
        finally:
            self._room += len(buffered)

    def wake(self) -> None:
        """Tells the workers that messages wait; a hint."""
        self._wake()

    async def _take(
        self, sender: Sender, request: RawRequest, client: Client, admission: Admission, began: float
    ) -> Reply:
        adapter = sender.adapter
        verdict = adapter.verify(request, sender.connection)
        reply = adapter.acknowledge(request, sender.connection, verdict)
        if not verdict.authentic:
            return self._refuse(sender, client, verdict.reason, reply)
        wait_s = self._throttle.take(sender.connection_id)
        if wait_s > 0:
            self._count(adapter.name, "throttled")
            return Reply(429, (("retry-after", str(math.ceil(wait_s))),))
        verification = Verification(
            scheme=verdict.scheme,
            key_index=verdict.key_index,
            reason=verdict.reason,
            client_address=client.address,
            network=admission.network,
            certificate=admission.certificate,
            account=verdict.account,
        )
        kept = await self._keeper.keep(sender, request, verification)
        self._wake()
        self._count(adapter.name, "accepted" if kept.fresh else "duplicate")
        log_wide(
            "inbound.received",
            provider=adapter.name,
            tenant_id=_printed(Kind.TENANT, sender.tenant_id),
            connection_id=_printed(Kind.CONNECTION, sender.connection_id),
            message_id=print_id(Kind.MESSAGE, kept.id),
            bytes=len(request.body),
            key_index=verdict.key_index,
            outcome="kept" if kept.fresh else "duplicate",
            duration_ms=round((time.perf_counter() - began) * 1000, 1),
        )
        return reply

    async def _sender(self, webhook_path: str, path_key: str) -> Sender | None:
        sender = await self._find(path_key)
        if sender is None or sender.adapter.webhook_path != webhook_path:
            return None
        return sender

    def _refuse(self, sender: Sender | None, client: Client, reason: str, reply: Reply) -> Reply:
        source = mask_address(client.address)
        self._refusals.count(sender, reason, source)
        self._count(sender.adapter.name if sender else _UNKNOWN, "refused")
        log_wide(
            "inbound.refused",
            provider=sender.adapter.name if sender else _UNKNOWN,
            connection_id=_printed(Kind.CONNECTION, sender.connection_id) if sender else None,
            outcome=reason,
            source=source,
            status=reply.status,
        )
        return reply

    async def aclose(self) -> None:
        """Waits for messages that are being written, and writes the last counts."""
        await self._keeper.aclose()
        await self._refusals.aclose()


# The few ids that come again and again; printing one costs as much as verifying a short message.
_printed = lru_cache(maxsize=4096)(print_id)


def _declared_bytes(headers: Headers) -> int:
    """0 when the length is not told; the bytes themselves are counted in any case."""
    told = next((value for name, value in headers if name == "content-length"), "")
    return int(told) if told.isdecimal() and len(told) < 16 else 0
