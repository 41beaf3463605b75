"""The pump: serves every ready mailbox at once from one event loop.

Claims a batch fairly across mailboxes ahead of need, sends concurrently, writes completions in batches: well
under half a statement per delivery. First attempts keep at least half of the slots; a mailbox that hangs gets
one. No transaction is open while a request is under way; a process that dies loses only time, as its leases
run out. Must never send a claim without its endpoint's configuration in the claim's own revision.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from uuid import UUID

from config.database import Database
from config.errors import StoreUnavailable
from config.settings import DeliverySettings
from normalizer.ids import Ids
from webhooks.outbound.attempt import Attempter
from webhooks.outbound.breaker import rules_of
from webhooks.outbound.claims import (
    Claim,
    Completed,
    Completion,
    Place,
    claim_deliveries,
    complete_deliveries,
    find_forgotten,
    release_claims,
    renew_leases,
    set_blocked_aside,
)
from webhooks.outbound.ending import end_tasks
from webhooks.outbound.fanout import FanOuts
from webhooks.outbound.health_news import tell_news
from webhooks.outbound.health_report import Reporter
from webhooks.outbound.mailbox import Mailbox, Route
from webhooks.outbound.mailboxes import Mailboxes
from webhooks.outbound.pump_store import STORE_PAUSE_S, with_store
from webhooks.outbound.settle import needs_ledger, settle
from webhooks.outbound.turns import Turns

logger = logging.getLogger("countersign.deliverer")

ReadRoutes = Callable[[list[UUID]], Awaitable[dict[UUID, Route]]]

_BUSY_PAUSE_S = 0.01
_COALESCE_S = 0.002
_ASIDE_PAGE = 2_000
_FORGOTTEN_PAGE = 500


class Pump:
    def __init__(
        self,
        hub: Database,
        attempter: Attempter,
        read_routes: ReadRoutes,
        reporter: Reporter,
        settings: DeliverySettings,
        ids: Ids,
    ) -> None:
        self._hub = hub
        self._attempter = attempter
        self._read_routes = read_routes
        self._reporter = reporter
        self._rules = rules_of(reporter.settings)
        self._settings = settings
        self._ids = ids
        self._lease = timedelta(seconds=settings.lease_s)
        self._mailboxes = Mailboxes()
        self._turns = Turns(settings, self._ring)
        self._fan_outs = FanOuts(hub)
        self._queue: deque[Claim] = deque()
        self._done: list[Completion] = []
        self._claims: Counter[UUID] = Counter()
        self._tenants: Counter[UUID] = Counter()
        self._held = 0
        self._retries = 0
        self._news: dict[UUID, UUID] = {}  # endpoints with their tenant
        self._looked_until = Place()
        self._runners: list[asyncio.Task[None]] = []
        self._idle: list[asyncio.Future[Claim]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._to_fan_out = asyncio.Event()
        self._to_claim = asyncio.Event()
        self._to_write = asyncio.Event()
        self._to_tell = asyncio.Event()
        self._finished = asyncio.Event()
        self._stopping = False
        self.delivered = 0

    # What the process around it tells and asks.

    def start(self) -> None:
        loops = (self._fan_out, self._claim, self._write, self._renew, self._tell, self._find_forgotten)
        self._tasks = [asyncio.create_task(self._repeat(loop), name=loop.__name__) for loop in loops]

    def wake(self, mailboxes: Iterable[UUID] = ()) -> None:
        """There may be events to fan out, and these mailboxes may have work, whatever they waited for."""
        self._to_fan_out.set()
        self._turns.add_whatever_they_waited_for(mailboxes)

    def _ring(self) -> None:
        self._to_claim.set()

    @property
    def is_idle(self) -> bool:
        return not (self._held or self._turns or self._to_fan_out.is_set())

    @property
    def in_flight(self) -> int:
        return len(self._runners) - len(self._idle)

    async def stop(self, grace_s: float) -> None:
        """Takes nothing new, gives back what was not sent, lets what is under way finish for `grace_s`."""
        self._stopping = True
        unsent = list(self._queue)
        self._queue.clear()
        self._to_fan_out.set()
        self._to_claim.set()
        try:
            async with asyncio.timeout(grace_s):
                for claim in unsent:
                    self._let_go(claim)
                await release_claims(self._hub, unsent)
                # A claim that is under way is waited for, as its answer must be given back.
                await asyncio.wait(
                    [task for task in self._tasks if task.get_name() in {"_fan_out", "_claim"}]
                )
                while self._held:
                    await self._finished.wait()
                    self._finished.clear()
        except (TimeoutError, StoreUnavailable):
            logger.warning("not everything could be ended in time; leases will run out")
        await end_tasks((*self._runners, *self._tasks))

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        ends_early = step in {self._fan_out, self._claim}
        while not (self._stopping and ends_early):
            try:
                await step()
            except Exception:  # one broken step must not end the process's only delivery loop
                logger.exception("a step of the pump failed")
                await asyncio.sleep(STORE_PAUSE_S)

    # From events to deliveries.

    async def _fan_out(self) -> None:
        await self._to_fan_out.wait()
        if self._stopping:
            return
        self._to_fan_out.clear()
        fanned = await with_store(self._fan_outs.next)
        if fanned.busy:
            await asyncio.sleep(_BUSY_PAUSE_S)
        if not fanned.is_last:
            self._to_fan_out.set()
        self._turns.add(fanned.mailboxes)

    # From deliveries to claims.

    async def _claim(self) -> None:
        await self._to_claim.wait()
        if self._stopping:
            return
        room = min(self._settings.batch_size, self._capacity - self._held)
        if self._queue and room < self._settings.batch_size // 2:
            self._to_claim.clear()  # a runner or a completion sets it again
            return
        wanted, shares = self._turns.choose(room, self._mailboxes, self._tenants)
        if not wanted:
            self._to_claim.clear()
            return
        held = {one: box.held for one in wanted if (box := self._mailboxes.get(one)) is not None}
        # One at least, or a small deliverer would never try anything again.
        retry_room = max(0, max(1, self._settings.in_flight // 2) - self._retries)
        claimed = await with_store(
            lambda: claim_deliveries(
                self._hub,
                wanted,
                shares,
                room=room,
                retry_room=retry_room,
                lease=self._lease,
                claim_id=self._ids.new(),
            )
        )
        self._take(claimed.claims)
        if len(claimed.claims) >= room:
            self._turns.add(wanted)  # there may be more; behind those whose turn has not come
        if claimed.busy:
            asyncio.get_running_loop().call_later(_BUSY_PAUSE_S, self._turns.add, claimed.busy)
        self._turns.note(
            wanted, claimed, held, retry_room=retry_room, mailboxes=self._mailboxes, under_way=self._tenants
        )
        await self._dispatch(claimed.claims)
        if claimed.crowded:
            await self._make_way(claimed.crowded)

    async def _make_way(self, mailboxes: list[UUID]) -> None:
        """What may go stands behind more than a claim looks at."""
        aside = await with_store(lambda: set_blocked_aside(self._hub, mailboxes, most=_ASIDE_PAGE))
        if aside:
            self._turns.add(mailboxes)
        else:  # what they wait for is just ending
            asyncio.get_running_loop().call_later(_BUSY_PAUSE_S, self._turns.add, mailboxes)

    @property
    def _capacity(self) -> int:
        return self._settings.in_flight + self._settings.batch_size

    def _take(self, claims: list[Claim]) -> None:
        for claim in claims:
            is_new = claim.endpoint_id not in self._mailboxes
            mailbox = self._mailboxes.hold(claim.endpoint_id, claim.tenant_id)
            if is_new and claim.more:
                self._turns.add((mailbox.id,))
            mailbox.has_more = claim.more
            self._held += 1
            self._retries += claim.attempt > 0
            self._claims[claim.claim_id] += 1
            self._tenants[claim.tenant_id] += 1

    # From claims to attempts.

    async def _dispatch(self, claims: list[Claim]) -> None:
        stale = {
            claim.endpoint_id for claim in claims if not self._has_route(claim.endpoint_id, claim.revision)
        }
        if stale:
            try:
                routes = await with_store(lambda: self._read_routes(list(stale)))
            except (
                Exception
            ):  # whatever it was, these deliveries are for another turn, and it is raised again
                for claim in claims:
                    self._let_go(claim)
                await release_claims(self._hub, claims)
                raise
            for endpoint_id, route in routes.items():
                self._mailboxes.set_route(endpoint_id, route)
            stale -= routes.keys()
        for claim in claims:
            if self._stopping or claim.endpoint_id in stale:
                # Deleted between claim and read, or unreadable now, or we are leaving: the sweep settles it.
                await release_claims(self._hub, [claim])
                self._let_go(claim)
                continue
            if self._idle:
                self._idle.pop().set_result(claim)
                continue
            self._queue.append(claim)
            if len(self._runners) < self._settings.in_flight:
                self._runners.append(asyncio.create_task(self._run()))

    def _has_route(self, endpoint_id: UUID, revision: int) -> bool:
        route = self._mailboxes[endpoint_id].route
        # One with trouble is read again: the trouble may have been ours, and be over.
        return route is not None and not route.trouble and route.revision >= revision

    async def _run(self) -> None:
        """One slot: sends what is queued, one after the other, and waits when nothing is."""
        while True:
            if self._queue:
                claim = self._queue.popleft()
            else:
                waiting: asyncio.Future[Claim] = asyncio.get_running_loop().create_future()
                self._idle.append(waiting)
                claim = await waiting
            if len(self._queue) <= self._settings.batch_size // 2 and self._turns:
                self._to_claim.set()
            mailbox = self._mailboxes[claim.endpoint_id]
            route = mailbox.route
            if route is None:
                raise AssertionError("a claim was queued without its route")
            try:
                completion, answer = await self._attempter.attempt(claim, route)
            except Exception:  # a slot must not end with one delivery, whose lease runs out
                logger.exception("an attempt at delivery %s failed", claim.id)
                self._let_go(claim)
                self._finished.set()
                continue
            mailbox.slow = answer.slow
            self._done.append(completion)
            self._to_write.set()

    # From attempts to completions.

    async def _write(self) -> None:
        await self._to_write.wait()
        if len(self._done) < self._settings.batch_size and self._queue:
            await asyncio.sleep(_COALESCE_S)
        self._to_write.clear()
        await self._write_batch()

    async def _write_batch(self) -> None:
        batch, self._done = self._done, []
        try:
            done = await self._complete(batch)
        except Exception:  # not the store's absence, but a batch that cannot be written: its leases run out
            for completion in batch:
                self._let_go(completion.claim)
            self._finished.set()
            raise
        if done.lost:
            logger.warning("deliveries.lease_lost", extra={"deliveries": len(done.lost)})
        if done.news:
            told = frozenset(done.news)
            self._news |= {
                c.claim.endpoint_id: c.claim.tenant_id for c in batch if c.claim.endpoint_id in told
            }
            self._to_tell.set()
        for completion in batch:
            self._finish(completion)
        self._turns.add(done.freed)
        if self._retries < self._settings.in_flight // 2 or not self._retries:
            self._turns.make_retry_room()
        self._finished.set()

    async def _complete(self, batch: list[Completion]) -> Completed:
        common = [completion for completion in batch if not needs_ledger(completion)]
        rare = [completion for completion in batch if needs_ledger(completion)]
        parts: list[Completed] = []
        if common:
            parts.append(await with_store(lambda: complete_deliveries(self._hub, common, self._rules)))
        if rare:
            parts.append(await with_store(lambda: settle(self._hub, self._reporter, rare)))
        return Completed(
            [one for part in parts for one in part.lost],
            [one for part in parts for one in part.news],
            [one for part in parts for one in part.freed],
        )

    def _finish(self, completion: Completion) -> None:
        claim = completion.claim
        mailbox = self._let_go(claim)
        self.delivered += completion.state == "succeeded"
        if mailbox.has_more:
            self._turns.add((mailbox.id,))
        if completion.state == "pending":
            self._turns.add_later(mailbox.id, completion.delay_s)
        if self._turns:
            self._to_claim.set()

    def _let_go(self, claim: Claim) -> Mailbox:
        mailbox = self._mailboxes[claim.endpoint_id]
        mailbox.held -= 1
        self._held -= 1
        self._retries -= claim.attempt > 0
        for counter, key in ((self._claims, claim.claim_id), (self._tenants, claim.tenant_id)):
            counter[key] -= 1
            if counter[key] <= 0:
                del counter[key]
        self._turns.end_one(claim.tenant_id)
        return mailbox

    async def _tell(self) -> None:
        """Beside the deliveries, as nothing waits for it; what is left untold is found by a sweep."""
        await self._to_tell.wait()
        self._to_tell.clear()
        news, self._news = self._news, {}
        await with_store(lambda: tell_news(self._hub, self._reporter, [(t, e) for e, t in news.items()]))

    async def _renew(self) -> None:
        """Long requests keep their lease: renewed well before it ends, as long as this process lives."""
        await asyncio.sleep(self._settings.lease_s / 6)
        held = list(self._claims)
        await with_store(lambda: renew_leases(self._hub, held, self._lease))

    async def _find_forgotten(self) -> None:
        """What was set aside and waits for nothing any more, though nobody called it: a page at a time."""
        await asyncio.sleep(self._settings.sweep_every_s)
        freed, self._looked_until = await with_store(
            lambda: find_forgotten(self._hub, self._looked_until, most=_FORGOTTEN_PAGE)
        )
        self._turns.add(freed)
