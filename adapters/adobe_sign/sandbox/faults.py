"""Faults on request: what to break, for which operation or webhook event, how often.

Also the one place that cuts a client's TCP connection, so that no byte of an answer is sent.
"""

import contextlib
import os
import secrets
import socket
import struct
from enum import StrEnum

import msgspec


class FaultKind(StrEnum):
    """Every fault that can be injected."""

    TIMEOUT_AFTER_ACCEPT = "timeout_after_accept"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    HTTP_429 = "http_429"
    HTTP_500_HTML = "http_500_html"
    HTTP_500_AFTER_ACCEPT = "http_500_after_accept"
    HTML_502 = "html_502"
    PRECONDITION_412_ONCE = "precondition_412_once"
    DUPLICATE_WEBHOOK = "duplicate_webhook"
    REORDER_WEBHOOKS = "reorder_webhooks"
    LATE_WEBHOOK = "late_webhook"
    LOOKUP_LAG = "lookup_lag"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a fault's name
    INVALID_ACCESS_POINT_ONCE = "invalid_access_point_once"
    TRIMMED_PAYLOAD = "trimmed_payload"
    SLOW = "slow"


WEBHOOK_FAULTS = frozenset(
    {
        FaultKind.DUPLICATE_WEBHOOK,
        FaultKind.REORDER_WEBHOOKS,
        FaultKind.LATE_WEBHOOK,
        FaultKind.TRIMMED_PAYLOAD,
    }
)


class FaultMatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which calls or messages are hit; empty matches all. `operation` may also name a webhook event."""

    operation: str = ""
    count: int = 1
    seconds: float = 5.0


class FaultRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /sandbox/faults."""

    kind: FaultKind
    match: FaultMatch = FaultMatch()


class Fault(msgspec.Struct):
    """An armed fault and how often it still fires."""

    id: str
    kind: FaultKind
    operation: str
    remaining: int
    seconds: float
    fired: int = 0


class Faults:
    """The armed faults; each firing uses one of its count."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def arm(self, request: FaultRequest) -> Fault:
        match = request.match
        fault = Fault(secrets.token_hex(4), request.kind, match.operation, match.count, match.seconds)
        self._armed.append(fault)
        return fault

    def list_all(self) -> list[Fault]:
        return list(self._armed)

    def clear(self) -> None:
        self._armed.clear()

    def take(self, name: str, *kinds: FaultKind) -> Fault | None:
        """The first armed fault of these kinds for this operation or event, used once."""
        for fault in self._armed:
            if fault.remaining > 0 and fault.kind in kinds and fault.operation in {"", name}:
                fault.remaining -= 1
                fault.fired += 1
                return fault
        return None


def cut_connection(host: str, port: int) -> bool:
    """Reset the accepted connection of this peer; true if it was found.

    The server under us has no way to drop a connection, but it runs in this process: its socket is among our
    own file descriptors.
    """
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError), _own_copy(int(name)) as connection:
            if connection.getpeername()[:2] != (host, port):
                continue
            # Linger 0 makes it a reset rather than an orderly end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)
            return True
    return False


def _own_copy(descriptor: int) -> socket.socket:
    copy = os.dup(descriptor)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)  # not a socket
        raise
