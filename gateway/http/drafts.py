"""Editing a draft over HTTP: its attributes, documents, recipients and fields."""

from typing import Annotated, Any

import msgspec
from litestar import delete, patch, post, put
from litestar.params import FromPath, JSONBody

from gateway.envelopes.draft import EnvelopeChange, RecipientInput
from gateway.envelopes.edit_attributes import change_attributes
from gateway.envelopes.edit_documents import add_document, remove_document
from gateway.envelopes.edit_fields import PlacedFieldInput, add_field, remove_field, replace_field
from gateway.envelopes.edit_recipients import add_recipient, remove_recipient, replace_recipient
from gateway.envelopes.store import load_envelope
from gateway.envelopes.view import (
    EnvelopeView,
    FieldView,
    RecipientView,
    view_envelope,
    view_field,
    view_recipient,
)
from gateway.http import examples
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.examples import with_examples
from gateway.http.openapi import problems
from gateway.tenants.scopes import Scope
from normalizer.ids import Kind, read_id

WRITE = {"scope": Scope.ENVELOPES_WRITE}
EDIT: dict[str, Any] = {"opt": WRITE, "responses": problems(404, 409)}


class AttachInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    document_id: Annotated[str, msgspec.Meta(max_length=40)]


@patch("/envelopes/{envelope_id:str}", **EDIT)
async def change(
    services: TheServices, caller: TheCaller, envelope_id: FromPath[str], data: JSONBody[EnvelopeChange]
) -> EnvelopeView:
    """Change a draft's own attributes; what is left out stays."""
    own = read_id(Kind.ENVELOPE, envelope_id)
    await change_attributes(services, caller, own, data)
    return view_envelope(await load_envelope(services.database, caller.tenant_id, own))


@post("/envelopes/{envelope_id:str}/documents", status_code=201, **EDIT)
async def attach_document(
    services: TheServices, caller: TheCaller, envelope_id: FromPath[str], data: JSONBody[AttachInput]
) -> EnvelopeView:
    """Put an uploaded document at the end of a draft's documents."""
    own = read_id(Kind.ENVELOPE, envelope_id)
    await add_document(services, caller, own, read_id(Kind.DOCUMENT, data.document_id))
    return view_envelope(await load_envelope(services.database, caller.tenant_id, own))


@delete("/envelopes/{envelope_id:str}/documents/{document_id:str}", **EDIT)
async def detach_document(
    services: TheServices, caller: TheCaller, envelope_id: FromPath[str], document_id: FromPath[str]
) -> None:
    """Take a document out of a draft, with the fields on it."""
    await remove_document(
        services, caller, read_id(Kind.ENVELOPE, envelope_id), read_id(Kind.DOCUMENT, document_id)
    )


@post(
    "/envelopes/{envelope_id:str}/recipients",
    status_code=201,
    **EDIT,
    operation_class=with_examples(examples.RECIPIENT),
)
async def create_recipient(
    services: TheServices, caller: TheCaller, envelope_id: FromPath[str], data: JSONBody[RecipientInput]
) -> RecipientView:
    """Add a recipient to a draft."""
    return view_recipient(await add_recipient(services, caller, read_id(Kind.ENVELOPE, envelope_id), data))


@put("/envelopes/{envelope_id:str}/recipients/{recipient_id:str}", **EDIT)
async def put_recipient(
    services: TheServices,
    caller: TheCaller,
    envelope_id: FromPath[str],
    recipient_id: FromPath[str],
    data: JSONBody[RecipientInput],
) -> EnvelopeView:
    """Set all attributes of a draft's recipient; the fields stay."""
    own = read_id(Kind.ENVELOPE, envelope_id)
    await replace_recipient(services, caller, own, read_id(Kind.RECIPIENT, recipient_id), data)
    return view_envelope(await load_envelope(services.database, caller.tenant_id, own))


@delete("/envelopes/{envelope_id:str}/recipients/{recipient_id:str}", **EDIT)
async def delete_recipient(
    services: TheServices, caller: TheCaller, envelope_id: FromPath[str], recipient_id: FromPath[str]
) -> None:
    """Remove a recipient from a draft, with their fields."""
    await remove_recipient(
        services, caller, read_id(Kind.ENVELOPE, envelope_id), read_id(Kind.RECIPIENT, recipient_id)
    )


@post(
    "/envelopes/{envelope_id:str}/fields",
    status_code=201,
    **EDIT,
    operation_class=with_examples(examples.FIELD),
)
async def create_field(
    services: TheServices, caller: TheCaller, envelope_id: FromPath[str], data: JSONBody[PlacedFieldInput]
) -> FieldView:
    """Place a field on a draft's document."""
    return view_field(await add_field(services, caller, read_id(Kind.ENVELOPE, envelope_id), data))


@put("/envelopes/{envelope_id:str}/fields/{field_id:str}", **EDIT)
async def put_field(
    services: TheServices,
    caller: TheCaller,
    envelope_id: FromPath[str],
    field_id: FromPath[str],
    data: JSONBody[PlacedFieldInput],
) -> FieldView:
    """Set all attributes of a field."""
    return view_field(
        await replace_field(
            services, caller, read_id(Kind.ENVELOPE, envelope_id), read_id(Kind.FIELD, field_id), data
        )
    )


@delete("/envelopes/{envelope_id:str}/fields/{field_id:str}", **EDIT)
async def delete_field(
    services: TheServices, caller: TheCaller, envelope_id: FromPath[str], field_id: FromPath[str]
) -> None:
    """Remove a field from a draft."""
    await remove_field(services, caller, read_id(Kind.ENVELOPE, envelope_id), read_id(Kind.FIELD, field_id))
