"""What the sandbox can be told: limits, delays, switches. Flags set them, `/sandbox/options` patches them."""

import msgspec

CLIENT_ID = "sandbox-adobe-client"
CLIENT_SECRET = "sandbox-adobe-secret"  # noqa: S105 - a development credential, printed on start on purpose
REFRESH_TOKEN = "sandbox-adobe-refresh"  # noqa: S105 - as above
READ_ONLY_REFRESH_TOKEN = "sandbox-adobe-refresh-read-only"  # noqa: S105 - as above
INTEGRATION_KEY = "sandbox-adobe-integration-key"
SENDER_EMAIL = "sender@sandbox.example"


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The sandbox's switches; seconds unless the name says otherwise."""

    processing_s: float = 0.3
    index_lag_s: float = 0.0
    upload_limit_bytes: int = 10 * 1024 * 1024
    token_s: float = 3600.0
    hybrid_routing: bool = True
    cancelled_word: str = "CANCELLED"  # ABORTED is the newer documented word; both are seen
    max_auth_attempts: int = 3
    send_limit: int = 0  # agreements per run; 0 = no limit
    requests_per_minute: int = 0  # 0 = no throttling
    get_threshold: int = 0  # identical GETs per window; 0 = no polling threshold
    get_window_s: float = 600.0
    users: list[str] = []  # further users of the account, for x-api-user
    webhook_allow: list[str] = []
    webhook_limit: int = 100
    verify_timeout_s: float = 5.0
    deliver_timeout_s: float = 45.0
    retry_first_s: float = 0.2  # the real service starts at 30 s to 1 min
    retry_max_s: float = 5.0  # the real service ends at 12 h
    retries: int = 15
    applicable_users: bool = False  # the payload key that was removed in 2025-06
    payload_limit_bytes: int = 10 * 1024 * 1024
