"""What a sandbox is started with: its account, its keys, its limits and its development allow-list."""

from pathlib import Path

import msgspec

# Fixed ids, so that a connection configured once stays right over restarts.
INTEGRATION_KEY = "5a0b0c5a-0000-4000-8000-00000000d0c1"
USER_ID = "5a0b0c5a-0000-4000-8000-00000000d0c2"
ACCOUNT_ID = "5a0b0c5a-0000-4000-8000-00000000d0c3"


class Settings(msgspec.Struct, kw_only=True):
    """Everything the server is told at start-up."""

    url: str
    netloc: str
    public_key_pem: bytes
    integration_key: str = INTEGRATION_KEY
    user_id: str = USER_ID
    account_id: str = ACCOUNT_ID
    sender_name: str = "Sandbox Sender"
    sender_email: str = "sender@sandbox.example"
    state_dir: Path | None = None
    webhook_allow: tuple[str, ...] = ()
    retry_schedule_s: tuple[float, ...] = (0.5, 1.0, 2.0, 5.0, 10.0)
    ack_timeout_s: float = 100.0
    hourly_limit: int = 3000
    burst_limit: int = 500
    is_polling_limited: bool = False
    token_lifetime_s: int = 3600
    max_body_bytes: int = 36_700_160
