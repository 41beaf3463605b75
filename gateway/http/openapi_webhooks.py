"""The webhooks section of the OpenAPI document: what an endpoint gets posted, made from the catalogue.

Source: OpenAPI 3.1, webhooks; Standard Webhooks 1.0.0, headers; the design documents (webhook headers).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    PathItem,
    Reference,
    RequestBody,
    Schema,
)

from normalizer.canonical import Json
from normalizer.catalogue.schemas import FULL, THIN, body_schema, example_body
from normalizer.catalogue.table import CATALOGUE, Entry

_STANDARD = "Left out with the signature profile `seed`."
_DESIGN = "Left out with the signature profile `standard`."
_HEADERS: tuple[tuple[str, str, Mapping[str, Json]], ...] = (
    (
        "webhook-id",
        f"The event's id, as in the body; the same at every attempt. {_STANDARD}",
        {"type": "string", "pattern": "^evt_[0-9a-z]{26}$"},
    ),
    (
        "webhook-timestamp",
        f"When this attempt was made, in seconds since 1970. {_STANDARD}",
        {"type": "string", "pattern": "^[0-9]+$"},
    ),
    (
        "webhook-signature",
        (
            "One or more signatures of `{id}.{timestamp}.{body}`, separated by spaces: `v1,` and the base64 of an"
            " HMAC-SHA256, `v1a,` and that of an Ed25519 signature. One that you can verify is enough; pass over"
            f" versions that you do not know. {_STANDARD}"
        ),
        {"type": "string", "pattern": "^v1a?,[A-Za-z0-9+/=]+( v1a?,[A-Za-z0-9+/=]+)*$"},
    ),
    (
        "X-Signature-Event",
        f"The event's type. It is not signed: route on the body's `type`. {_DESIGN}",
        {"type": "string"},
    ),
    (
        "X-Signature-Timestamp",
        f"The same moment as webhook-timestamp. {_DESIGN}",
        {"type": "string", "pattern": "^[0-9]+$"},
    ),
    (
        "X-Signature-Signature",
        (
            "`sha256=` and the hexadecimal HMAC-SHA256 of `{timestamp}.{body}`, keyed with the whole secret's text."
            f" {_DESIGN}"
        ),
        {"type": "string", "pattern": "^sha256=[0-9a-f]{64}$"},
    ),
    (
        "X-Signature-Signature-Next",
        "During a rotation of the secret: what X-Signature-Signature is with the new one.",
        {"type": "string", "pattern": "^sha256=[0-9a-f]{64}$"},
    ),
)


@dataclass
class _Written(Schema):
    """A schema that is JSON Schema already."""

    written: Mapping[str, Any] = field(default_factory=dict)

    def to_schema(self) -> dict[str, Any]:
        return dict(self.written)


def webhook_headers() -> dict[str, Parameter | Reference]:
    """What every webhook refers to as its parameters."""
    return {
        name: Parameter(name=name, param_in="header", description=text, schema=_Written(written=schema))
        for name, text, schema in _HEADERS
    }


def webhook_items() -> dict[str, PathItem | Reference]:
    """One per event type."""
    return {str(entry.type): PathItem(post=_operation(entry)) for entry in CATALOGUE.values()}


def _operation(entry: Entry) -> Operation:
    schemas = [{**body_schema(entry.type, payload), "title": payload} for payload in (FULL, THIN)]
    for schema in schemas:
        del schema["$schema"]
    examples = {payload: Example(value=example_body(entry.type, payload)) for payload in (FULL, THIN)}
    body = OpenAPIMediaType(schema=_Written(written={"oneOf": schemas}), examples={**examples})
    return Operation(
        tags=["webhooks"],
        operation_id=f"webhook_{str(entry.type).replace('.', '_')}",
        summary=entry.description,
        description=f"{entry.sentence} The endpoint's setting `payload` says which of the two forms it gets.",
        parameters=[Reference(ref=f"#/components/parameters/{name}") for name, _, _ in _HEADERS],
        request_body=RequestBody(content={"application/json": body}, required=True),
        responses={
            "2XX": OpenAPIResponse(description="Taken; it is not sent again."),
            "410": OpenAPIResponse(
                description="The endpoint is gone: it is switched off, and its deliveries are held."
            ),
            "429": OpenAPIResponse(
                description="Sent again later, after Retry-After; it costs no attempt for a long time."
            ),
            "default": OpenAPIResponse(
                description="Anything else is sent again by the endpoint's retry profile."
            ),
        },
        security=[],
    )
