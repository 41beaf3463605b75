"""Gives kept messages their effect: parse, match, apply once, or park; a batch at a time, under a lease.

Order does not matter: statuses only move forward, and a fact is written with its effect, so a redelivery, a
replay and a second worker change nothing. Messages about one envelope are taken one after another, envelopes
beside each other. Every way to end is a state with the reason in words; nothing is thrown away.
Must never hold a transaction while a provider is asked, and never retry by itself what cannot be understood.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

import msgspec

from adapters.kit.port import Adapter
from config.clock import Clock
from config.database import Database, Transaction
from config.errors import StoreUnavailable
from config.logging import log_wide
from config.renewal import renewed
from config.settings_inbox import InboxSettings
from config.vault import Place, Vault
from normalizer.errors import PayloadMalformed
from normalizer.events import ProviderEvent, Source, SourceKind
from normalizer.ids import Ids, Kind, print_id
from webhooks.inbound.ledger_events import events_of
from webhooks.inbound.message import IN_PROCESS, TABLE, ClaimedMessage, Settled
from webhooks.inbound.ports import ApplyEvent, Effect, Happened, RecordEvents, Trust
from webhooks.inbound.settle import (
    settle_failed,
    settle_lost,
    settle_tried,
    settle_unprocessable,
)
from webhooks.inbound.store import (
    Fact,
    claim_fact,
    claim_messages,
    finish_messages,
    known_facts,
    release_claim,
    renew_claim,
)

logger = logging.getLogger("countersign.inbound")

_BATCH_BYTES = 33_554_432
_AT_ONCE = 6  # envelopes at a time: fewer than the pool has connections


class _Read(msgspec.Struct, frozen=True):
    """A message with its events, or already settled because it could not be read."""

    message: ClaimedMessage
    events: tuple[ProviderEvent, ...] = ()
    settled: Settled | None = None


class Processor:
    def __init__(
        self,
        hub: Database,
        vault: Vault,
        adapters: Mapping[str, Adapter],
        apply: ApplyEvent,
        recorder: RecordEvents,
        ids: Ids,
        clock: Clock,
        settings: InboxSettings,
    ) -> None:
        self._hub = hub
        self._vault = vault
        self._adapters = adapters
        self._apply = apply
        self._recorder = recorder
        self._ids = ids
        self._clock = clock
        self._settings = settings

    async def process_due(
        self, *, for_s: float = 20.0, is_stopping: Callable[[], bool] = lambda: False
    ) -> int:
        """Works batch after batch until nothing is due, the time is over or the process is to stop; how many
        messages were taken.
        """
        ends_at = time.monotonic() + for_s
        taken = 0
        while time.monotonic() < ends_at and not is_stopping():
            batch = await self.process_batch()
            if batch == 0:
                break
            taken += batch
        return taken

    async def process_batch(self) -> int:
        """One batch; 0 when nothing is due or enough batches are under way. Raises StoreUnavailable."""
        claim = self._ids.new()
        messages = await claim_messages(
            self._hub,
            claim,
            most=self._settings.batch_size,
            most_bytes=_BATCH_BYTES,
            lease_s=self._settings.lease_s,
            batches=self._settings.batches_in_flight,
        )
        if not messages:
            return 0
        began = time.perf_counter()
        lease_s = self._settings.lease_s
        async with renewed(lambda: renew_claim(self._hub, claim, lease_s), lease_s):
            try:
                settled = await self._settle_all(messages)
                await self._finish(claim, settled)
            except BaseException:
                # The work is not lost either way: without this the lease would have to run out first.
                await _quietly(release_claim(self._hub, claim))
                raise
        _log_batch(settled, time.perf_counter() - began)
        return len(messages)

    async def _settle_all(self, messages: Sequence[ClaimedMessage]) -> list[Settled]:
        read = [await self._read(message) for message in messages]
        known = await known_facts(
            self._hub,
            [_fact(one.message, event) for one in read for event in one.events if event.confirm],
        )
        lanes: dict[tuple[UUID, str], list[_Read]] = {}
        for one in read:
            ref = one.events[0].provider_ref if one.events else str(one.message.id)
            lanes.setdefault((one.message.connection_id, ref), []).append(one)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def work(lane: list[_Read]) -> list[Settled]:
            async with slots:
                return [one.settled or await self._apply_all(one, known) for one in lane]

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_unwrapped(work, lane)) for lane in lanes.values()]
        results = [task.result() for task in tasks]
        lost = next((one for one in results if isinstance(one, StoreUnavailable)), None)
        if lost is not None:
            raise lost
        return [
            settled for result in results if not isinstance(result, StoreUnavailable) for settled in result
        ]

    async def _read(self, message: ClaimedMessage) -> _Read:
        if message.failures > len(self._settings.retry_delays_s):
            return _Read(message, settled=settle_lost(message))
        try:
            adapter = self._adapters[message.provider]
            body = await self._vault.decrypt(
                self._hub, message.tenant_id, Place(TABLE, "body", message.id), message.body
            )
            return _Read(message, adapter.parse(body))
        except PayloadMalformed as error:
            return _Read(message, settled=settle_unprocessable(message, error))
        except RecursionError:
            too_deep = PayloadMalformed("The message is nested too deeply.")
            return _Read(message, settled=settle_unprocessable(message, too_deep))
        except StoreUnavailable:
            raise
        except Exception as error:  # one message's failure, whatever it is, is that message's alone
            logger.exception("a message cannot be read", extra=_named(message))
            return _Read(message, settled=settle_failed(message, error, self._settings.retry_delays_s))

    async def _apply_all(self, read: _Read, known: set[Fact]) -> Settled:
        try:
            happened = [await self._apply_one(read.message, event, known) for event in read.events]
        except StoreUnavailable:
            raise
        except Exception as error:  # as above
            logger.exception("a message cannot be applied", extra=_named(read.message))
            return settle_failed(read.message, error, self._settings.retry_delays_s, read.events)
        return settle_tried(read.message, read.events, happened, self._settings.park_retry_delays_s)

    async def _apply_one(self, message: ClaimedMessage, event: ProviderEvent, known: set[Fact]) -> Happened:
        fact, trust = _fact(message, event), self._trust(message, event)
        # Asked once more right before the provider is: it counts every question.
        if fact in known or ((event.confirm or trust.is_doubtful) and await known_facts(self._hub, [fact])):
            return Happened(Effect.ALREADY_SEEN)
        source = Source(
            kind=SourceKind.WEBHOOK,
            request_id=print_id(Kind.MESSAGE, message.id),
            provider=message.provider,
            provider_event_id=event.dedupe_key[:200],
            raw_sha256=message.body_sha256.hex(),
        )

        async def claim(tx: Transaction) -> bool:
            return await claim_fact(tx, fact, message.id)

        return await self._apply(message.tenant_id, message.connection_id, event, source, trust, claim)

    def _trust(self, message: ClaimedMessage, event: ProviderEvent) -> Trust:
        """A signature has no time in it, so a message that somebody kept is as authentic years later. One that is older
        than any retry of the provider's, or ahead of its time, is believed only as far as the provider confirms it.
        """
        is_own = message.verdict.scheme == IN_PROCESS
        is_stale = False
        if event.occurred_at is not None and not is_own:
            age_s = (message.received_at - event.occurred_at).total_seconds()
            is_stale = not -self._settings.ahead_s <= age_s <= self._settings.stale_after_s
        if is_stale:
            log_wide("inbound.stale", level=logging.WARNING, **_ids(message))
        return Trust(
            account=message.verdict.account,
            is_own=is_own,
            is_doubtful=is_stale or message.is_released,
            is_released=message.is_released,
        )

    async def _finish(self, claim: UUID, settled: list[Settled]) -> None:
        events = [event for one in settled for event in events_of(one, self._ids.new, self._clock.now())]
        if not events:
            await finish_messages(self._hub, claim, settled)
            return
        async with self._hub.transaction() as tx:
            if await finish_messages(tx, claim, settled) < len(settled):
                return  # the lease was lost: whoever has it now writes the entries
            await self._recorder.record(tx, events)
            await tx.commit()


def _fact(message: ClaimedMessage, event: ProviderEvent) -> Fact:
    # Hashed: a provider's key may be long, and may hold what need not be kept twice.
    return message.tenant_id, message.connection_id, hashlib.sha256(event.dedupe_key.encode()).digest()


async def _unwrapped(
    work: Callable[[list[_Read]], Awaitable[list[Settled]]], lane: list[_Read]
) -> list[Settled] | StoreUnavailable:
    """A lost store is the batch's, not a group of exceptions."""
    try:
        return await work(lane)
    except StoreUnavailable as error:
        return error


async def _quietly(work: Awaitable[None]) -> None:
    try:
        await work
    except StoreUnavailable:
        logger.warning("a claim could not be given back: its lease will run out")


def _named(message: ClaimedMessage) -> dict[str, object]:
    return {"wide": _ids(message)}


def _ids(message: ClaimedMessage) -> dict[str, str]:
    return {"message_id": print_id(Kind.MESSAGE, message.id), "provider": message.provider}


def _log_batch(settled: Sequence[Settled], seconds: float) -> None:
    states = [str(one.state) for one in settled]
    log_wide(
        "inbound.processed",
        messages=len(settled),
        outcome={state: states.count(state) for state in sorted(set(states))},
        duration_ms=round(seconds * 1000, 1),
    )
