"""Times as the provider writes and reads them. All times are aware UTC inside."""

from datetime import UTC, datetime

from .refusals import Refusal


def seven_digits(at: datetime) -> str:
    """`2024-03-05T10:15:30.4030000Z`, the form of summaries and Connect messages."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def trimmed(at: datetime | None) -> str | None:
    """`2024-03-05T10:15:30.403Z`, the form of envelopes: trailing zeros of the fraction are left out."""
    if at is None:
        return None
    return seven_digits(at)[:-1].rstrip("0").rstrip(".") + "Z"


def parse_query_date(text: str, name: str) -> datetime:
    """A query date with an explicit offset.

    The real service reads a date without offset in its own time zone; that is a trap, so it is refused here.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal("list-date-invalid", f"{name} '{text}' is not a date and time.") from error
    if at.tzinfo is None:
        raise Refusal("list-date-without-offset", f"{name} '{text}' has no offset.")
    return at.astimezone(UTC)
