"""The thin form of `data`: ids, statuses and where to read, made of the full form that is stored.

Pure and deterministic: the same stored bytes give the same thin bytes at every attempt. Must never add what the
full form does not hold, and never let through a name, an address or free text.
"""

import msgspec

from normalizer.canonical import Json, canonical_bytes
from normalizer.catalogue.payloads import API_PATH


class _Resource(msgspec.Struct, frozen=True):
    id: str = ""
    status: str = ""


_NONE = _Resource()


class _Full(msgspec.Struct, frozen=True):
    """Every id that a full form may hold; members that are not named here are left out."""

    envelope: _Resource = _NONE
    recipient: _Resource = _NONE
    envelope_id: str = ""
    endpoint_id: str = ""
    delivery_id: str = ""
    event_id: str = ""


_decoder = msgspec.json.Decoder(_Full)


def thin_data(full: bytes) -> bytes:
    """`full` is the stored JSON object; the answer is canonical JSON too."""
    given = _decoder.decode(full)
    told: dict[str, Json] = {
        "envelope_id": given.envelope.id or given.envelope_id,
        "status": given.envelope.status,
        "recipient_id": given.recipient.id,
        "recipient_status": given.recipient.status,
        "endpoint_id": given.endpoint_id,
        "delivery_id": given.delivery_id,
        "event_id": given.event_id,
        "url": _url(given),
    }
    return canonical_bytes({name: value for name, value in told.items() if value})


def _url(given: _Full) -> str:
    # Only what names both is about a delivery; an endpoint's end names the delivery that brought it about.
    is_about_delivery = given.delivery_id and given.event_id
    for folder, id_ in (
        ("deliveries", given.delivery_id if is_about_delivery else ""),
        ("webhooks", given.endpoint_id),
        ("envelopes", given.envelope.id or given.envelope_id),
    ):
        if id_:
            return f"{API_PATH}/{folder}/{id_}"
    return ""
