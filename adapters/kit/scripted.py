"""An Exchange that answers from a script: an adapter's operations run without a network or an event loop.

Must never be more lenient than the executor: an answer outside `accept` goes through the adapter's own
classification, an unexpected request fails the script, and so does a request that never came (`finish`).
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from adapters.kit.decisions import outcome_of
from adapters.kit.exchange import BlobChunk, Effect, ProviderRequest, ProviderResponse
from adapters.kit.outcome import Failure, Interruption
from adapters.kit.port import Adapter

Answer = ProviderResponse | Failure | Callable[[ProviderRequest], ProviderResponse]


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the script expects it; empty fields match anything. `path` is a regular expression for
    the whole path.
    """

    method: str = ""
    path: str = ""
    operation: str = ""
    effect: Effect | None = None

    def matches(self, request: ProviderRequest) -> bool:
        return (
            self.method in {"", request.method}
            and (not self.path or re.fullmatch(self.path, request.path) is not None)
            and self.operation in {"", request.operation}
            and self.effect in {None, request.effect}
        )


class ScriptedExchange:
    """`requests`, `learned_refs` and `paused_s` are what the operation did, in order."""

    def __init__(self, adapter: Adapter, script: Iterable[tuple[Expected, Answer]]) -> None:
        self._adapter = adapter
        self._script = list(script)
        self.requests: list[ProviderRequest] = []
        self.learned_refs: list[str] = []
        self.paused_s: list[float] = []

    async def __call__(self, request: ProviderRequest) -> ProviderResponse:
        self.requests.append(request)
        if not self._script:
            raise AssertionError(f"the script has ended, yet came {request.method} {request.path}")
        expected, answer = self._script.pop(0)
        if not expected.matches(request):
            raise AssertionError(f"expected {expected}, but came {request.method} {request.path}")
        if isinstance(answer, ProviderResponse):
            response = answer
        elif callable(answer):
            response = answer(request)
        else:
            raise Interruption(answer)
        if response.status not in request.accept:
            decision = self._adapter.classify(request.operation, response)
            raise Interruption(outcome_of(decision, response.status))
        return response

    async def learned(self, provider_ref: str) -> None:
        self.learned_refs.append(provider_ref)

    async def pause(self, seconds: float) -> None:
        self.paused_s.append(seconds)

    def finish(self) -> None:
        """Fails when something in the script was never asked for."""
        if self._script:
            raise AssertionError(f"never asked for: {[expected for expected, _ in self._script]}")


def json_answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> ProviderResponse:
    return ProviderResponse(
        status=status,
        headers={"content-type": "application/json"} | (headers or {}),
        body=json.dumps(value).encode(),
    )


def body_of(request: ProviderRequest) -> bytes:
    """The request's body with each document as `<blob key>` in its place."""
    return b"".join(
        f"<{chunk.blob_key}>".encode() if isinstance(chunk, BlobChunk) else chunk for chunk in request.content
    )


async def finish_operation(operation: Any) -> Any:
    """For scripts that expect a failure: the operation's value, or the failure that ended it."""
    try:
        return await operation
    except Interruption as interruption:
        return interruption.outcome
