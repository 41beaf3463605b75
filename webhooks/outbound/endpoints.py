"""Use cases of endpoints: create, read, list, change, delete, send a test event.

Each is one transaction: the row, what it means for waiting deliveries, and the ledger entry, all or nothing.
Look-ups of the URL's host are made before the transaction. A secret is shown in the answer that made it and
never again.
"""

from collections.abc import Mapping
from uuid import UUID

import msgspec
from msgspec import UNSET

from config.clock import Clock
from config.database import Database
from config.secret import Secret
from config.vault import Vault
from normalizer.canonical import Json
from normalizer.errors import Conflict
from normalizer.events import Actor, Source
from normalizer.ids import Ids, Kind, print_id
from normalizer.vocabulary import LedgerType
from webhooks.outbound import endpoint_store as rows
from webhooks.outbound.endpoint import (
    Configuration,
    Endpoint,
    EndpointChange,
    NewEndpoint,
    ShownOnce,
    TestSent,
)
from webhooks.outbound.endpoint_keys import EndpointKeys
from webhooks.outbound.endpoint_rules import (
    changed_columns,
    configuration_of,
    facts_of,
    lay_over,
    vet_configuration,
)
from webhooks.outbound.endpoint_secrets import Given, Kept, given_by, seal_secrets, vet_secrets
from webhooks.outbound.guard import Guard
from webhooks.outbound.headers import merge_headers
from webhooks.outbound.ports import RecordEvents, WakeMailboxes
from webhooks.outbound.sign import make_secret, make_seed, public_key, standard_form, vet_secret
from webhooks.outbound.sinks.vet import vet_sink_url
from webhooks.outbound.vaulted import SecretColumn, open_headers, seal_secret, seal_seed

# How often a change is vetted anew because somebody else was faster.
_PATIENCE = 3


