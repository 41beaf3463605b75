"""Settings of what leaves the house to people: mails, text messages, and how patiently they are sent."""

from enum import StrEnum
from typing import Annotated

import msgspec

from config.secret import Secret

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
_Delays = Annotated[tuple[Annotated[float, msgspec.Meta(ge=0, le=604_800)], ...], msgspec.Meta(max_length=50)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
_Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]


class MailTls(StrEnum):
    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class NoticeSettings(msgspec.Struct, frozen=True, kw_only=True):
    batch_size: _Count = 20
    lease_s: _Seconds = 60.0
    retry_delays_s: _Delays = (5.0, 30.0, 120.0, 600.0, 3600.0, 10_800.0, 21_600.0)
    kept_days: _Count = 90
    report_abuse_address: str = ""


class MailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Without `host` no mail can be sent, and so no envelope of the internal engine."""

    host: str | None = None
    port: _Port = 587
    tls: MailTls = MailTls.STARTTLS
    username: str | None = None
    password: Secret | None = None
    from_address: str = "no-reply@localhost.localdomain"
    from_name: str = "Countersign"
    timeout_s: _Seconds = 5.0
    breaker_pause_s: _Seconds = 60.0


class SmsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A carrier that speaks Twilio's Messages API. Without `url` no text message can be sent."""

    url: str | None = None
    account: str = ""
    token: Secret | None = None
    from_number: str = ""
    timeout_s: _Seconds = 10.0
    breaker_pause_s: _Seconds = 120.0
