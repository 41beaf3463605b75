"""A relay before a real server, with which a test takes the server away, silences it or cuts its connections."""

import asyncio
import contextlib
import ssl
from enum import Enum


class Mood(Enum):
    OPEN = "passes everything on"
    SILENT = "takes everything and answers nothing"


class Gate:
    """Listens on one port of 127.0.0.1 for its whole life; `tls` makes it the TLS end of the server behind."""

    def __init__(self, port_behind: int, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self.mood = Mood.OPEN
        self.connections = 0
        self.passed = asyncio.Event()
        self._behind = port_behind
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Nobody listens any more, and what was connected is cut."""
        self._server.close()
        await self.cut()

    async def cut(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def open_connections(self) -> int:
        return len(self._tasks)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        behind = None
        try:
            from_behind, behind = await asyncio.open_connection("127.0.0.1", self._behind)
            pumps = [
                asyncio.ensure_future(self._pump(reader, behind)),
                asyncio.ensure_future(self._pump(from_behind, writer)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, behind):
                if end is not None:
                    end.transport.abort()
                    with contextlib.suppress(Exception):
                        await end.wait_closed()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while part := await source.read(65_536):
            if self.mood is Mood.OPEN:
                sink.write(part)
                await sink.drain()
