"""A circuit breaker: stops asking somebody who does not answer, and finds out when they do again.

Closed: calls pass and are counted in a sliding window. Open: no call passes for a while. Half open: a few
probes pass; all good closes, one bad opens for longer. A call whose outcome is unknown counts as a failure of
the asked for the rate, and nothing more: the breaker must never turn "unknown" into "failed" for anybody.
One breaker lives in one process; its state is an observation of this process, not a shared truth.
Source: the reliability programme's building blocks (no maintained library is async, typed and unpinned).
"""

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Self, assert_never

import msgspec

from config.clock import Clock


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Opens when `failure_rate` of at least `minimum_calls` within `window_s` failed. Stays open `open_s`,
    doubled after each failed probe up to `longest_open_s`. `probes` calls may pass when half open.
    """

    window_s: float = 30.0
    minimum_calls: int = 10
    failure_rate: float = 0.5
    open_s: float = 5.0
    longest_open_s: float = 60.0
    probes: int = 2


Listener = Callable[[str, State], None]


class CircuitOpen(Exception):
    """`retry_after_s`: until a probe may pass."""

    def __init__(self, key: str, retry_after_s: float) -> None:
        super().__init__(key)
        self.retry_after_s = retry_after_s


class Permit:
    """Leave for one call. Used as a context manager it is given back without a verdict unless one was told:
    a cancelled call says nothing about who was asked.
    """

    __slots__ = ("_circuit", "_epoch", "_told")

    def __init__(self, circuit: "_Circuit", epoch: int) -> None:
        self._circuit = circuit
        self._epoch = epoch
        self._told = False

    def succeeded(self) -> None:
        self._tell(True)

    def failed(self) -> None:
        self._tell(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tell(None)

    def _tell(self, verdict: bool | None) -> None:
        if not self._told:
            self._told = True
            self._circuit.settle(self._epoch, verdict)


class Breakers:
    """One circuit per key ("provider/account", "email", "blobs"). Not thread-safe: one event loop owns it."""

    def __init__(self, clock: Clock, options: BreakerOptions | None = None) -> None:
        self._clock = clock
        self._options = options or BreakerOptions()
        self._circuits: dict[str, _Circuit] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """`listener(key, state)` hears every change of state: for metrics and logs."""
        self._listeners.append(listener)

    def admit(self, key: str) -> Permit:
        """Leave for one call. Raises CircuitOpen."""
        circuit = self._circuits.get(key)
        if circuit is None:
            circuit = self._circuits[key] = _Circuit(key, self._clock, self._options, self._listeners)
        return circuit.admit()

    def room(self, key: str) -> int | None:
        """How many calls would be let through now; None without a limit."""
        circuit = self._circuits.get(key)
        return circuit.room() if circuit else None

    def state(self, key: str) -> State:
        circuit = self._circuits.get(key)
        return circuit.state if circuit else State.CLOSED


class _Circuit:
    __slots__ = (
        "_calls",
        "_clock",
        "_epoch",
        "_failures",
        "_good_probes",
        "_key",
        "_listeners",
        "_open_s",
        "_options",
        "_probing",
        "_reopens_at",
        "state",
    )

    def __init__(self, key: str, clock: Clock, options: BreakerOptions, listeners: list[Listener]) -> None:
        self._key, self._clock, self._options, self._listeners = key, clock, options, listeners
        self.state = State.CLOSED
        self._calls: deque[tuple[float, bool]] = deque()
        self._failures = 0
        self._epoch = 0  # counts changes of state: a verdict from an earlier state is old news
        self._open_s = options.open_s
        self._reopens_at = 0.0
        self._probing = 0
        self._good_probes = 0

    def admit(self) -> Permit:
        if self.state is State.OPEN:
            wait_s = self._reopens_at - self._clock.monotonic()
            if wait_s > 0:
                raise CircuitOpen(self._key, wait_s)
            self._become(State.HALF_OPEN)
        if self.state is State.HALF_OPEN:
            if self._probing + self._good_probes >= self._options.probes:
                raise CircuitOpen(self._key, self._options.open_s)
            self._probing += 1
        return Permit(self, self._epoch)

    def room(self) -> int | None:
        match self.state:
            case State.CLOSED:
                return None
            case State.OPEN:
                return self._options.probes if self._clock.monotonic() >= self._reopens_at else 0
            case State.HALF_OPEN:
                return max(0, self._options.probes - self._probing - self._good_probes)
            case _:
                assert_never(self.state)

    def settle(self, epoch: int, verdict: bool | None) -> None:
        if epoch != self._epoch:
            return
        if self.state is State.HALF_OPEN:
            self._probing -= 1
            if verdict:
                self._good_probes += 1
                if self._good_probes >= self._options.probes:
                    self._open_s = self._options.open_s
                    self._become(State.CLOSED)
            elif verdict is False:
                self._open_s = min(self._open_s * 2, self._options.longest_open_s)
                self._become(State.OPEN)
        elif self.state is State.CLOSED and verdict is not None:
            self._count(verdict)

    def _count(self, good: bool) -> None:
        now = self._clock.monotonic()
        self._calls.append((now, good))
        self._failures += not good
        while self._calls and self._calls[0][0] <= now - self._options.window_s:
            self._failures -= not self._calls.popleft()[1]
        enough = len(self._calls) >= self._options.minimum_calls
        if not good and enough and self._failures >= self._options.failure_rate * len(self._calls):
            self._become(State.OPEN)

    def _become(self, state: State) -> None:
        self.state = state
        self._epoch += 1
        self._calls.clear()
        self._failures = self._probing = self._good_probes = 0
        if state is State.OPEN:
            self._reopens_at = self._clock.monotonic() + self._open_s
        for listener in self._listeners:
            listener(self._key, state)
