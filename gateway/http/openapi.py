"""OpenAPI: the problem answers of every route, and how the document presents itself."""

from dataclasses import dataclass

from litestar.openapi import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from gateway.http.problems import MEDIA_TYPE, Problem
from normalizer.document import DOCX

_MEANING = {
    400: "The request cannot be read.",
    401: "No valid API key.",
    403: "The key does not have the scope.",
    404: "Not there, or not yours.",
    409: "The state does not allow it, or the same key is in use.",
    410: "No longer kept.",
    413: "The body is too large.",
    415: "The body has another type than the route takes.",
    422: "The request was understood and cannot be done.",
    429: "Too many calls with this key.",
    502: "The provider refused our credentials or broke its contract.",
    503: "The provider or the database cannot be reached now.",
    504: "The provider gave no answer; the gateway is finding out.",
}


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The problem answers of a route: those every route has, and the given ones."""
    every = {400, 401, 403, 422, 429, 503, *statuses}
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=_MEANING[status],
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in sorted(every)
    }


@dataclass
class UploadOperation(Operation):
    """An operation whose body is a file: Litestar would document none."""

    def __post_init__(self) -> None:
        file = OpenAPIMediaType(
            schema=Schema(type=OpenAPIType.STRING, content_media_type="application/octet-stream")
        )
        types = ("application/pdf", "image/png", "image/jpeg", DOCX, "application/octet-stream")
        self.request_body = RequestBody(content=dict.fromkeys(types, file), required=True)
