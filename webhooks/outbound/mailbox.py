"""An endpoint as the deliverer knows it: where to send, how to sign, how often to try, and what is under way.

The configuration is cached by the endpoint's revision, which every claim brings along, so a stale secret or
URL is never used for longer than one claim. Must never show a key.
"""

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec
from yarl import URL

from config.database import Database
from config.errors import StoreUnavailable, VaultError
from config.secret import Secret
from config.settings import DeliverySettings
from config.vault import Vault
from normalizer.errors import ValidationFailed
from webhooks.outbound.client_certificate import make_tls, read_expiry
from webhooks.outbound.endpoint import OAuth
from webhooks.outbound.guard import Guard
from webhooks.outbound.headers import is_forbidden
from webhooks.outbound.key_ring import open_key_ring
from webhooks.outbound.schedule import RetryProfile, Schedule
from webhooks.outbound.sign import KeyRing, SignatureProfile
from webhooks.outbound.sinks.target import SinkKind, Target, read_target
from webhooks.outbound.sinks.vet import read_credentials, vet_sink_url
from webhooks.outbound.vaulted import SecretColumn, open_headers, open_secret

logger = logging.getLogger("countersign.deliverer")


class OAuthAccess(msgspec.Struct, frozen=True):
    """What an access token is asked for with, and where."""

    token_url: URL
    client_id: str
    secret: Secret
    scope: str = ""
    audience: str = ""


class Route(msgspec.Struct, frozen=True):
    """One revision of an endpoint's configuration. `trouble` set: it cannot be sent to, and why.

    `headers`: the endpoint's own, the sensitive ones among them. `hidden`: what a receiver may give back to us and
    nobody is to read. `tls`: its own trust anchors and certificate,
    None for the usual. `certificate_until`: when its client certificate ends. `target`: where in a sink that is
    not HTTP.
    """

    endpoint_id: UUID
    revision: int
    max_in_flight: int
    timeout_s: float
    schedule: Schedule
    profile: SignatureProfile
    url: URL | None = None
    keys: KeyRing | None = None
    trouble: str = ""
    sink: SinkKind = SinkKind.HTTP
    target: Target | None = None
    user: str = ""
    password: Secret | None = None
    headers: Mapping[str, str] = {}
    hidden: tuple[Secret, ...] = ()
    tls: ssl.SSLContext | None = None
    certificate_until: datetime | None = None
    oauth: OAuthAccess | None = None

    def __repr__(self) -> str:
        """Headers may be secrets."""
        return f"Route({self.endpoint_id}, revision {self.revision})"

    def credentials(self) -> tuple[str, str]:
        """User and password for a sink; both may be empty."""
        return self.user, "" if self.password is None else self.password.reveal()


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
    " retry_schedule, timeout_seconds, signature_profile, max_in_flight, revision, headers,"
    " sensitive_headers, client_certificate, client_key, server_ca, oauth, oauth_secret, sink, sink_target,"
    " sink_secret, signing_key, previous_signing_key, previous_cutover_at, older_keys"
    " FROM webhook_endpoints WHERE id = ANY($1)"
)


async def read_routes(
    hub: Database, endpoint_ids: Sequence[UUID], vault: Vault, guard: Guard, settings: DeliverySettings
) -> dict[UUID, Route]:
    """One statement for all; an endpoint deleted meanwhile is not among them, nor one whose secrets cannot be
    opened at this moment, as the keys' keeper is away. Raises StoreUnavailable.
    """
    routes: dict[UUID, Route] = {}
    for row in await hub.fetch(_READ, list(endpoint_ids)):
        try:
            routes[row["id"]] = await _Reader(row, hub, vault, guard).route(settings)
        except OSError:  # TimeoutError is one
            logger.warning("the keys of endpoint %s cannot be had now", row["id"], exc_info=True)
    return routes


