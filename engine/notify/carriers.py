"""The two carriers behind their circuit breakers, and who is told of what became of each notice.

Thresholds of the design documents: e-mail 5 s, half of the calls, 60 s; text messages 10 s, half, 120 s.
"""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from config.breaker import BreakerOptions, Breakers, CircuitOpen, Listener
from config.clock import Clock
from config.settings import Settings
from engine.notify.carrier import Carrier, CarrierAway, Deferred, Undeliverable
from engine.notify.letterhead import PLAIN, Letterhead
from engine.notify.mail import MailCarrier
from engine.notify.notice import Channel, Notice
from engine.notify.sms import SmsCarrier

# (channel, kind, outcome): for metrics.
Observer = Callable[[str, str, str], None]
_MINIMUM_CALLS = 4  # a single bad hour must not look like half of all calls


class Carriers:
    def __init__(
        self,
        carriers: Mapping[Channel, Carrier],
        pauses_s: Mapping[Channel, float],
        clock: Clock,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._carriers = carriers
        self._breakers = {
            channel: Breakers(
                clock,
                BreakerOptions(
                    window_s=60.0,
                    minimum_calls=_MINIMUM_CALLS,
                    failure_rate=0.5,
                    open_s=pause_s,
                    longest_open_s=pause_s,
                ),
            )
            for channel, pause_s in pauses_s.items()
        }
        self._observers = tuple(observers)

    def listen(self, listener: Listener) -> None:
        """`listener("email" or "sms", state)` hears every change of a breaker's state."""
        for breakers in self._breakers.values():
            breakers.listen(listener)

    def room(self, channel: Channel) -> int | None:
        """How many notices the channel would take now; None without a limit."""
        return self._breakers[channel].room(channel)

    async def carry(self, notice_id: UUID, notice: Notice, letterhead: Letterhead = PLAIN) -> str:
        """The carrier's name for it. Raises Undeliverable, Deferred, CarrierAway, CircuitOpen."""
        with self._breakers[notice.channel].admit(notice.channel) as permit:
            try:
                name = await self._carriers[notice.channel].carry(notice_id, notice, letterhead)
            except (Undeliverable, Deferred):
                permit.succeeded()  # the carrier works: it said no to this one
                raise
            except CarrierAway:
                permit.failed()
                raise
            permit.succeeded()
            return name

    def observe(self, notice_kind: str, channel: str, outcome: str) -> None:
        for observer in self._observers:
            observer(channel, notice_kind, outcome)

    async def aclose(self) -> None:
        for carrier in self._carriers.values():
            await carrier.aclose()


def open_carriers(settings: Settings, clock: Clock, observers: Sequence[Observer] = ()) -> Carriers:
    return Carriers(
        {
            Channel.EMAIL: MailCarrier(settings.mail, settings.notices, clock),
            Channel.SMS: SmsCarrier(settings.sms, product=settings.mail.from_name),
        },
        {Channel.EMAIL: settings.mail.breaker_pause_s, Channel.SMS: settings.sms.breaker_pause_s},
        clock,
        observers,
    )


__all__ = ["Carriers", "CircuitOpen", "Observer", "open_carriers"]
