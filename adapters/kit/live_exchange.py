"""The Exchange of the executor: one per operation, it turns every way a request can end into one outcome.

Must never send a request twice that changes something, unless it certainly did not leave this machine or the
provider refused it for its token or host alone; and must never call anything "not sent" that may have been.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import assert_never

import msgspec
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from adapters.kit.deadline import Deadline
from adapters.kit.decisions import outcome_of
from adapters.kit.exchange import Effect, ProviderRequest, ProviderResponse
from adapters.kit.hosts import RequestRefused, check_headers, resolve_url
from adapters.kit.limiter import Limiter
from adapters.kit.masking import mask_text, secrets_of
from adapters.kit.observe import CallRecord, Observer, trace_token_of
from adapters.kit.options import ExecutorOptions
from adapters.kit.outcome import AuthFailed, Failure, Interruption, NotSent, Rejected, Throttled, Unknown
from adapters.kit.port import Adapter, Authorization, BlobSource, Connection, Decision, DecisionKind
from adapters.kit.transmit import NoAnswer, Parcel, Transmitter
from config.breaker import Breakers, CircuitOpen

_log = logging.getLogger("countersign.provider")
_REPEATED_WITH_A_NEW_TOKEN = frozenset({DecisionKind.AUTH_EXPIRED, DecisionKind.BASE_MOVED})
_DEFAULT_HEADERS = (("accept-encoding", "identity"), ("user-agent", "countersign"))
_UNSAID_RETRY_AFTER_S = 30.0


class Machinery(msgspec.Struct, frozen=True, kw_only=True):
    """What all operations of one executor share. `before_request` may raise to forbid the request."""

    options: ExecutorOptions
    transmitter: Transmitter
    breakers: Breakers
    limiter: Limiter
    observers: tuple[Observer, ...]
    before_request: Callable[[], None]
    sleep: Callable[[float], Awaitable[None]]


class Tokens(msgspec.Struct, frozen=True):
    """Where an operation gets its authorization, and says that the provider refused it."""

    get: Callable[[], Awaitable[Authorization]]
    give_up: Callable[[Authorization], Awaitable[None]]


class Ended(Interruption):
    """`repeatable`: this request may be sent again within the operation."""

    def __init__(self, outcome: Failure, *, repeatable: bool = False) -> None:
        super().__init__(outcome)
        self.repeatable = repeatable


class LiveExchange:
    """`tokens` None: the operation is the authorization itself, whose requests carry no token."""

    def __init__(
        self,
        machinery: Machinery,
        adapter: Adapter,
        connection: Connection,
        operation: str,
        *,
        blobs: BlobSource,
        deadline: Deadline,
        tokens: Tokens | None,
        on_learned: Callable[[str], Awaitable[None]] | None,
    ) -> None:
        self._machinery = machinery
        self._adapter = adapter
        self._connection = connection
        self._operation = operation
        self._blobs = blobs
        self._deadline = deadline
        self._tokens = tokens
        self._on_learned = on_learned
        account = f"{adapter.name}/{adapter.account_key(connection)}"
        # A token service that is down must not open the account's circuit, nor one that is up close it; its
        # calls do not count against the account's budget either.
        self._lane = account if tokens else f"{account}/authorize"
        self.learned_ref = ""
        self._unstored_ref = ""
        self.in_flight: Effect | None = None  # sent, and no whole answer yet
        self.was_answered = False
        self.has_changed = False  # a request that changes something was answered

    async def __call__(self, request: ProviderRequest) -> ProviderResponse:
        await self.store_learned()
        try:
            return await self._try(request, 1)
        except Ended as ended:
            if not ended.repeatable:
                raise
            return await self._try_again(request, ended)

    async def _try_again(self, request: ProviderRequest, first: Ended) -> ProviderResponse:
        """All attempts but the first, which ended as it did: most requests need no others, nor this machinery."""
        options = self._machinery.options
        reads_only = request.effect is Effect.NONE
        retrying = AsyncRetrying(
            sleep=asyncio.sleep,
            retry=retry_if_exception(_is_repeatable),
            stop=stop_after_attempt(options.read_attempts if reads_only else options.connect_attempts),
            wait=wait_random_exponential(
                multiplier=options.retry_first_wait_s, max=options.retry_longest_wait_s
            ),
            reraise=True,
        )
        attempt = 0

        async def try_once() -> ProviderResponse:
            nonlocal attempt
            attempt += 1
            if attempt == 1:
                raise first
            return await self._try(request, attempt)

        return await retrying(try_once)

    async def learned(self, provider_ref: str) -> None:
        """Kept here until something follows: the id is stored before the next request or pause and at any end but
        a good one, and a good end stores it with the outcome in one statement (see Executor.run).
        """
        self.learned_ref = self._unstored_ref = provider_ref

    async def store_learned(self) -> None:
        provider_ref, self._unstored_ref = self._unstored_ref, ""
        on_learned = self._on_learned
        if not provider_ref or on_learned is None:
            return
        try:
            await self._deadline.run_outside(lambda: on_learned(provider_ref))
        except Exception as error:
            # Whatever keeps the id from being stored, nothing more may be done with the envelope now.
            _log.exception("provider.ref_not_stored", extra={"connection": self._connection.id})
            raise Ended(Unknown("the provider's id could not be stored", provider_ref)) from error

    async def pause(self, seconds: float) -> None:
        await self.store_learned()
        await self._machinery.sleep(seconds)

    def overdue(self) -> Failure:
        """How the operation ended when its deadline passed."""
        if self.in_flight is None and not self.has_changed:
            return NotSent("the deadline passed before anything was sent")
        return Unknown("the deadline passed")

    def settle(self, outcome: Failure) -> Failure:
        """The outcome of the operation as a whole: after an envelope was made, "not done" is not true."""
        if not self.learned_ref:
            return outcome
        match outcome:
            case Rejected() | Unknown():
                return msgspec.structs.replace(outcome, learned_ref=self.learned_ref)
            case NotSent() | Throttled() | AuthFailed():
                return Unknown(f"stopped half way: {type(outcome).__name__}", self.learned_ref)
            case _:
                assert_never(outcome)

    async def _try(self, request: ProviderRequest, attempt: int) -> ProviderResponse:
        self._machinery.before_request()
        authorization = await self._authorization(request)
        response, decision = await self._send(request, authorization, attempt)
        is_token_refused = decision is not None and decision.kind in _REPEATED_WITH_A_NEW_TOKEN
        if is_token_refused and self._tokens is not None and authorization is not None:
            await self._tokens.give_up(authorization)
            authorization = await self._authorization(request)
            response, decision = await self._send(request, authorization, attempt)
        if decision is None:
            return response
        outcome = outcome_of(decision, response.status, self._secrets(authorization))
        if isinstance(outcome, Throttled):
            outcome = await self._throttled(decision, outcome)
        doubtful = isinstance(outcome, Unknown | NotSent)
        raise Ended(outcome, repeatable=doubtful and request.effect is Effect.NONE)

    async def _authorization(self, request: ProviderRequest) -> Authorization | None:
        if not request.authorized:
            return None
        if self._tokens is None:
            raise RuntimeError(f"{self._adapter.name}: authorize must send requests with authorized=False")
        return await self._tokens.get()

    async def _send(
        self, request: ProviderRequest, authorization: Authorization | None, attempt: int
    ) -> tuple[ProviderResponse, Decision | None]:
        started = time.perf_counter()

        def observe(outcome: str, status: int = 0, trace_token: str = "", detail: str = "") -> None:
            record = CallRecord(
                provider=self._adapter.name,
                operation=self._operation,
                request=request.operation,
                connection=self._connection.id,
                status=status,
                duration_ms=round((time.perf_counter() - started) * 1000, 1),
                attempt=attempt,
                outcome=outcome,
                trace_token=trace_token,
                detail=detail,
            )
            for observer in self._machinery.observers:
                observer(record)

        parcel = self._parcel(request, authorization)
        try:
            permit = self._machinery.breakers.admit(self._lane)
        except CircuitOpen as error:
            observe("circuit_open")
            raise Ended(NotSent(f"circuit open, again in {error.retry_after_s:.0f} s")) from error
        with permit:
            wait_s = await self._machinery.limiter.take(self._lane, self._adapter.limits)
            if wait_s > 0:
                observe("budget_gone")
                raise Ended(Throttled(wait_s))
            try:
                response = await self._machinery.transmitter.send(parcel, self._blobs)
            except NoAnswer as error:
                self.in_flight = None
                observe("unknown" if error.sent else "not_sent", detail=error.detail)
                if error.ours:
                    raise Ended(NotSent(error.detail)) from error
                permit.failed()
                if error.sent:
                    repeatable = request.effect is Effect.NONE
                    raise Ended(Unknown(error.detail), repeatable=repeatable) from error
                raise Ended(NotSent(error.detail), repeatable=True) from error
            self.was_answered = True
            if response.status < 500:
                permit.succeeded()
            else:
                permit.failed()
        decision = None if response.status in request.accept else self._classify(request, response)
        self._note(request.effect, decision)
        token = trace_token_of(response.headers)
        if decision is None:
            observe("answered", response.status, token)
        else:
            observe(decision.kind, response.status, token, mask_text(decision.provider_code, limit=60))
        await self._hear_limits(response)
        return response, decision

    def _note(self, effect: Effect, decision: Decision | None) -> None:
        """What the answer means for the envelope, before anything else is awaited: the deadline may pass in
        any wait, and must not find an answered change as one that was never sent.
        """
        if decision is None:
            self.in_flight = None
            self.has_changed = self.has_changed or effect is not Effect.NONE
        elif decision.kind is not DecisionKind.UNKNOWN:
            self.in_flight = None  # refused, or certainly not done

    def _parcel(self, request: ProviderRequest, authorization: Authorization | None) -> Parcel:
        base = authorization.api_base if authorization else ""
        headers = list(_DEFAULT_HEADERS)
        if authorization is not None:
            headers.extend(self._adapter.authorization_headers(authorization))
        headers.extend(request.headers)
        try:
            url = resolve_url(self._adapter, self._connection, base, request.path, request.query)
            check_headers(headers)
        except RequestRefused as error:
            raise Ended(
                Rejected(code="request_refused", provider_code="", detail=str(error), status=0)
            ) from error

        def on_sent() -> None:
            self.in_flight = request.effect

        return Parcel(request=request, url=url, headers=tuple(headers), on_sent=on_sent)

    def _classify(self, request: ProviderRequest, response: ProviderResponse) -> Decision:
        try:
            return self._adapter.classify(request.operation, response)
        except Exception:  # noqa: BLE001 - see the next line
            # An error table that stumbles over a proxy's page must not lose the fact that something was sent.
            _log.exception("provider.answer_unreadable", extra={"status": response.status})
            return Decision(kind=DecisionKind.UNKNOWN, provider_code=f"HTTP_{response.status}")

    async def _hear_limits(self, response: ProviderResponse) -> None:
        try:
            told = self._adapter.limit_headers(response)
            if told is not None and self._tokens is not None:
                await self._machinery.limiter.told(self._lane, *told)
        except Exception:  # noqa: BLE001 - whatever headers and a shared store raise: the answer must not be lost
            _log.warning("provider.limits_not_kept", extra={"provider": self._adapter.name}, exc_info=True)

    async def _throttled(self, decision: Decision, outcome: Throttled) -> Throttled:
        seconds = outcome.retry_after_s if outcome.retry_after_s > 0 else _UNSAID_RETRY_AFTER_S
        key = "" if decision.per_object else self._lane
        seconds = await self._machinery.limiter.throttled(key, seconds)
        return Throttled(seconds, outcome.provider_code)

    def _secrets(self, authorization: Authorization | None) -> tuple[str, ...]:
        known = secrets_of(self._connection.credentials)
        return (*known, authorization.token.reveal()) if authorization else known


def _is_repeatable(error: BaseException) -> bool:
    return isinstance(error, Ended) and error.repeatable
