"""What DocuSign's error answers mean, and what its headers say about limits.

The code decides before the status: since about April 2026 limits answer 429 where they answered 400.
Must never decide by a message's prose: sixteen of them were reworded in that month.
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from adapters.kit.errortable import load_error_table, retry_after
from adapters.kit.exchange import ProviderResponse
from adapters.kit.port import Decision

_TABLE = load_error_table("adapters.docusign")
_BURST_WINDOW_S = 30.0
_HOURLY = frozenset({"hourly_apiinvocation_limit_exceeded", "hourly_apiinvocation_envelope_limit_exceeded"})


class _Trouble(msgspec.Struct, frozen=True):
    """Both shapes: the API's and the OAuth server's. A proxy's HTML is neither."""

    errorCode: str = ""  # noqa: N815 - the provider's own name
    message: str = ""
    error: Any = ""
    error_description: str = ""


def classify(operation: str, response: ProviderResponse) -> Decision:
    """Total: an answer that nobody has seen falls to the rule for its status."""
    code, detail = _code_and_detail(response)
    return _TABLE.decide(
        operation,
        response,
        provider_code=code,
        detail=detail,
        retry_after_s=_wait(code, response.headers),
    )


def known_codes() -> tuple[str, ...]:
    return tuple(row.provider_code for row in _TABLE.codes)


def limit_headers(response: ProviderResponse) -> tuple[int, float] | None:
    """The tighter of the hour's and the burst's remainder, with the seconds until that window is over."""
    remainders = []
    hourly = _number(response.headers, "x-ratelimit-remaining")
    reset = _seconds_to_reset(response.headers)
    if hourly is not None and reset is not None:
        remainders.append((int(hourly), reset))
    burst = _number(response.headers, "x-burstlimit-remaining")
    if burst is not None:
        remainders.append((int(burst), _BURST_WINDOW_S))
    return min(remainders, default=None)


def _code_and_detail(response: ProviderResponse) -> tuple[str, str]:
    try:
        trouble = msgspec.json.decode(response.body, type=_Trouble)
    except msgspec.MsgspecError:
        return "", ""
    if trouble.errorCode:
        return trouble.errorCode, trouble.message
    if not isinstance(trouble.error, str):
        return "", ""
    # Under invalid_grant the description is itself a code: which key, issuer or user is wrong.
    return trouble.error, trouble.error_description


def _wait(code: str, headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: what Retry-After says, else until the hour's window resets; None: the table's row."""
    said = retry_after(headers)
    if said is None and code.casefold() in _HOURLY:
        return _seconds_to_reset(headers)
    return said


def _seconds_to_reset(headers: Mapping[str, str]) -> float | None:
    """By the provider's own clock (its Date header), since ours may differ."""
    reset = _number(headers, "x-ratelimit-reset")
    now = _sent_at(headers)
    if reset is None or now is None:
        return None
    return min(3600.0, max(0.0, reset - now.timestamp()))


def _sent_at(headers: Mapping[str, str]) -> datetime | None:
    try:
        return parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError, OverflowError):  # what the parser says to an impossible date
        return None


def _number(headers: Mapping[str, str], name: str) -> float | None:
    value = headers.get(name, "").strip()
    return float(value) if value.isascii() and value.isdigit() else None
