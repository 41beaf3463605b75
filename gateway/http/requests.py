"""How a body is read: one decoder, every malformation an answer of its own.

Litestar answers 500 to bytes that are no UTF-8, to very deep nesting and to a body that breaks off, and 400 to
another media type; this subclass gives 400 and 415 instead.
"""

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import ClientException, InternalServerException

from gateway.http.problems import BadRequest
from normalizer.errors import Finding, PayloadMalformed, ValidationFailed

_EXPECTED = "application/json"


class JsonRequest(Request[Any, Any, State]):
    async def stream(self) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in super().stream():
                yield chunk
        except InternalServerException as error:
            # Litestar's only reason here, besides a mistake of ours, is a client that hung up.
            raise BadRequest("The connection ended before the body did.") from error

    async def json(self) -> Any:
        media_type = self.headers.get("content-type", _EXPECTED).split(";")[0].strip().lower()
        if media_type != _EXPECTED and not media_type.endswith("+json"):
            raise ClientException(f"This route takes {_EXPECTED}.", status_code=415)
        body = await self.body()
        if not body:
            raise PayloadMalformed("The body is empty.", remedy="Send a JSON object.")
        try:
            decoded = msgspec.json.decode(body)
        except UnicodeDecodeError as error:
            raise PayloadMalformed("The body is not UTF-8.", remedy="Encode the JSON as UTF-8.") from error
        except RecursionError as error:
            raise PayloadMalformed("The body is nested too deeply.") from error
        except msgspec.MsgspecError as error:
            raise PayloadMalformed(f"The body is not JSON: {error}") from error
        # One letter is found ten times as fast as six, and documents in base64 have no backslash.
        if b"\\" in body and b"\\u0000" in body and _has_nul(decoded):
            raise ValidationFailed(
                "A text has a NUL character, which cannot be stored.",
                (Finding("/", "Leave out the characters with code 0."),),
            )
        return decoded


def _has_nul(value: object) -> bool:
    match value:
        case str():
            return "\0" in value
        case list():
            return any(_has_nul(item) for item in value)
        case dict():
            return any(_has_nul(item) for pair in value.items() for item in pair)
    return False
