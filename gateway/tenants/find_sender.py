"""Finds the connection that receives webhooks under a path key, and opens it.

What a key leads to is remembered for three seconds, so that a burst costs one statement and a rotated key is
known at once as far as a person can tell. Unknown keys are not remembered: there are too many of them.
"""

import asyncio
import re

import msgspec

from gateway.services import Services
from gateway.tenants.open_connection import open_connection
from webhooks.inbound.ports import Sender, SenderRules

_REMEMBER_S = 3.0
_MOST = 1000
_PATH_KEY = re.compile(r"[A-Za-z0-9_\-]{16,64}\Z")


class _Found(msgspec.Struct, frozen=True):
    sender: Sender
    until_s: float


class SenderDirectory:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._found: dict[str, _Found] = {}
        self._asking: dict[str, asyncio.Task[_Found | None]] = {}

    async def find(self, path_key: str) -> Sender | None:
        """A connection that is switched off still hears of its envelopes in flight; one that takes no webhooks
        does not.
        """
        found = self._found.get(path_key)
        if found is None or found.until_s < self._services.clock.monotonic():
            if not _PATH_KEY.match(path_key):
                return None
            found = await self._ask_once(path_key)
        return found.sender if found is not None else None

    async def _ask_once(self, path_key: str) -> _Found | None:
        """However many posts wait for the answer, it is asked for once."""
        asking = self._asking.get(path_key)
        if asking is None:
            asking = self._asking[path_key] = asyncio.create_task(self._ask(path_key))
            asking.add_done_callback(lambda _: self._asking.pop(path_key, None))
        return await asyncio.shield(asking)

    async def _ask(self, path_key: str) -> _Found | None:
        row = await self._services.hub.fetchrow(
            "SELECT tenant_id, id, version, allowed_networks, client_certificate_sha256, client_certificate_subject"
            " FROM connections WHERE path_key = $1 AND receive_webhooks",
            path_key,
        )
        if row is None:
            self._found.pop(path_key, None)
            return None
        opened = await open_connection(self._services, row["tenant_id"], row["id"], row["version"])
        rules = SenderRules(
            networks=tuple(row["allowed_networks"]),
            certificate_sha256=tuple(row["client_certificate_sha256"]),
            certificate_subject=row["client_certificate_subject"],
        )
        sender = Sender(row["tenant_id"], row["id"], opened.adapter, opened.connection, rules)
        if len(self._found) >= _MOST:
            self._found.clear()
        found = self._found[path_key] = _Found(sender, self._services.clock.monotonic() + _REMEMBER_S)
        return found
