"""What a provider's error answer means, read from the adapter's errors.toml into a total table.

The provider's own code decides first, the HTTP status second; an operation may read a code in its own way.
Must never decide by an error's prose, and never raises for a code or status that nobody has seen: those fall
to the status rules below, where what might have been done is UNKNOWN.

The file:
    [[code]]                        # the provider's code, compared without case
    provider_code = "ENVELOPE_DOES_NOT_EXIST"
    kind = "rejected"               # a DecisionKind
    code = "not_found"              # ours
    remark = "why, when it surprises; with its source"
    operations = ["void_envelope"]  # optional: only for these; such a row wins over one without
    statuses = [400]                # optional: only with these statuses; likewise
    retry_after_s = 30              # optional: when the answer itself does not say
    per_object = true               # optional: throttled is this one object, not the account

    [[status]]                      # replaces a built-in rule: "401", "5xx", or with operations as above
    status = "409"
    kind = "rejected"
    code = "state_conflict"
"""

import logging
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import resources

import msgspec

from adapters.kit.exchange import ProviderResponse
from adapters.kit.port import Decision, DecisionKind

_log = logging.getLogger("countersign.provider")
LONGEST_WAIT_S = 86_400.0  # an answer that says longer is nonsense, and would close the account for good
_DETAIL_LIMIT = 2000  # two kilobytes of a proxy's page are enough to recognise it


class CodeRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    provider_code: str
    kind: DecisionKind
    code: str = ""
    remark: str = ""
    operations: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()
    retry_after_s: float = 0.0
    per_object: bool = False


class StatusRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    status: str
    kind: DecisionKind
    code: str = ""
    remark: str = ""
    operations: tuple[str, ...] = ()
    retry_after_s: float = 0.0
    per_object: bool = False


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: tuple[CodeRow, ...] = ()
    status: tuple[StatusRow, ...] = ()


_K = DecisionKind
# The reading of a bare status. A 5xx or a time-out of a proxy says nothing about what was done behind it.
_BUILT_IN = (
    StatusRow(status="3xx", kind=_K.REJECTED, code="redirected", remark="Redirects are never followed."),
    StatusRow(status="401", kind=_K.AUTH_EXPIRED, code="unauthorized"),
    StatusRow(status="403", kind=_K.REJECTED, code="permission"),
    StatusRow(status="404", kind=_K.REJECTED, code="not_found"),
    StatusRow(status="408", kind=_K.UNKNOWN, code="timeout"),
    StatusRow(status="409", kind=_K.REJECTED, code="state_conflict"),
    StatusRow(status="412", kind=_K.REJECTED, code="state_conflict"),
    StatusRow(status="413", kind=_K.REJECTED, code="too_large"),
    StatusRow(status="429", kind=_K.THROTTLED, code="throttled", retry_after_s=30.0),
    StatusRow(status="4xx", kind=_K.REJECTED, code="validation"),
    StatusRow(status="5xx", kind=_K.UNKNOWN, code="provider_error"),
)
_UNREADABLE = StatusRow(status="", kind=_K.UNKNOWN, code="unexpected_status")


class ErrorTable:
    """Total: every answer has a decision."""

    def __init__(self, codes: tuple[CodeRow, ...] = (), statuses: tuple[StatusRow, ...] = ()) -> None:
        """Raises ValueError for two rows that say the same thing."""
        self._codes: dict[str, list[CodeRow]] = {}
        for row in codes:
            rows = self._codes.setdefault(row.provider_code.casefold(), [])
            if any(_scope(row) & _scope(other) for other in rows if _weight(other) == _weight(row)):
                raise ValueError(f"errors.toml has two rows for {row.provider_code}")
            rows.append(row)
        for rows in self._codes.values():
            rows.sort(key=_weight, reverse=True)
        self._statuses = tuple(sorted(statuses, key=lambda row: bool(row.operations), reverse=True))

    @property
    def codes(self) -> tuple[CodeRow, ...]:
        return tuple(row for rows in self._codes.values() for row in rows)

    def decide(
        self,
        operation: str,
        response: ProviderResponse,
        *,
        provider_code: str = "",
        detail: str = "",
        retry_after_s: float | None = None,
        now: datetime | None = None,
    ) -> Decision:
        """`provider_code` and `detail` as the adapter read them from the body; "" when it could not.
        `retry_after_s` None: the Retry-After header, else the row's own.
        """
        row: CodeRow | StatusRow | None = self._by_code(operation, response.status, provider_code)
        if row is None:
            if provider_code:
                _log.warning(
                    "provider.code_unmapped",
                    extra={
                        "operation": operation,
                        "status": response.status,
                        "provider_code": provider_code[:100],
                    },
                )
            row = self._by_status(operation, response.status)
        if retry_after_s is None:
            retry_after_s = retry_after(response.headers, now)
        return Decision(
            kind=row.kind,
            code=row.code,
            provider_code=provider_code[:100] or f"HTTP_{response.status}",
            detail=(detail or _readable(response.body))[:_DETAIL_LIMIT],
            retry_after_s=row.retry_after_s if retry_after_s is None else min(retry_after_s, LONGEST_WAIT_S),
            per_object=row.per_object,
        )

    def _by_code(self, operation: str, status: int, provider_code: str) -> CodeRow | None:
        for row in self._codes.get(provider_code.casefold(), ()):
            if (not row.operations or operation in row.operations) and (
                not row.statuses or status in row.statuses
            ):
                return row
        return None

    def _by_status(self, operation: str, status: int) -> StatusRow:
        exact, family = str(status), f"{status // 100}xx"
        own = [row for row in self._statuses if not row.operations or operation in row.operations]
        for wanted in (exact, family):
            for rows in (own, _BUILT_IN):
                found = next((row for row in rows if row.status == wanted), None)
                if found is not None:
                    return found
        return _UNREADABLE


def load_error_table(package: str, name: str = "errors.toml") -> ErrorTable:
    """The table in `package`'s folder. Raises ValueError for a file that is no table."""
    text = resources.files(package).joinpath(name).read_text(encoding="utf-8")
    try:
        rows = msgspec.convert(tomllib.loads(text), _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{package}/{name}: {error}") from error
    return ErrorTable(rows.code, rows.status)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds of a Retry-After header, given as seconds or as a date; None when absent or unreadable."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):  # what the parser says to an impossible date
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    present = now or datetime.now(UTC)
    return max(0.0, (moment - present).total_seconds())


def _weight(row: CodeRow) -> int:
    return 2 * bool(row.operations) + bool(row.statuses)


def _scope(row: CodeRow) -> set[tuple[str, int]]:
    return {(operation, status) for operation in row.operations or ("",) for status in row.statuses or (0,)}


def _readable(body: bytes) -> str:
    return body[:_DETAIL_LIMIT].decode("utf-8", errors="replace")
