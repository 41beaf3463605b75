"""Whose turn it is: the mailboxes that may have work, and those that wait for something in this process.

A mailbox waits for a time (its breaker, its rate), for its tenant's share of the slots, or for room for a retry.
Whatever it waited for, it comes back by itself: nobody but the sweep would ever ask for it again. Must never
forget a mailbox for any other reason than that it was asked and had nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from config.settings import DeliverySettings
from webhooks.outbound.claims import Claimed
from webhooks.outbound.mailbox import Mailbox

MAILBOXES_PER_CLAIM = 128
LOCAL_TIMER_S = 60.0  # later retries are the sweep's
LATER_S = 0.01  # a timer that rings too early would ask in vain


class Turns:
    def __init__(self, settings: DeliverySettings, ring: Callable[[], None]) -> None:
        """`ring`: there is somebody whose turn it is."""
        self._settings = settings
        self._ring = ring
        self._ready: dict[UUID, None] = {}  # in turn
        self._waiting: set[UUID] = set()  # a local timer brings them back
        self._short_of_share: dict[UUID, set[UUID]] = {}  # by tenant
        self._short_of_retries: dict[UUID, None] = {}  # in turn

    def __bool__(self) -> bool:
        return bool(self._ready)

    def add(self, mailboxes: Iterable[UUID]) -> None:
        for mailbox in mailboxes:
            self._ready[mailbox] = None
        if self._ready:
            self._ring()

    def add_whatever_they_waited_for(self, mailboxes: Iterable[UUID]) -> None:
        named = list(mailboxes)
        self._waiting.difference_update(named)
        self.add(named)

    def add_later(self, mailbox: UUID, delay_s: float) -> None:
        """A retry that is due then, unless that is the sweep's."""
        if delay_s <= LOCAL_TIMER_S:
            asyncio.get_running_loop().call_later(delay_s + LATER_S, self.add, (mailbox,))

    def wait(self, mailbox: UUID, retry_in_s: float) -> None:
        """Its breaker is open or its rate is used up: it is not asked for until then, or until it is named."""
        self._waiting.add(mailbox)
        delay_s = min(retry_in_s, LOCAL_TIMER_S) + LATER_S
        asyncio.get_running_loop().call_later(delay_s, self._end_wait, mailbox)

    def _end_wait(self, mailbox: UUID) -> None:
        if mailbox in self._waiting:
            self._waiting.remove(mailbox)
            self.add((mailbox,))

    def choose(
        self, room: int, mailboxes: Mapping[UUID, Mailbox], under_way: Mapping[UUID, int]
    ) -> tuple[list[UUID], list[int]]:
        """The next mailboxes in turn, with what each may add; full ones wait for a completion. `under_way`: by
        tenant.

        They are taken before the claim, so that a wake during the claim puts them back.
        """
        wanted: list[UUID] = []
        shares: list[int] = []
        tenants: Counter[UUID] = Counter()
        if room <= 0:
            return wanted, shares
        for endpoint_id in list(self._ready):
            del self._ready[endpoint_id]
            if endpoint_id in self._waiting:
                continue
            mailbox = mailboxes.get(endpoint_id)
            share = 1  # of a mailbox that is not known yet, nor is its tenant's share
            if mailbox is not None:
                tenant = mailbox.tenant_id
                tenant_room = self._settings.in_flight_per_tenant - under_way[tenant] - tenants[tenant]
                share = min(mailbox.share(room), tenant_room)
                if share <= 0:
                    mailbox.has_more = True
                    if tenant_room <= 0:
                        self._short_of_share.setdefault(tenant, set()).add(endpoint_id)
                    continue
                tenants[tenant] += share
            wanted.append(endpoint_id)
            shares.append(share)
            if len(wanted) == MAILBOXES_PER_CLAIM:
                break
        return wanted, shares

    def note(
        self,
        wanted: Iterable[UUID],
        claimed: Claimed,
        held: Mapping[UUID, int],
        *,
        retry_room: int,
        mailboxes: Mapping[UUID, Mailbox],
        under_way: Mapping[UUID, int],
    ) -> None:
        """What a claim says of those who were asked and got nothing. `held`: what they had under way before it."""
        for mailbox_id, retry_in_s in claimed.blocked.items():
            self.wait(mailbox_id, retry_in_s)
        served = {claim.endpoint_id for claim in claimed.claims}
        unserved = [one for one in wanted if one not in served and one not in claimed.blocked]
        for endpoint_id in unserved:
            mailbox = mailboxes.get(endpoint_id)
            # What is under way may be what its next one waits for; it may have ended during the claim.
            if mailbox is not None and mailbox.held:
                mailbox.has_more = True
            elif held.get(endpoint_id):
                self.add((endpoint_id,))
        if sum(claim.attempt > 0 for claim in claimed.claims) >= retry_room:
            self._short_of_retries |= dict.fromkeys(unserved)
        for tenant in [one for one in self._short_of_share if self._has_room(one, under_way)]:
            self.add(self._short_of_share.pop(tenant))  # those before them took less than was set aside

    def _has_room(self, tenant: UUID, under_way: Mapping[UUID, int]) -> bool:
        return under_way[tenant] < self._settings.in_flight_per_tenant

    def end_one(self, tenant: UUID) -> None:
        """One of the tenant's deliveries has ended."""
        self.add(self._short_of_share.pop(tenant, ()))

    def make_retry_room(self) -> None:
        """There is room for retries: a claim's worth of those who wait for it, as each may have none."""
        for mailbox in list(self._short_of_retries)[:MAILBOXES_PER_CLAIM]:
            del self._short_of_retries[mailbox]
            self.add((mailbox,))
