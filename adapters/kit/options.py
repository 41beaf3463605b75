"""How patient the executor is, and how much it takes in: every number with its unit, none hidden in code."""

from datetime import timedelta

import msgspec

from config.breaker import BreakerOptions


class ExecutorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`read_timeout_s` is between two reads; `deadline_s` is for a whole operation, whatever drips.

    `connections` is the most that is in flight at once.
    """

    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0
    write_timeout_s: float = 30.0
    pool_timeout_s: float = 5.0
    deadline_s: float = 60.0
    authorize_deadline_s: float = 20.0
    connections: int = 32
    keepalive_s: float = 30.0
    read_attempts: int = 3  # of a request that changes nothing
    connect_attempts: int = 3  # of any request that certainly did not leave this machine
    retry_first_wait_s: float = 0.2
    retry_longest_wait_s: float = 2.0
    token_margin: timedelta = timedelta(minutes=5)
    max_error_bytes: int = 64 * 1024
    max_saved_bytes: int = 512 * 1024 * 1024
    breaker: BreakerOptions = BreakerOptions()
