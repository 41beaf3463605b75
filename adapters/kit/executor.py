"""Runs a provider operation: the one place where provider calls meet the network.

It owns HTTP, tokens, deadlines, retries, circuit breakers, provider limits, masking and the record of each
call. An operation ends as one of six outcomes (outcome.py), whatever happened on the way. A read that was
sent and not answered is Unknown like any other; it is harmless, and its caller may simply read again.
Must never run while an SQL transaction is open (`before_request` checks it), and never outlive its caller: a
cancelled operation leaves no task and no connection; what became of it at the provider is found by a look-up.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

import httpx

from adapters.kit.deadline import Deadline
from adapters.kit.exchange import Exchange
from adapters.kit.limiter import Limiter, LimiterStore, MemoryLimiterStore
from adapters.kit.live_exchange import LiveExchange, Machinery, Tokens
from adapters.kit.masking import mask_text
from adapters.kit.observe import Observer, log_call
from adapters.kit.options import ExecutorOptions
from adapters.kit.outcome import AuthFailed, Done, Failure, Interruption, NotSent, Outcome, Rejected, Unknown
from adapters.kit.port import Adapter, Authorization, BlobSource, Connection
from adapters.kit.tokens import MemoryTokenStore, TokenCache, TokenStore
from adapters.kit.transmit import KeepingFailed, Transmitter
from config.breaker import Breakers, State
from config.clock import Clock, SystemClock
from normalizer.errors import CallerError

T = TypeVar("T")
_log = logging.getLogger("countersign.provider")


class Executor:
    """One per event loop. `observers` hear every call (metrics); the log line is always written.
    `sleep` is how an operation's pause waits.
    """

    def __init__(
        self,
        options: ExecutorOptions | None = None,
        *,
        clock: Clock | None = None,
        token_store: TokenStore | None = None,
        limiter_store: LimiterStore | None = None,
        before_request: Callable[[], None] = lambda: None,
        observers: Sequence[Observer] = (),
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._options = options or ExecutorOptions()
        self._clock = clock or SystemClock()
        self._tokens = TokenCache(token_store or MemoryTokenStore(), self._clock, self._options.token_margin)
        self._limiter = Limiter(limiter_store or MemoryLimiterStore(self._clock))
        self.breakers = Breakers(self._clock, self._options.breaker)
        self.breakers.listen(_log_state)
        self._machinery = Machinery(
            options=self._options,
            transmitter=Transmitter(self._options, transport),
            breakers=self.breakers,
            limiter=self._limiter,
            observers=(log_call, *observers),
            before_request=before_request,
            sleep=sleep,
        )

    async def run(
        self,
        adapter: Adapter,
        connection: Connection,
        operation_name: str,
        operation: Callable[[Exchange], Awaitable[T]],
        *,
        blobs: BlobSource,
        on_learned: Callable[[str], Awaitable[None]] | None = None,
        deadline_s: float | None = None,
        stores_done: bool = False,
    ) -> Outcome[T]:
        """How the operation ended. `on_learned` commits a new envelope's provider id before the next request and
        at the end; with `stores_done` not at a good end, because the caller then stores it with the outcome. It
        is awaited outside the deadline and is not cancelled with the caller.

        Raises what the operation raised of its own before anything was sent (UnsupportedFeature, a programming
        error), and what the blob store raised.
        """
        deadline = Deadline(self._options.deadline_s if deadline_s is None else deadline_s)
        exchange = LiveExchange(
            self._machinery,
            adapter,
            connection,
            operation_name,
            blobs=blobs,
            deadline=deadline,
            tokens=self._tokens_of(adapter, connection),
            on_learned=on_learned,
        )
        try:
            async with deadline:
                try:
                    value = await operation(exchange)
                    if not stores_done:
                        await exchange.store_learned()
                    return Done(value)
                except BaseException:
                    # However it ends, cancelled too: an id that is known and not stored is an orphan.
                    await exchange.store_learned()
                    raise
        except Interruption as interruption:
            return exchange.settle(interruption.outcome)
        except KeepingFailed as error:
            raise error.cause from error.cause.__cause__
        except Exception as error:
            if isinstance(error, TimeoutError) and deadline.has_passed:
                return exchange.settle(exchange.overdue())
            is_about_the_request = isinstance(error, CallerError) and not exchange.has_changed
            if is_about_the_request or not exchange.was_answered:
                raise
            # The provider answered and the adapter could not make sense of it, whatever it raised: something
            # may have been done there, so the caller must look and not see a crash.
            _log.exception(
                "provider.answer_not_understood", extra=_names(adapter, connection, operation_name)
            )
            detail = f"the answer was not understood: {type(error).__name__}: {mask_text(str(error))}"
            return exchange.settle(Unknown(detail))

    async def begin_poll(self, adapter: Adapter, connection: Connection, provider_ref: str) -> bool:
        """Whether the provider tolerates another look-up of this object now. True must be followed by `end_poll`."""
        key = _poll_key(adapter, connection, provider_ref)
        return await self._limiter.begin_poll(key, _poll_interval_s(adapter, connection))

    async def end_poll(
        self, adapter: Adapter, connection: Connection, provider_ref: str, *, counts: bool
    ) -> None:
        """`counts`: it was answered, and the answer had its effect. Without that it may be asked again at once."""
        key = _poll_key(adapter, connection, provider_ref)
        await self._limiter.end_poll(key, _poll_interval_s(adapter, connection), counts=counts)

    async def forget_tokens(self, adapter: Adapter, connection: Connection) -> None:
        """After a change of credentials."""
        await self._tokens.forget(_token_key(adapter, connection))

    async def aclose(self) -> None:
        await self._tokens.aclose()
        await self._machinery.transmitter.aclose()

    def _tokens_of(self, adapter: Adapter, connection: Connection) -> Tokens:
        key = _token_key(adapter, connection)

        async def get() -> Authorization:
            return await self._tokens.get(key, lambda: self._authorize(adapter, connection))

        async def give_up(used: Authorization) -> None:
            await self._tokens.invalidate(key, used)

        return Tokens(get, give_up)

    async def _authorize(self, adapter: Adapter, connection: Connection) -> Authorization:
        deadline = Deadline(self._options.authorize_deadline_s)
        exchange = LiveExchange(
            self._machinery,
            adapter,
            connection,
            "authorize",
            blobs=_NoBlobs(),
            deadline=deadline,
            tokens=None,
            on_learned=None,
        )
        try:
            async with deadline:
                return await adapter.authorize(exchange, connection, self._clock.now())
        except Interruption as interruption:
            raise Interruption(_seen_from_outside(interruption.outcome)) from interruption
        except Exception as error:
            if isinstance(error, TimeoutError) and deadline.has_passed:
                raise Interruption(NotSent("no token within the deadline")) from error
            # An unusable key or a token answer in no known form: neither may crash twenty callers.
            _log.exception("provider.authorize_failed", extra=_names(adapter, connection, "authorize"))
            if exchange.was_answered:
                raise Interruption(NotSent("the token answer was not understood")) from error
            detail = f"the credentials cannot be used: {type(error).__name__}"
            raise Interruption(AuthFailed("", detail)) from error


class _NoBlobs:
    """Authorization has no documents."""

    def read(self, key: str, offset: int = 0) -> AsyncIterator[bytes]:
        raise LookupError("authorization reads no documents")

    async def write(self, chunks: AsyncIterator[bytes]) -> tuple[str, str, int]:
        raise LookupError("authorization keeps no documents")


def _seen_from_outside(outcome: Failure) -> Failure:
    """A failed authorization, for the operation that needed it: of the operation itself nothing was sent."""
    match outcome:
        case Unknown():
            return NotSent(f"no token: {outcome.detail}")
        case Rejected() if outcome.status:
            return AuthFailed(outcome.provider_code, outcome.detail)
        case _:
            return outcome


def _poll_key(adapter: Adapter, connection: Connection, provider_ref: str) -> str:
    return f"{adapter.name}/{adapter.account_key(connection)}/{provider_ref}"


def _poll_interval_s(adapter: Adapter, connection: Connection) -> float:
    return connection.poll_interval_s or adapter.limits.min_poll_interval_s


def _token_key(adapter: Adapter, connection: Connection) -> str:
    return f"{adapter.name}/{connection.id}/{connection.version}"


def _names(adapter: Adapter, connection: Connection, operation: str) -> dict[str, str]:
    return {"provider": adapter.name, "connection": connection.id, "operation": operation}


def _log_state(key: str, state: State) -> None:
    _log.warning("provider.circuit", extra={"circuit": key, "state": str(state)})
