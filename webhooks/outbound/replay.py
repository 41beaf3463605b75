"""Sends again what was given up or already sent: original bytes, id and sequence, the current secret.

A fresh schedule begins; the attempts made so far stay in the log. Each replayed delivery is a ledger entry.
Must never make a new event: a receiver that has it already recognises the id.
"""

from uuid import UUID

import msgspec

from config.clock import Clock
from config.database import Database, Transaction
from normalizer.errors import Conflict, NotFound
from normalizer.events import Actor, Source
from normalizer.ids import Ids, Kind, print_id
from normalizer.vocabulary import LedgerType
from webhooks.outbound.endpoint_store import read_endpoint
from webhooks.outbound.facts import delivery_event
from webhooks.outbound.ports import NoteDone, RecordEvents, WakeMailboxes

PAGE = 500


class Replayed(msgspec.Struct, frozen=True):
    """`is_complete` False: more are left; ask again."""

    deliveries: tuple[UUID, ...]
    is_complete: bool


class ReplayDesk:
    def __init__(
        self, database: Database, recorder: RecordEvents, ids: Ids, clock: Clock, wake: WakeMailboxes
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._ids = ids
        self._clock = clock
        self._wake = wake

    async def replay_delivery(
        self,
        tenant_id: UUID,
        delivery_id: UUID,
        actor: Actor,
        source: Source,
        *,
        done: NoteDone | None = None,
    ) -> Replayed:
        """Raises NotFound; Conflict when it still waits, or when its endpoint is off or gone. `done` is called in the
        transaction that takes it back.
        """
        async with self._database.transaction(tenant_id) as tx:
            row = await tx.driver.fetchrow(
                "SELECT d.state, e.active FROM deliveries d LEFT JOIN webhook_endpoints e"
                " ON e.tenant_id = d.tenant_id AND e.id = d.endpoint_id WHERE d.tenant_id = $1 AND d.id = $2",
                tenant_id,
                delivery_id,
            )
            if row is None:
                raise NotFound("delivery", print_id(Kind.DELIVERY, delivery_id))
            if row["active"] is None:
                raise Conflict(
                    "The delivery's endpoint is deleted.", remedy="Read the event from the feed of events."
                )
            if not row["active"]:
                raise Conflict("The delivery's endpoint is switched off.", remedy="Switch the endpoint on.")
            replayed = await self._take_back(tx, tenant_id, None, delivery_id, 1, actor, source)
            if not replayed.deliveries:
                raise Conflict(
                    f"The delivery is {row['state']}: only succeeded and exhausted ones can be sent again.",
                    remedy="Read the delivery: its explanation says what it waits for.",
                )
            replayed = Replayed(replayed.deliveries, is_complete=True)  # it was the one that was named
            if done is not None:
                await done(tx, delivery_id)
            await tx.commit()
        await self._wake(await self._mailboxes(tenant_id, replayed.deliveries))
        return replayed

    async def replay_exhausted(
        self, tenant_id: UUID, endpoint_id: UUID, actor: Actor, source: Source
    ) -> Replayed:
        """Everything that this endpoint never got, a page at a time. Raises NotFound, Conflict when off."""
        async with self._database.transaction(tenant_id) as tx:
            endpoint = await read_endpoint(tx, tenant_id, endpoint_id)
            if not endpoint.active:
                raise Conflict("The endpoint is switched off.", remedy="Switch it on first.")
            replayed = await self._take_back(tx, tenant_id, endpoint_id, None, PAGE, actor, source)
            await tx.commit()
        if replayed.deliveries:
            await self._wake((endpoint_id,))
        return replayed

    async def _take_back(
        self,
        tx: Transaction,
        tenant_id: UUID,
        endpoint_id: UUID | None,
        delivery_id: UUID | None,
        most: int,
        actor: Actor,
        source: Source,
    ) -> Replayed:
        rows = await tx.driver.fetch(
            "SELECT id, endpoint_id, event_id, previous FROM replay_deliveries($1, $2, $3, $4)",
            tenant_id,
            endpoint_id,
            delivery_id,
            most,
        )
        await self._recorder.record(
            tx,
            [
                delivery_event(
                    LedgerType.DELIVERY_REPLAYED,
                    self._ids,
                    self._clock.now(),
                    tenant_id=tenant_id,
                    delivery_id=row["id"],
                    endpoint_id=row["endpoint_id"],
                    event_id=row["event_id"],
                    actor=actor,
                    source=source,
                    facts={"previous_state": row["previous"]},
                )
                for row in rows
            ],
        )
        return Replayed(tuple(row["id"] for row in rows), is_complete=len(rows) < most)

    async def _mailboxes(self, tenant_id: UUID, deliveries: tuple[UUID, ...]) -> list[UUID]:
        async with self._database.transaction(tenant_id) as tx:
            rows = await tx.driver.fetch(
                "SELECT DISTINCT endpoint_id FROM deliveries WHERE tenant_id = $1 AND id = ANY($2)",
                tenant_id,
                list(deliveries),
            )
        return [row["endpoint_id"] for row in rows]
