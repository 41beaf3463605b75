"""What carries a notice to its reader, and the three ways in which it may not: the port of mail and SMS.

A carrier makes one attempt within its time and tells by an exception whose fault a failure was. It MUST NOT
repeat anything itself, and never put a value of a notice into an exception's text.
"""

from typing import Protocol
from uuid import UUID

from engine.notify.letterhead import PLAIN, Letterhead
from engine.notify.notice import Notice


class Undeliverable(Exception):
    """The notice will never arrive; the carrier works. `bounced`: the address is what was refused."""

    def __init__(self, why: str, *, bounced: bool = False) -> None:
        super().__init__(why)
        self.bounced = bounced


class Deferred(Exception):
    """Not now, says a carrier that works: another try of this notice may succeed."""


class CarrierAway(Exception):
    """The carrier did not answer, answered nonsense or does not let us in: nobody's notices get through."""


class Carrier(Protocol):
    async def carry(self, notice_id: UUID, notice: Notice, letterhead: Letterhead = PLAIN) -> str:
        """The carrier's own name for what it took.

        A text message has no letterhead. Raises Undeliverable, Deferred, CarrierAway.
        """
        ...

    async def aclose(self) -> None: ...
