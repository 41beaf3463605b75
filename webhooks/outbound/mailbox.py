"""An endpoint as the deliverer knows it: where to send, how to sign, how often to try, and what is under way.

The configuration is cached by the endpoint's revision, which every claim brings along, so a stale secret or
URL is never used for longer than one claim. Must never show a key.
"""

import logging
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import msgspec
from yarl import URL

from config.database import Database
from config.errors import VaultError
from config.settings import DeliverySettings
from config.vault import Vault
from normalizer.errors import ValidationFailed
from webhooks.outbound.guard import Guard
from webhooks.outbound.schedule import RetryProfile, Schedule
from webhooks.outbound.sign import KeyRing, SignatureProfile, SigningKeys
from webhooks.outbound.vaulted import SecretColumn, open_secret

logger = logging.getLogger("countersign.deliverer")


class Route(msgspec.Struct, frozen=True):
    """One revision of an endpoint's configuration. `trouble` set: it cannot be sent to, and why."""

    revision: int
    max_in_flight: int
    timeout_s: float
    schedule: Schedule
    profile: SignatureProfile
    url: URL | None = None
    keys: KeyRing | None = None
    trouble: str = ""


class Mailbox:
    """`held`: claimed and not yet completed. `slow`: the last attempt timed out or found no connection, so
    one slot is all it gets until an answer comes: a hanging receiver delays its own deliveries only.
    """

    __slots__ = ("has_more", "held", "id", "route", "slow", "tenant_id")

    def __init__(self, endpoint_id: UUID, tenant_id: UUID) -> None:
        self.id = endpoint_id
        self.tenant_id = tenant_id
        self.route: Route | None = None
        self.held = 0
        self.slow = False
        self.has_more = False

    def share(self, most: int) -> int:
        """How many more it may be given now."""
        cap = self.route.max_in_flight if self.route is not None else most
        return min((1 if self.slow else cap) - self.held, most)


_READ = (
    "SELECT tenant_id, id, url, secret, previous_secret, previous_until, cutover_at, retry_profile,"
    " retry_schedule, timeout_seconds, signature_profile, max_in_flight, revision"
    " FROM webhook_endpoints WHERE id = ANY($1)"
)


async def read_routes(
    hub: Database, endpoint_ids: Sequence[UUID], vault: Vault, guard: Guard, settings: DeliverySettings
) -> dict[UUID, Route]:
    """One statement for all; an endpoint deleted meanwhile is not among them."""
    rows = await hub.fetch(_READ, list(endpoint_ids))
    return {row["id"]: await _route(row, hub, vault, guard, settings) for row in rows}


async def _route(
    row: asyncpg.Record, hub: Database, vault: Vault, guard: Guard, settings: DeliverySettings
) -> Route:
    schedule = Schedule(RetryProfile(row["retry_profile"]), row["retry_schedule"], settings)
    route = Route(
        revision=row["revision"],
        max_in_flight=row["max_in_flight"],
        timeout_s=float(row["timeout_seconds"]),
        schedule=schedule,
        profile=SignatureProfile(row["signature_profile"]),
    )
    try:
        # Vetted again: the allow-list and the rules may have changed since registration.
        url = guard.vet_url(row["url"])
        keys = await _key_ring(row, hub, vault)
    except ValidationFailed as error:
        return msgspec.structs.replace(route, trouble=error.detail)
    except VaultError:
        logger.exception("the secret of endpoint %s cannot be opened", row["id"])
        return msgspec.structs.replace(route, trouble="the endpoint's secret cannot be opened")
    return msgspec.structs.replace(route, url=url, keys=keys)


async def _key_ring(row: asyncpg.Record, hub: Database, vault: Vault) -> KeyRing:
    tenant, endpoint = row["tenant_id"], row["id"]
    current = await open_secret(vault, hub, tenant, endpoint, SecretColumn.CURRENT, row["secret"])
    if row["previous_secret"] is None:
        return KeyRing(SigningKeys(current))
    previous = await open_secret(vault, hub, tenant, endpoint, SecretColumn.PREVIOUS, row["previous_secret"])
    return KeyRing(SigningKeys(current), SigningKeys(previous), row["previous_until"], row["cutover_at"])
