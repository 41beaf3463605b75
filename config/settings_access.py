"""Settings of the ways into a signing ceremony: links, sessions, codes, locks and checks of identity.

Their meaning stands in defaults.toml. Must never hold a secret as plain text.
"""

from typing import Annotated

import msgspec

from config.secret import Secret

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=604_800)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class AccessSettings(msgspec.Struct, frozen=True, kw_only=True):
    link_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 30
    embedded_link_s: _Seconds = 300.0
    session_idle_s: _Seconds = 1800.0
    session_absolute_s: _Seconds = 28_800.0
    session_starts_hourly: _Count = 60
    bind_ip: bool = False
    bad_tokens_per_ip: _Count = 30
    bad_tokens_window_s: _Seconds = 600.0
    email_code_s: _Seconds = 600.0
    sms_code_s: _Seconds = 300.0
    code_tries: Annotated[int, msgspec.Meta(ge=1, le=10)] = 5
    code_sends: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    code_sends_window_s: _Seconds = 900.0
    code_sends_per_day: Annotated[int, msgspec.Meta(ge=1, le=50)] = 10
    code_sends_per_ip_hourly: _Count = 60
    code_sends_per_phone_daily: _Count = 10
    code_sends_per_tenant_hourly: _Count = 2000
    sms_prices: tuple[str, ...] = (
        "1:1", "31:9", "32:9", "33:7", "34:7", "39:8", "41:7", "43:9", "44:5", "45:5", "46:7", "47:7", "48:4",
        "49:9", "352:9", "353:8", "358:9",
    )  # fmt: skip
    sms_daily_spend_cents: _Count = 10_000
    answer_tries: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    lock_s: _Seconds = 1800.0
    lock_longest_s: _Seconds = 86_400.0
    failures_per_ip_hourly: _Count = 60
    identity_url: str | None = None
    identity_key: Secret | None = None
    identity_timeout_s: _Seconds = 10.0
    identity_starts_per_day: _Count = 10
