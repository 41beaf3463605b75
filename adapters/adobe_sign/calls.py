"""The few forms of a request to this provider: a read, a write, and a write that must match what was read.

Must never decide what an answer means; that is the error table's.
Source: REST v6, "ETag support": PUT needs If-Match, 412 RESOURCE_MODIFIED asks to read again.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import quote

from adapters.adobe_sign.answers import decode
from adapters.adobe_sign.credentials import Credentials
from adapters.adobe_sign.wire import Sent, encode
from adapters.kit.exchange import Effect, Exchange, ProviderRequest, ProviderResponse
from adapters.kit.outcome import Interruption, Rejected
from adapters.kit.port import Connection

T = TypeVar("T")
_ID_MARKS = "-_*.~"
_MODIFIED = 412


def user_headers(connection: Connection) -> tuple[tuple[str, str], ...]:
    """For whom an account-wide token acts."""
    credentials: Credentials = connection.credentials
    return (("x-api-user", f"email:{credentials.api_user}"),) if credentials.api_user else ()


def agreement_path(provider_ref: str, *more: str) -> str:
    """Ids come from outside: nothing in them may become a path of its own."""
    return "/".join(
        ("/agreements", quote(provider_ref, safe=_ID_MARKS), *(quote(each, safe=_ID_MARKS) for each in more))
    )


async def read(
    exchange: Exchange,
    connection: Connection,
    operation: str,
    path: str,
    kind: type[T],
    query: Mapping[str, str] | None = None,
) -> T:
    request = read_request(connection, operation, path, query)
    return decode(await exchange(request), kind)


def read_request(
    connection: Connection,
    operation: str,
    path: str,
    query: Mapping[str, str] | None = None,
    *,
    accept: frozenset[int] = frozenset({200}),
    headers: tuple[tuple[str, str], ...] = (),
    save: bool = False,
) -> ProviderRequest:
    return ProviderRequest(
        operation=operation,
        method="GET",
        path=path,
        effect=Effect.NONE,
        query=tuple((query or {}).items()),
        headers=user_headers(connection) + headers,
        accept=accept,
        save=save,
    )


def write_request(
    connection: Connection,
    operation: str,
    method: str,
    path: str,
    body: Sent | None,
    effect: Effect,
    *,
    accept: frozenset[int],
    headers: tuple[tuple[str, str], ...] = (),
) -> ProviderRequest:
    return ProviderRequest(
        operation=operation,
        method=method,
        path=path,
        effect=effect,
        headers=user_headers(connection) + headers,
        content=() if body is None else (encode(body),),
        accept=accept,
    )


async def put_matching(
    exchange: Exchange,
    connection: Connection,
    operation: str,
    read_path: str,
    write_path: str,
    body: Sent | Callable[[ProviderResponse], Sent],
) -> None:
    """Reads, composes from what was read, writes with its ETag; when it was modified meanwhile, once more."""
    for accept in (frozenset({200, 204, _MODIFIED}), frozenset({200, 204})):
        seen = await exchange(read_request(connection, operation, read_path))
        content = body if isinstance(body, Sent) else body(seen)
        headers = (("If-Match", seen.headers["etag"]),) if "etag" in seen.headers else ()
        request = write_request(
            connection, operation, "PUT", write_path, content, Effect.KEYED, accept=accept, headers=headers
        )
        if (await exchange(request)).status != _MODIFIED:
            return


def refuse(code: str, detail: str, ref: str = "") -> Interruption:
    """Ends an operation that the provider would refuse or that has nobody to act on."""
    return Interruption(Rejected(code=code, provider_code="", detail=detail, status=0, learned_ref=ref))
