"""Which authorities a broker's certificate may come from: the endpoint's own context, or the system's for all."""

import asyncio
import ssl

from webhooks.outbound.mailbox import Route


class Trust:
    def __init__(self) -> None:
        self._usual: ssl.SSLContext | None = None

    async def for_route(self, route: Route) -> ssl.SSLContext:
        """Reading the system's authorities takes tens of milliseconds: once, and in a thread."""
        if route.tls is not None:
            return route.tls
        if self._usual is None:
            self._usual = await asyncio.to_thread(ssl.create_default_context)
        return self._usual
