"""Routing that was read a moment ago. Whoever uses it names its stamp when writing, and the write fails if it is old.

Must never decide alone: a switch of providers holds from its commit on, in every process.
"""

from uuid import UUID

from gateway.routing.policy import Routing

_KEEP_S = 10.0
_KEPT = 10_000


class RoutingMemory:
    def __init__(self) -> None:
        self._kept: dict[UUID, tuple[float, Routing]] = {}

    def get(self, tenant_id: UUID, now_s: float) -> Routing | None:
        entry = self._kept.get(tenant_id)
        return entry[1] if entry is not None and now_s - entry[0] <= _KEEP_S else None

    def put(self, tenant_id: UUID, routing: Routing, now_s: float) -> None:
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        self._kept[tenant_id] = (now_s, routing)

    def drop(self, tenant_id: UUID) -> None:
        self._kept.pop(tenant_id, None)
