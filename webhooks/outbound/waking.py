"""Tells the deliverers through Redis that there is work: after a commit, and never instead of one.

A bell without a name means "there may be events to fan out"; names are mailboxes that have work. Losing
either costs latency only: the sweep finds the work in SQL.
"""

from collections.abc import Sequence
from uuid import UUID

from config.queue import Wake

DELIVERERS = "deliverers"


class Deliverers:
    """The composition root gives `events_waiting` to the recorder and `mailboxes_ready` to the use cases."""

    def __init__(self, wake: Wake) -> None:
        self._wake = wake

    async def events_waiting(self) -> None:
        await self._wake.wake()

    async def mailboxes_ready(self, mailboxes: Sequence[UUID]) -> None:
        await self._wake.wake(*(str(mailbox) for mailbox in mailboxes))

    async def wait(self, timeout_s: float) -> bool:
        """Waits for a bell; False after the time, also while Redis is away."""
        return await self._wake.wait_for_wake(timeout_s)

    async def take_mailboxes(self) -> list[UUID]:
        return [UUID(member) for member in await self._wake.take_ready() if _is_uuid(member)]


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
