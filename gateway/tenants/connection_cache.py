"""Connections that are open: adapter and credentials together, kept in memory for five minutes at most."""

from uuid import UUID

import msgspec

from adapters.kit.port import Adapter, Connection

_KEPT = 1000
_KEEP_S = 300.0


class OpenConnection(msgspec.Struct, frozen=True):
    adapter: Adapter
    connection: Connection
    version: int


class ConnectionCache:
    """By (id, version). Entries are dropped after five minutes, as data keys are."""

    def __init__(self) -> None:
        self._kept: dict[tuple[UUID, int], tuple[float, OpenConnection]] = {}

    def get(self, tenant_id: UUID, connection_id: UUID, version: int, now_s: float) -> OpenConnection | None:
        entry = self._kept.get((connection_id, version))
        if entry is None or now_s - entry[0] > _KEEP_S:
            return None
        # The database would not show it to another tenant; neither does the cache.
        return entry[1] if entry[1].connection.tenant_id == str(tenant_id) else None

    def put(self, opened: OpenConnection, connection_id: UUID, now_s: float) -> None:
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        self._kept[(connection_id, opened.version)] = (now_s, opened)
