"""What an envelope gets that names no expiration and no reminders: the installation's settings."""

from datetime import datetime, timedelta

from config.settings import SignatureSettings
from gateway.envelopes.draft import RemindersInput


def choose_expiration(settings: SignatureSettings, given: datetime | None, now: datetime) -> datetime | None:
    """The given time; else so many days from now, or none when the setting is 0."""
    if given is not None or settings.default_expiration_days == 0:
        return given
    return now + timedelta(days=settings.default_expiration_days)


def choose_reminders(
    settings: SignatureSettings, given: RemindersInput | None
) -> tuple[int | None, int | None]:
    """(hours until the first, hours between two); (None, None) when there are to be none."""
    if given is not None:
        return given.first_after_hours, given.every_hours
    hours = 24 * settings.default_reminder_frequency_days
    return (hours, hours) if hours else (None, None)
