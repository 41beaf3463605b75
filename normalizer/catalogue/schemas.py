"""JSON Schemas (2020-12) and examples of webhooks, derived from the catalogue's structs.

A schema stands alone: what it refers to is written out in it. It allows members that it does not name, as
receivers must: new ones may come within a version.
Source: JSON Schema 2020-12; Standard Webhooks 1.0.0, payload structure.
"""

from collections.abc import Mapping
from typing import cast

import msgspec

from normalizer.canonical import Json, canonical_bytes
from normalizer.catalogue import samples
from normalizer.catalogue.payloads import id_pattern
from normalizer.catalogue.table import CATALOGUE
from normalizer.catalogue.thin import thin_data
from normalizer.catalogue.versions import API_VERSION
from normalizer.ids import Kind
from normalizer.vocabulary import EventType

FULL = "full"
THIN = "thin"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPE_OF_ENUM = "string"  # every closed set of ours is of words

JsonObject = dict[str, Json]


def data_schema(type_: EventType, payload: str = FULL, version: str = API_VERSION) -> JsonObject:
    """Of the body's `data`. Raises KeyError for a version that is not there."""
    forms = CATALOGUE[type_].forms[version]
    return {"$schema": _DIALECT, **_written_out(forms.thin if payload == THIN else forms.full)}


def body_schema(type_: EventType, payload: str = FULL, version: str = API_VERSION) -> JsonObject:
    """Of the whole body, as an endpoint gets it and as the feed holds it."""
    forms = CATALOGUE[type_].forms[version]
    members: JsonObject = {
        "id": {
            "description": "The event's id: the same at every attempt, replay and endpoint. Deduplicate by it.",
            "type": "string",
            "pattern": id_pattern(Kind.EVENT),
        },
        "type": {"description": CATALOGUE[type_].description, "const": str(type_)},
        "timestamp": {
            "description": "When it happened, in UTC.",
            "type": "string",
            "format": "date-time",
        },
        "tenant_id": {"type": "string", "pattern": id_pattern(Kind.TENANT)},
        "sequence": {
            "description": "Counts without a gap: per endpoint in what is delivered, per tenant in the feed.",
            "type": "integer",
            "minimum": 1,
        },
        "api_version": {"description": "The version of this form.", "const": version},
        "data": _written_out(forms.thin if payload == THIN else forms.full),
    }
    required = list(members)
    return {
        "$schema": _DIALECT,
        "title": str(type_),
        "type": "object",
        "properties": members | {"ledger": _LEDGER},
        "required": required,
    }


_LEDGER: JsonObject = {
    "description": "The entry of the audit trail that records the same fact.",
    "type": "object",
    "properties": {
        "chain": {"type": "string", "description": "The envelope's chain, or the tenant's."},
        "seq": {"type": "integer", "minimum": 1},
        "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
    "required": ["chain", "seq", "hash"],
}


def example_data(type_: EventType, payload: str = FULL, version: str = API_VERSION) -> JsonObject:
    full = cast("JsonObject", msgspec.to_builtins(CATALOGUE[type_].forms[version].example))
    if payload == THIN:
        return cast("JsonObject", msgspec.json.decode(thin_data(canonical_bytes(full))))
    return full


def example_body(type_: EventType, payload: str = FULL, version: str = API_VERSION) -> JsonObject:
    of_envelope = type_.startswith(("envelope.", "recipient."))
    return {
        "id": samples.EVENT_ID,
        "type": str(type_),
        "timestamp": samples.MOMENT,
        "tenant_id": samples.TENANT_ID,
        "sequence": samples.SEQUENCE,
        "api_version": version,
        "data": example_data(type_, payload, version),
        "ledger": {
            "chain": samples.ENVELOPE_CHAIN if of_envelope else samples.TENANT_CHAIN,
            "seq": samples.LEDGER_SEQ,
            "hash": samples.LEDGER_HASH,
        },
    }


def _written_out(form: type[msgspec.Struct]) -> JsonObject:
    whole = msgspec.json.schema(form)
    return cast("JsonObject", _inline(whole, whole["$defs"]))


def _inline(node: Json, parts: Mapping[str, Json]) -> Json:
    if isinstance(node, Mapping):
        own: JsonObject = {
            name: _inline(value, parts)
            for name, value in node.items()
            if name not in {"$ref", "$defs"} and not (name == "title" and isinstance(value, str))
        }
        reference = node.get("$ref")
        if isinstance(reference, str):
            own = {**cast("JsonObject", _inline(parts[reference.rpartition("/")[2]], parts)), **own}
        if "enum" in own:
            own["type"] = _TYPE_OF_ENUM
        return own
    if isinstance(node, list | tuple):
        return [_inline(one, parts) for one in node]
    return node
