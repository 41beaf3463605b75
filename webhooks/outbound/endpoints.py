"""Use cases of endpoints: create, read, list, change, delete, rotate the secret, send a test event.

Each is one transaction: the row, what it means for waiting deliveries, and the ledger entry, all or nothing.
Look-ups of the URL's host are made before the transaction. A secret is shown in the answer that made it and
never again.
"""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from config.clock import Clock
from config.database import Database
from config.secret import Secret
from config.vault import Vault
from normalizer.canonical import Json
from normalizer.errors import Conflict, Finding, ValidationFailed
from normalizer.events import Actor, Event, Source
from normalizer.ids import Ids, Kind, print_id
from normalizer.vocabulary import LedgerType
from webhooks.outbound import endpoint_store as rows
from webhooks.outbound.endpoint import Endpoint, EndpointChange, NewEndpoint, ShownOnce, TestSent
from webhooks.outbound.endpoint_rules import changed_columns, facts_of, vet_events, vet_limits
from webhooks.outbound.facts import endpoint_event
from webhooks.outbound.guard import Guard
from webhooks.outbound.ports import RecordEvents, WakeMailboxes
from webhooks.outbound.schedule import vet_custom_delays
from webhooks.outbound.sign import make_secret, standard_form, vet_secret
from webhooks.outbound.vaulted import SecretColumn, open_secret, seal_secret

LONGEST_OVERLAP = timedelta(days=7)
USUAL_OVERLAP = timedelta(hours=24)


class EndpointDesk:
    """`database` is the app role's, so that row-level security stands behind every statement."""

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
        self._database = database
        self._vault = vault
        self._guard = guard
        self._recorder = recorder
        self._ids = ids
        self._clock = clock
        self._wake = wake
        self._most_per_tenant = most_per_tenant

    async def create(self, tenant_id: UUID, new: NewEndpoint, actor: Actor, source: Source) -> ShownOnce:
        """Raises ValidationFailed, Conflict when the tenant has as many endpoints as it may."""
        new = await self._vet_new(new)
        secret = vet_secret(new.secret.reveal()) if new.secret is not None else make_secret()
        endpoint_id = self._ids.new()
        async with self._database.transaction(tenant_id) as tx:
            if await rows.count_endpoints(tx, tenant_id) >= self._most_per_tenant:
                raise Conflict(
                    f"There are {self._most_per_tenant} endpoints already.", remedy="Delete one first."
                )
            sealed = await seal_secret(self._vault, tx, tenant_id, endpoint_id, SecretColumn.CURRENT, secret)
            endpoint = await rows.insert_endpoint(tx, tenant_id, endpoint_id, new, sealed)
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
        """Switching off holds what waits; switching on releases what was held, in its order."""
        url = None if change.url is None else await self._vet_url(change.url)
        async with self._database.transaction(tenant_id) as tx:
            before = await rows.read_endpoint(tx, tenant_id, endpoint_id, lock=True)
            columns = changed_columns(before, change, url)
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

    async def rotate_secret(
        self,
        tenant_id: UUID,
        endpoint_id: UUID,
        actor: Actor,
        source: Source,
        *,
        secret: Secret | None = None,
        overlap: timedelta = USUAL_OVERLAP,
        cutover: timedelta | None = None,
    ) -> ShownOnce:
        """Both secrets sign the standard header for `overlap`; the design's header, which has room for one
        signature, changes over after `cutover` (half of the overlap unless said otherwise).
        """
        cutover = overlap / 2 if cutover is None else cutover
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise ValidationFailed(
                "The overlap is 0 to 7 days.", (Finding("/overlap_hours", "between 0 and 168"),)
            )
        if not timedelta(0) <= cutover <= overlap:
            raise ValidationFailed(
                "The cutover lies within the overlap.",
                (Finding("/cutover_hours", "between 0 and the overlap"),),
            )
        new_secret = vet_secret(secret.reveal()) if secret is not None else make_secret()
        now = self._clock.now()
        async with self._database.transaction(tenant_id) as tx:
            await rows.read_endpoint(tx, tenant_id, endpoint_id, lock=True)
            kept = await rows.read_sealed_secret(tx, tenant_id, endpoint_id)
            place = (self._vault, tx, tenant_id, endpoint_id)
            old = await open_secret(*place, SecretColumn.CURRENT, kept)
            endpoint = await rows.update_endpoint(
                tx,
                tenant_id,
                endpoint_id,
                {
                    "secret": await seal_secret(*place, SecretColumn.CURRENT, new_secret),
                    "previous_secret": await seal_secret(*place, SecretColumn.PREVIOUS, old),
                    "previous_until": now + overlap,
                    "cutover_at": now + cutover,
                },
            )
            facts: dict[str, Json] = {
                "own_secret": secret is not None,
                "overlap_s": int(overlap.total_seconds()),
                "cutover_s": int(cutover.total_seconds()),
            }
            await self._recorder.record(
                tx, [self._event(LedgerType.ENDPOINT_SECRET_ROTATED, endpoint, actor, source, facts)]
            )
            await tx.commit()
        return ShownOnce(endpoint, new_secret, standard_form(new_secret))

    async def activate_secret(
        self, tenant_id: UUID, endpoint_id: UUID, actor: Actor, source: Source
    ) -> Endpoint:
        """Lets the design's header change over to the new secret now."""
        async with self._database.transaction(tenant_id) as tx:
            endpoint = await rows.read_endpoint(tx, tenant_id, endpoint_id, lock=True)
            now = self._clock.now()
            if endpoint.cutover_at is None or endpoint.cutover_at <= now:
                raise Conflict("No change of secret is under way.", remedy="Rotate the secret first.")
            endpoint = await rows.update_endpoint(tx, tenant_id, endpoint_id, {"cutover_at": now})
            facts: dict[str, Json] = {"cutover_s": 0}
            await self._recorder.record(
                tx, [self._event(LedgerType.ENDPOINT_SECRET_ROTATED, endpoint, actor, source, facts)]
            )
            await tx.commit()
        return endpoint

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

    async def _vet_new(self, new: NewEndpoint) -> NewEndpoint:
        vet_limits(
            description=new.description,
            timeout_seconds=new.timeout_seconds,
            max_in_flight=new.max_in_flight,
        )
        return NewEndpoint(
            url=await self._vet_url(new.url),
            description=new.description,
            events=vet_events(new.events),
            active=new.active,
            secret=new.secret,
            retry_profile=new.retry_profile,
            retry_schedule=vet_custom_delays(new.retry_profile, new.retry_schedule),
            timeout_seconds=new.timeout_seconds,
            signature_profile=new.signature_profile,
            max_in_flight=new.max_in_flight,
        )

    async def _vet_url(self, text: str) -> str:
        url = self._guard.vet_url(text)
        await self._guard.vet_name(url)
        return str(url)

    def _event(
        self,
        type_: LedgerType,
        endpoint: Endpoint,
        actor: Actor,
        source: Source,
        facts: Mapping[str, Json],
        *,
        announcement: Mapping[str, Json] | None = None,
    ) -> Event:
        return endpoint_event(
            type_,
            self._ids,
            self._clock.now(),
            tenant_id=endpoint.tenant_id,
            endpoint_id=endpoint.id,
            actor=actor,
            source=source,
            facts=facts,
            announcement=announcement,
        )
