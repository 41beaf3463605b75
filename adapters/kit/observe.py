"""What is said about every provider call: one record for the metrics hook, one wide line for the log.

Must never carry a body, a header, a URL's query or anything personal: names, ids and numbers only.
"""

import logging
from collections.abc import Callable, Mapping

import msgspec

_log = logging.getLogger("countersign.provider")
_TRACE_WORDS = ("tracetoken", "trace-token", "trace-id", "request-id", "correlation")


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One request that was tried. `status` 0: no answer. `outcome` is "answered", or the failure's name in
    small letters. `operation` is the gateway's, `request` the adapter's name for this step of it.
    """

    provider: str
    operation: str
    request: str
    connection: str
    status: int
    duration_ms: float
    attempt: int
    outcome: str
    trace_token: str = ""
    detail: str = ""


Observer = Callable[[CallRecord], None]


def log_call(record: CallRecord) -> None:
    """`provider.called`, a warning unless it was answered."""
    level = logging.INFO if record.outcome == "answered" else logging.WARNING
    if _log.isEnabledFor(level):
        _log.log(level, "provider.called", extra=msgspec.structs.asdict(record))


def trace_token_of(headers: Mapping[str, str]) -> str:
    """The provider's own name for this call, which its support asks for; "" when it gives none."""
    for name, value in headers.items():
        if any(word in name for word in _TRACE_WORDS):
            return value[:100]
    return ""