class _Reader:
    """Reads one row, opens its secrets, and vets again what registration vetted: the allow-list, the rules and
    the clock may have changed since.
    """

    def __init__(self, row: asyncpg.Record, hub: Database, vault: Vault, guard: Guard) -> None:
        self._row = row
        self._hub = hub
        self._vault = vault
        self._guard = guard

    async def route(self, settings: DeliverySettings) -> Route:
        row = self._row
        route = Route(
            endpoint_id=row["id"],
            revision=row["revision"],
            max_in_flight=row["max_in_flight"],
            timeout_s=float(row["timeout_seconds"]),
            schedule=Schedule(RetryProfile(row["retry_profile"]), row["retry_schedule"], settings),
            profile=SignatureProfile(row["signature_profile"]),
            sink=SinkKind(row["sink"]),
        )
        try:
            return await self._complete(route)
        except ValidationFailed as error:
            return msgspec.structs.replace(route, trouble=error.detail)
        except VaultError:
            logger.exception("a secret of endpoint %s cannot be opened", row["id"])
            return msgspec.structs.replace(route, trouble="the endpoint's secret cannot be opened")
        except (StoreUnavailable, OSError):
            raise
        except Exception:  # one endpoint's row must not keep those that are read with it from being served
            logger.exception("endpoint %s cannot be read", row["id"])
            return msgspec.structs.replace(route, trouble="the endpoint's configuration cannot be read")

    async def _complete(self, route: Route) -> Route:
        row = self._row
        url = vet_sink_url(self._guard, route.sink, row["url"])
        target = read_target(route.sink, row["sink_target"])
        user, password = "", None
        if row["sink_secret"] is not None:
            user, text = read_credentials((await self._secret(SecretColumn.SINK_SECRET)).reveal())
            password = Secret(text)
        sealed = await self._sealed_headers()
        return msgspec.structs.replace(
            route,
            url=url,
            keys=await open_key_ring(self._vault, self._hub, row),
            target=target,
            user=user,
            password=password,
            headers=self._headers(sealed),
            hidden=(*sealed.values(), *([password] if password is not None else [])),
            tls=await self._tls(),
            certificate_until=read_expiry(row["client_certificate"]) if row["client_certificate"] else None,
            oauth=await self._oauth() if route.sink is SinkKind.HTTP else None,
        )

    async def _sealed_headers(self) -> dict[str, Secret]:
        row = self._row
        if row["sensitive_headers"] is None:
            return {}
        return await open_headers(
            self._vault, self._hub, row["tenant_id"], row["id"], row["sensitive_headers"]
        )

    def _headers(self, sealed: Mapping[str, Secret]) -> dict[str, str]:
        headers = msgspec.json.decode(self._row["headers"], type=dict[str, str])
        headers |= {name: value.reveal() for name, value in sealed.items()}
        has_oauth = self._row["oauth"] is not None
        return {name: value for name, value in headers.items() if not is_forbidden(name, has_oauth=has_oauth)}

    async def _tls(self) -> ssl.SSLContext | None:
        row = self._row
        if not row["client_certificate"] and not row["server_ca"]:
            return None
        key = None if row["client_key"] is None else await self._secret(SecretColumn.CLIENT_KEY)
        return await asyncio.to_thread(make_tls, row["client_certificate"], key, row["server_ca"])

    async def _oauth(self) -> OAuthAccess | None:
        if self._row["oauth"] is None:
            return None
        read = msgspec.json.decode(self._row["oauth"], type=OAuth)
        return OAuthAccess(
            self._guard.vet_url(read.token_url, pointer="/oauth/token_url"),
            read.client_id,
            await self._secret(SecretColumn.OAUTH_SECRET),
            read.scope,
            read.audience,
        )

    async def _secret(self, column: SecretColumn) -> Secret:
        """Raises VaultError, also when there is none."""
        sealed = self._row[column.value]
        if sealed is None:
            raise VaultError(f"there is no {column.value}")
        return await open_secret(
            self._vault, self._hub, self._row["tenant_id"], self._row["id"], column, sealed
        )
