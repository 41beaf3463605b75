"""How a request is made and its answer read, the same way for every operation.

Must never let an unreadable or half-failed answer count as done.
"""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import quote

import msgspec

from adapters.docusign.answers import ErrorDetails, embedded_errors, text
from adapters.docusign.troubles import classify
from adapters.docusign.wire import Recipients, Wire
from adapters.kit.decisions import outcome_of
from adapters.kit.exchange import Chunk, Effect, ProviderRequest, ProviderResponse
from adapters.kit.masking import mask_text
from adapters.kit.outcome import Interruption, Rejected, Unknown
from normalizer.errors import ProviderContractBroken

A = TypeVar("A", bound=msgspec.Struct)

_JSON = (("accept", "application/json"),)


def read(operation: str, path: str, query: Mapping[str, str] | None = None) -> ProviderRequest:
    return ProviderRequest(
        operation=operation,
        method="GET",
        path=path,
        effect=Effect.NONE,
        query=tuple((query or {}).items()),
        headers=_JSON,
    )


def write(
    operation: str,
    method: str,
    path: str,
    body: Wire | Recipients | tuple[Chunk, ...] | None,
    effect: Effect = Effect.KEYED,
    query: Mapping[str, str] | None = None,
) -> ProviderRequest:
    """A POST answers 201, a PUT 200; no body is an empty object."""
    content = body if isinstance(body, tuple) else (msgspec.json.encode(body) if body else b"{}",)
    return ProviderRequest(
        operation=operation,
        method=method,
        path=path,
        effect=effect,
        query=tuple((query or {}).items()),
        headers=_JSON,
        content=content,
        accept=frozenset({201}) if method == "POST" else frozenset({200}),
    )


def envelope_path(provider_ref: str, *rest: str) -> str:
    return "/" + "/".join(quote(part, safe="") for part in ("envelopes", provider_ref, *rest))


def decode(response: ProviderResponse, answer: type[A]) -> A:
    """Raises ProviderContractBroken."""
    try:
        return msgspec.json.decode(response.body, type=answer)
    except msgspec.MsgspecError as error:
        raise ProviderContractBroken(
            "docusign", f"An answer is not what is documented for {answer.__name__}: {error}"
        ) from error


def decode_created(response: ProviderResponse, answer: type[A]) -> A:
    """As `decode`, for an answer that says that something was made: unreadable means Unknown."""
    try:
        return decode(response, answer)
    except ProviderContractBroken as broken:
        raise Interruption(Unknown(broken.detail)) from broken


def refuse_embedded(operation: str, response: ProviderResponse, learned_ref: str = "") -> None:
    """Raises Interruption(Rejected) when a 200 or 201 carries an error for one of its items."""
    errors = embedded_errors(response.body)
    if errors:
        raise Interruption(_rejected(operation, response, errors[0], learned_ref))


def _rejected(operation: str, response: ProviderResponse, error: ErrorDetails, learned_ref: str) -> Rejected:
    """Read as the same error with a status of its own would be; a failed item is definite in any case."""
    body = msgspec.json.encode({"errorCode": text(error.error_code), "message": text(error.message)})
    as_refusal = ProviderResponse(status=400, headers=response.headers, body=body)
    outcome = outcome_of(classify(operation, as_refusal), response.status)
    if isinstance(outcome, Rejected):
        return msgspec.structs.replace(outcome, learned_ref=learned_ref)
    return Rejected(
        code="partial_failure",
        provider_code=text(error.error_code)[:100],
        detail=mask_text(text(error.message)),
        status=response.status,
        learned_ref=learned_ref,
    )
