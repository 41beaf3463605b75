"""Faults on request: counted, matched by operation or event name, listed until they are used up."""

from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec


class FaultKind(StrEnum):
    TIMEOUT_AFTER_ACCEPT = "timeout_after_accept"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    HTTP_429 = "http_429"
    HTTP_500_HTML = "http_500_html"
    HTTP_500_AFTER_ACCEPT = "http_500_after_accept"
    EMBEDDED_ERROR_DETAILS = "embedded_error_details"
    DUPLICATE_WEBHOOK = "duplicate_webhook"
    REORDER_WEBHOOKS = "reorder_webhooks"
    LATE_WEBHOOK = "late_webhook"
    LOOKUP_LAG = "lookup_lag"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105  (a fault's name)
    SLOW = "slow"


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`match` is an operation such as `envelopes.create` (an event for webhook faults); `*` matches any."""

    kind: FaultKind
    match: str = "*"
    count: int = 1
    seconds: float = 0.0
    has_headers: bool = True
    status: int = 0
    code: str = ""
    id: str = ""


class Faults:
    """The faults still to come."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._numbered = 0

    def add(self, fault: Fault) -> Fault:
        self._numbered += 1
        fault.id = str(self._numbered)
        self._waiting.append(fault)
        return fault

    def take(self, kind: FaultKind, name: str) -> Fault | None:
        """The first fault of this kind for this name, counted down; None when there is none."""
        for fault in self._waiting:
            if fault.kind is kind and fnmatchcase(name, fault.match):
                fault.count -= 1
                if fault.count <= 0:
                    self._waiting.remove(fault)
                return fault
        return None

    def waiting(self) -> list[Fault]:
        return list(self._waiting)

    def clear(self) -> None:
        self._waiting.clear()
