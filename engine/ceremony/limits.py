"""Limits that hold over recipients, tenants and processes: counted in PostgreSQL, in windows of time.

Counters lie under keyed hashes of addresses and phones. They are the hub role's: a token that opens nothing says
nothing of a tenant.
"""

import ipaddress
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from engine.ceremony.keyed_hash import Purpose, keyed_hash
from engine.engine import Engine
from normalizer.errors import TooManyTries

HOUR_S = 3600.0
DAY_S = 86_400.0
NOBODY = UUID(int=0)


class Counter(StrEnum):
    BAD_TOKEN = "bad_token"  # noqa: S105 - the name of a counter
    FAILURE = "failure"
    SENDS_FROM_ADDRESS = "sends_from_address"
    SENDS_TO_PHONE = "sends_to_phone"
    SENDS_OF_TENANT = "sends_of_tenant"
    SMS_SPEND = "sms_spend"


def window_start(now: datetime, length_s: float) -> datetime:
    """The beginning of the window that `now` lies in; windows are the same for every process."""
    return datetime.fromtimestamp(now.timestamp() // length_s * length_s, UTC)


def address_subject(engine: Engine, ip_address: str) -> bytes:
    """One IPv4 address, or the /64 of an IPv6 one: who has one address of those has all of them."""
    try:
        address = ipaddress.ip_address(ip_address)
    except ValueError:
        return keyed_hash(engine, Purpose.ADDRESS, ip_address)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    length = 32 if address.version == 4 else 64
    network = ipaddress.ip_network((address, length), strict=False)
    return keyed_hash(engine, Purpose.ADDRESS, str(network))


async def take_allowance(
    engine: Engine,
    counter: Counter,
    subject: bytes,
    window_s: float,
    most: int,
    *,
    tenant_id: UUID = NOBODY,
    amount: int = 1,
) -> None:
    """Takes `amount` out of what the window allows. Raises TooManyTries when it is used up.

    By itself, outside of the caller's transaction: what was taken stays taken when that one is rolled back.
    """
    start = window_start(engine.clock.now(), window_s)
    taken = await engine.hub.fetchval(
        "SELECT take_allowance($1, $2, $3, $4, $5, $6)",
        tenant_id,
        counter.value,
        subject,
        start,
        amount,
        most,
    )
    if not taken:
        raise too_many(engine, window_s)


def too_many(engine: Engine, window_s: float) -> TooManyTries:
    """What is said when a window's allowance is used up: the wait until the next begins."""
    now = engine.clock.now()
    rest = window_start(now, window_s).timestamp() + window_s - now.timestamp()
    return TooManyTries(max(1, round(rest)))
