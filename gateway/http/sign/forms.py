"""What a form or a script sends, read within limits: urlencoded or JSON, one value per name."""

import re
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from litestar.exceptions import ClientException

from engine.ceremony.refusals import VersionMissing
from gateway.http.problems import BadRequest
from normalizer.errors import PayloadMalformed

_T = TypeVar("_T")
FORM = "application/x-www-form-urlencoded"
_MOST_NAMES = 5000
_VERSION = re.compile(r'(?:W/)?"?(\d{1,9})"?')


async def read_form(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The last value of each name. An empty body is an empty form."""
    body = await request.body()
    if not body:
        return {}
    if is_json(request):
        given = await request.json()
        if not isinstance(given, dict):
            raise PayloadMalformed("The body is not a JSON object.")
        return {str(name): _text(value) for name, value in given.items()}
    media_type = _media_type(request)
    if media_type != FORM:
        raise ClientException(f"This route takes {FORM} or application/json.", status_code=415)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_NAMES, errors="strict"
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise BadRequest("The form cannot be read.") from error
    if any("\0" in value for _, value in pairs):
        raise BadRequest("A text has a NUL character.")
    return dict(pairs)


async def read_json(request: Request[Any, Any, Any], kind: type[_T]) -> _T:
    """Raises PayloadMalformed for another shape."""
    try:
        return msgspec.convert(await request.json(), kind)
    except msgspec.ValidationError as error:
        raise PayloadMalformed(f"The body is not as documented: {error}") from error


def read_version(request: Request[Any, Any, Any]) -> int:
    """The version in If-Match. Raises VersionMissing."""
    found = _VERSION.fullmatch(request.headers.get("if-match", "").strip())
    if found is None:
        raise VersionMissing
    return int(found[1])


def is_json(request: Request[Any, Any, Any]) -> bool:
    return _media_type(request) == "application/json"


def wants_json(request: Request[Any, Any, Any]) -> bool:
    """Whether a script asks: it says so in Accept, sends the token in a header, or uses PUT."""
    accepts = request.headers.get("accept", "")
    return (
        "x-csrf-token" in request.headers
        or request.method == "PUT"
        or ("json" in accepts and "text/html" not in accepts)
    )


def _media_type(request: Request[Any, Any, Any]) -> str:
    return str(request.headers.get("content-type", "")).split(";")[0].strip().lower()


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case True:
            return "yes"
        case None | False:
            return ""
        case int() | float():
            return str(value)
    raise PayloadMalformed("A form's values are texts.")
