"""The small common ground of all handlers: reads requests strictly, writes answers as the provider does."""

from typing import Any, TypeAlias

import msgspec
from litestar import Request, Response

from .catalogue import JsonObject, check, is_true
from .refusals import Refusal
from .state import Envelope
from .world import World

HttpRequest: TypeAlias = Request[Any, Any, Any]
Answer: TypeAlias = Response[bytes]


def world_of(request: HttpRequest) -> World:
    found: World = request.app.state.world
    return found


def envelope_of(request: HttpRequest) -> Envelope:
    return world_of(request).envelope(part(request, "envelope_id"))


def part(request: HttpRequest, name: str) -> str:
    """A segment of the path."""
    return str(request.path_params[name])


def query(request: HttpRequest, name: str, default: str = "") -> str:
    return str(request.query_params.get(name, default))


def query_is_true(request: HttpRequest, name: str) -> bool:
    return is_true(query(request, name))


async def body_of(request: HttpRequest, model: str, *, is_optional: bool = False) -> JsonObject:
    """The JSON body, checked against a model of the catalogue."""
    raw = await request.body()
    if not raw and is_optional:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal("body-not-json", f"Content-Type is '{kind}'.")
    return decode(raw, model)


def decode(raw: bytes, model: str) -> JsonObject:
    try:
        body = msgspec.json.decode(raw)
        return check(body, model)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal("body-not-json", f"{error}.") from error


def answer(payload: object, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return Response(
        msgspec.json.encode(payload),
        status_code=status,
        media_type="application/json; charset=utf-8",
        headers=headers or {},
    )


def file_answer(content: bytes, media_type: str, name: str, document_id: str) -> Answer:
    disposition = f'file; filename="{name}"; documentid="{document_id}"'
    safe = disposition.encode("ascii", errors="replace").decode().replace("\r", "").replace("\n", "")
    return Response(content, media_type=media_type, headers={"Content-Disposition": safe})


def require_lock(request: HttpRequest, envelope: Envelope) -> None:
    """Refuses a write to an envelope that somebody else has locked."""
    lock = envelope.lock
    if lock is None:
        return
    if lock.until <= world_of(request).now():
        envelope.lock = None
        return
    shown = request.headers.get("x-docusign-edit", "")
    try:
        token = msgspec.json.decode(shown.encode(), type=_EditHeader).LockToken
    except (msgspec.DecodeError, msgspec.ValidationError):
        token = ""
    if token != lock.token:
        raise Refusal("lock-not-owner")


class _EditHeader(msgspec.Struct):
    LockToken: str = ""