class EndpointDesk(EndpointKeys):
    def __init__(
        self,
        database: Database,
        vault: Vault,
        guard: Guard,
        recorder: RecordEvents,
        ids: Ids,
        clock: Clock,
        wake: WakeMailboxes,
        *,
        most_per_tenant: int = 100,
    ) -> None:
        super().__init__(database, vault, recorder, ids, clock)
        self._guard = guard
        self._wake = wake
        self._most_per_tenant = most_per_tenant

    async def create(self, tenant_id: UUID, new: NewEndpoint, actor: Actor, source: Source) -> ShownOnce:
        """Raises ValidationFailed, Conflict when the tenant has as many endpoints as it may."""
        wanted = await self._vet(configuration_of(new), given_by(new), new.sensitive_headers, None)
        secret = vet_secret(new.secret.reveal()) if new.secret is not None else make_secret()
        endpoint_id = self._ids.new()
        async with self._database.transaction(tenant_id) as tx:
            if await rows.count_endpoints(tx, tenant_id) >= self._most_per_tenant:
                raise Conflict(
                    f"There are {self._most_per_tenant} endpoints already.", remedy="Delete one first."
                )
            place = (self._vault, tx, tenant_id, endpoint_id)
            seed = make_seed()
            columns = msgspec.structs.asdict(wanted) | {
                "secret": await seal_secret(*place, SecretColumn.CURRENT, secret),
                "signing_key": await seal_seed(*place, SecretColumn.SIGNING_KEY, seed),
                "verify_key": public_key(seed),
            }
            columns |= await seal_secrets(*place, wanted, given_by(new), new.sensitive_headers, None)
            endpoint = await rows.insert_endpoint(tx, tenant_id, endpoint_id, columns)
            facts: dict[str, Json] = {"own_secret": new.secret is not None, **facts_of(endpoint)}
            await self._recorder.record(
                tx, [self._event(LedgerType.ENDPOINT_CREATED, endpoint, actor, source, facts)]
            )
            await tx.commit()
        return ShownOnce(endpoint, secret, standard_form(secret))

    async def read(self, tenant_id: UUID, endpoint_id: UUID) -> Endpoint:
        async with self._database.transaction(tenant_id) as tx:
            return await rows.read_endpoint(tx, tenant_id, endpoint_id)

    async def list(self, tenant_id: UUID, *, limit: int = 100, after: UUID | None = None) -> list[Endpoint]:
        async with self._database.transaction(tenant_id) as tx:
            return await rows.list_endpoints(tx, tenant_id, limit=limit, after=after)

    async def change(
        self, tenant_id: UUID, endpoint_id: UUID, change: EndpointChange, actor: Actor, source: Source
    ) -> Endpoint:
        """Switching off holds what waits; switching on releases what was held, in its order.

        What is vetted is the whole endpoint as it will be, so it is read first; when somebody else changes it
        while addresses are looked up, it is read again. Raises Conflict when that does not end.
        """
        for _ in range(_PATIENCE):
            seen, kept = await self._read_kept(tenant_id, endpoint_id)
            given = given_by(change)
            headers = kept.headers
            if given.sensitive_headers is not UNSET:
                headers = merge_headers(kept.headers, given.sensitive_headers)
            wanted = await self._vet(lay_over(kept.configuration, change), given, headers, kept)
            after = await self._write(seen, kept, wanted, given, headers, actor, source)
            if after is not None:
                return after
        raise Conflict(
            "The endpoint is being changed by somebody else.", remedy="Read it and repeat the change."
        )

    async def delete(self, tenant_id: UUID, endpoint_id: UUID, actor: Actor, source: Source) -> int:
        """How many waiting deliveries were cancelled. What was delivered stays readable."""
        async with self._database.transaction(tenant_id) as tx:
            endpoint = await rows.read_endpoint(tx, tenant_id, endpoint_id, lock=True)
            cancelled = await rows.change_mailbox(tx, tenant_id, endpoint_id, "cancel")
            await rows.delete_endpoint(tx, tenant_id, endpoint_id)
            facts: dict[str, Json] = {"cancelled": cancelled, **facts_of(endpoint)}
            await self._recorder.record(
                tx, [self._event(LedgerType.ENDPOINT_DELETED, endpoint, actor, source, facts)]
            )
            await tx.commit()
        return cancelled

    async def send_test(self, tenant_id: UUID, endpoint_id: UUID, actor: Actor, source: Source) -> TestSent:
        """An `endpoint.test` event to this endpoint alone, past its filter. Raises Conflict when off."""
        delivery_id = self._ids.new()
        async with self._database.transaction(tenant_id) as tx:
            endpoint = await rows.read_endpoint(tx, tenant_id, endpoint_id, lock=True)
            if not endpoint.active:
                raise Conflict("The endpoint is switched off.", remedy="Switch it on first.")
            announcement: dict[str, Json] = {
                "endpoint_id": print_id(Kind.ENDPOINT, endpoint_id),
                "description": "A test of this endpoint; nothing has happened to an envelope.",
            }
            event = self._event(
                LedgerType.ENDPOINT_TESTED, endpoint, actor, source, {}, announcement=announcement
            )
            await self._recorder.record(tx, [event])
            sequence = await tx.driver.fetchval(
                "SELECT deliver_to($1, $2, $3, $4)", tenant_id, event.id, endpoint_id, delivery_id
            )
            await tx.commit()
        await self._wake((endpoint_id,))
        return TestSent(event.id, delivery_id, int(sequence))

    async def _read_kept(self, tenant_id: UUID, endpoint_id: UUID) -> tuple[Endpoint, Kept]:
        async with self._database.transaction(tenant_id) as tx:
            endpoint = await rows.read_endpoint(tx, tenant_id, endpoint_id)
            sealed = await rows.read_sealed(tx, tenant_id, endpoint_id)
        headers: Mapping[str, Secret] = {}
        kept_headers = sealed[SecretColumn.SENSITIVE_HEADERS.value]
        if kept_headers is not None:
            headers = await open_headers(self._vault, self._database, tenant_id, endpoint_id, kept_headers)
        return endpoint, Kept(configuration_of(endpoint), sealed, headers)

    async def _vet(
        self, wanted: Configuration, given: Given, headers: Mapping[str, Secret], kept: Kept | None
    ) -> Configuration:
        """In the form in which it is stored. Addresses that change are looked up, with no transaction open."""
        before = kept.configuration if kept is not None else None
        wanted = vet_configuration(wanted, before)
        if before is None or (wanted.url, wanted.sink) != (before.url, before.sink):
            url = vet_sink_url(self._guard, wanted.sink, wanted.url)
            await self._guard.vet_name(url)
            wanted = msgspec.structs.replace(wanted, url=str(url))
        if wanted.oauth is not None and (before is None or wanted.oauth != before.oauth):
            token_url = self._guard.vet_url(wanted.oauth.token_url, pointer="/oauth/token_url")
            await self._guard.vet_name(token_url, pointer="/oauth/token_url")
        vet_secrets(wanted, given, headers, kept, now=self._clock.now())
        return wanted

    async def _write(
        self,
        seen: Endpoint,
        kept: Kept,
        wanted: Configuration,
        given: Given,
        headers: Mapping[str, Secret],
        actor: Actor,
        source: Source,
    ) -> Endpoint | None:
        """None: it is not any more what was vetted."""
        tenant_id, endpoint_id = seen.tenant_id, seen.id
        async with self._database.transaction(tenant_id) as tx:
            before = await rows.read_endpoint(tx, tenant_id, endpoint_id, lock=True)
            if before.revision != seen.revision:
                return None
            place = (self._vault, tx, tenant_id, endpoint_id)
            columns = changed_columns(kept.configuration, wanted)
            columns |= await seal_secrets(*place, wanted, given, headers, kept)
            if not columns:
                return before
            after = await rows.update_endpoint(tx, tenant_id, endpoint_id, columns)
            facts: dict[str, Json] = {"changed": tuple(sorted(columns)), **facts_of(after)}
            if before.active != after.active:
                verb = "release" if after.active else "hold"
                facts["deliveries"] = await rows.change_mailbox(tx, tenant_id, endpoint_id, verb)
            await self._recorder.record(
                tx, [self._event(LedgerType.ENDPOINT_CHANGED, after, actor, source, facts)]
            )
            await tx.commit()
        if after.active and not before.active:
            await self._wake((endpoint_id,))
        return after
