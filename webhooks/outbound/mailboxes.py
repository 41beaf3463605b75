"""The mailboxes that a deliverer knows, bounded by how many they are and by what their routes weigh.

Whoever was claimed from longest ago is forgotten first, and is read again when its turn comes. Must never forget
what is under way.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from uuid import UUID

from webhooks.outbound.mailbox import Mailbox, Route

MOST = 20_000
MOST_BYTES = 128 * 1024 * 1024
# Measured: 0.8 MB for the system's 144 authorities, which each context reads for itself (Python 3.11, OpenSSL 3).
_TLS_BYTES = 1024 * 1024
_ROUTE_BYTES = 4096


class Mailboxes(Mapping[UUID, Mailbox]):
    """Besides `most_bytes` there are only the routes of what is under way, which the deliverer's slots bound."""

    def __init__(self, *, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._boxes: OrderedDict[UUID, Mailbox] = OrderedDict()  # the one claimed from last is the last
        self.route_bytes = 0

    def __getitem__(self, endpoint_id: UUID) -> Mailbox:
        return self._boxes[endpoint_id]

    def __iter__(self) -> Iterator[UUID]:
        return iter(self._boxes)

    def __len__(self) -> int:
        return len(self._boxes)

    def hold(self, endpoint_id: UUID, tenant_id: UUID) -> Mailbox:
        """The mailbox with one more under way; one that is not known yet is made."""
        mailbox = self._boxes.get(endpoint_id)
        if mailbox is None:
            mailbox = self._boxes[endpoint_id] = Mailbox(endpoint_id, tenant_id)
        else:
            self._boxes.move_to_end(endpoint_id)
        mailbox.held += 1
        if len(self._boxes) > self._most:
            self._forget_one()
        return mailbox

    def set_route(self, endpoint_id: UUID, route: Route) -> None:
        mailbox = self._boxes[endpoint_id]
        self._drop_route(mailbox)
        mailbox.route = route
        self.route_bytes += weigh(route)
        if self.route_bytes > self._most_bytes:
            self._lighten()

    def _forget_one(self) -> None:
        idle = next((box for box in self._boxes.values() if not box.held), None)
        if idle is not None:
            self._drop_route(idle)
            del self._boxes[idle.id]

    def _lighten(self) -> None:
        """Its slowness is remembered: only the route is read again."""
        for box in self._boxes.values():
            if self.route_bytes <= self._most_bytes:
                return
            if not box.held:
                self._drop_route(box)

    def _drop_route(self, mailbox: Mailbox) -> None:
        if mailbox.route is not None:
            self.route_bytes -= weigh(mailbox.route)
            mailbox.route = None


def weigh(route: Route) -> int:
    """Bytes, about."""
    texts = sum(len(name) + len(value) for name, value in route.headers.items())
    return _ROUTE_BYTES + texts + (0 if route.tls is None else _TLS_BYTES)
