"""What a webhook's `data` holds: the full form, as it is stored, and the thin form, which is made of it.

The JSON Schemas that tenants read are derived from these structs. A published version keeps its members: new
ones may come, none goes and none changes its meaning.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from normalizer.ids import Kind
from normalizer.recipient import Role
from normalizer.status import EnvelopeStatus, RecipientStatus

API_PATH = "/api/v1/signatures"
_LETTERS = "0-9a-hjkmnp-tv-z"


def id_pattern(kind: Kind) -> str:
    return f"^{kind}_[0-7][{_LETTERS}]{{25}}$"


EnvelopeId = Annotated[str, Meta(pattern=id_pattern(Kind.ENVELOPE), description="The envelope's id.")]
RecipientId = Annotated[str, Meta(pattern=id_pattern(Kind.RECIPIENT), description="The recipient's id.")]
EndpointId = Annotated[str, Meta(pattern=id_pattern(Kind.ENDPOINT), description="The endpoint's id.")]
DeliveryId = Annotated[str, Meta(pattern=id_pattern(Kind.DELIVERY), description="The delivery's id.")]
EventId = Annotated[str, Meta(pattern=id_pattern(Kind.EVENT), description="The id of the event it carried.")]
EnvelopeState = Annotated[EnvelopeStatus, Meta(description="The envelope's status after the event.")]
RecipientState = Annotated[RecipientStatus, Meta(description="The recipient's status after the event.")]
Reason = Annotated[str, Meta(description="Why, in the words of whoever acted; absent when none were given.")]
Path = Annotated[
    str,
    Meta(
        pattern=f"^{API_PATH}/[a-z_/0-9]+$",
        description="Where the resource is read: a path of this gateway's API.",
    ),
]


class EnvelopeSummary(msgspec.Struct, frozen=True, kw_only=True):
    id: EnvelopeId
    status: EnvelopeState
    name: Annotated[str, Meta(description="The envelope's name.")]
    reference: Annotated[str, Meta(description="The reference that your system gave; empty without one.")]
    provider: Annotated[str, Meta(description="Who collects the signatures; empty until one was chosen.")]
    sender_id: Annotated[str, Meta(description="Your user who sends it, as your system named them.")]


class RecipientSummary(msgspec.Struct, frozen=True, kw_only=True):
    id: RecipientId
    name: Annotated[str, Meta(description="The recipient's name.")]
    email: Annotated[str, Meta(description="The recipient's e-mail address; empty in person.")]
    role: Annotated[Role, Meta(description="What the recipient is to do.")]
    routing_order: Annotated[int, Meta(description="Whose turn it is: lower numbers first.")]
    status: RecipientState


class EnvelopeData(msgspec.Struct, frozen=True, kw_only=True):
    envelope: EnvelopeSummary
    reason: Reason | UnsetType = UNSET


class RecipientData(msgspec.Struct, frozen=True, kw_only=True):
    envelope: EnvelopeSummary
    recipient: RecipientSummary
    reason: Reason | UnsetType = UNSET


class EndpointTestData(msgspec.Struct, frozen=True, kw_only=True):
    endpoint_id: EndpointId
    description: Annotated[str, Meta(description="Says that it is a test.")]


class ThinEnvelopeData(msgspec.Struct, frozen=True, kw_only=True):
    envelope_id: EnvelopeId
    status: EnvelopeState
    url: Path


class ThinRecipientData(msgspec.Struct, frozen=True, kw_only=True):
    envelope_id: EnvelopeId
    recipient_id: RecipientId
    recipient_status: RecipientState
    status: EnvelopeState
    url: Path


class ThinEndpointData(msgspec.Struct, frozen=True, kw_only=True):
    endpoint_id: EndpointId
    url: Path
