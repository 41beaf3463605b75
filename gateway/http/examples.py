"""Examples of the main requests, as the OpenAPI document shows them. The tests post those of envelopes."""

from dataclasses import dataclass
from typing import Any

from litestar.openapi.spec import Example, Operation

from adapters.kit.registry import adapters

# The smallest PDF with one A4 page that a reader opens.
SMALL_PDF = (
    "JVBERi0xLjQKMSAwIG9iajw8L1R5cGUvQ2F0YWxvZy9QYWdlcyAyIDAgUj4+ZW5kb2JqCjIgMCBvYmo8PC9UeXBlL1BhZ2VzL0tpZHNbMyAwIFJdL0"
    "NvdW50IDE+PmVuZG9iagozIDAgb2JqPDwvVHlwZS9QYWdlL1BhcmVudCAyIDAgUi9NZWRpYUJveFswIDAgNTk1IDg0Ml0+PmVuZG9iagp0cmFpbGVy"
    "PDwvUm9vdCAxIDAgUi9TaXplIDQ+PgolJUVPRgo="
)
_DOCUMENT = {"name": "contract.pdf", "content_base64": SMALL_PDF}
_SIGNER = {
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "fields": [{"type": "signature", "document": 1, "page": 1, "x": 100, "y": 600}],
}
CREATE = {
    "send at once": {
        "name": "Contract",
        "reference": "PO-4711",
        "documents": [_DOCUMENT],
        "recipients": [_SIGNER],
        "send": True,
    },
    "draft for two in turn": {
        "name": "Contract",
        "message": "Please sign by Friday.",
        "documents": [_DOCUMENT],
        "recipients": [
            _SIGNER | {"routing_order": 1},
            {"name": "Grace Hopper", "email": "grace@example.com", "role": "approver", "routing_order": 2},
        ],
        "reminders": {"first_after_hours": 48, "every_hours": 72},
    },
}
_BUYER = {
    "name": "Buyer",
    "fields": [{"type": "signature", "document": 1, "page": 1, "x": 100, "y": 600}],
}
TEMPLATE = {"contract": {"name": "Purchase", "documents": [_DOCUMENT], "roles": [_BUYER]}}
TEMPLATE_CHANGE = {"rename": {"name": "Purchase 2027", "roles": [_BUYER], "version": 1}}
VOID = {"withdraw": {"reason": "The price was wrong."}}
RESEND = {"everybody": {}, "with a note": {"note": "A gentle reminder."}}
CORRECT = {"another address": {"email": "ada@new.example"}}
SIGNING_URL = {"come back to the DMS": {"return_url": "https://dms.example/signed"}}
FIELD = {"text": {"type": "text", "page": 1, "x": 100, "y": 500, "label": "PO number", "required": False}}
RECIPIENT = {"carbon copy": {"name": "Alan Turing", "email": "alan@example.com", "role": "carbon_copy"}}
TENANT = {"tenant": {"name": "Acme"}}
API_KEY = {"for a DMS": {"label": "dms", "scopes": ["envelopes:write", "envelopes:read", "act_as"]}}
CONNECTION = {
    adapter.title: {
        "provider": adapter.name,
        "credentials": {field.name: "..." for field in adapter.credential_fields if field.required},
        "webhook_keys": ["the provider's webhook key"] if adapter.capabilities.signed_webhooks else [],
    }
    for adapter in adapters().values()
}
SWITCH = {"switch": {"to_connection_id": "con_01jd...", "reason": "new contract with the provider"}}


def with_examples(examples: dict[str, Any]) -> type[Operation]:
    """An operation class that shows these examples of its JSON body."""

    @dataclass
    class Shown(Operation):
        def __post_init__(self) -> None:
            content = getattr(self.request_body, "content", {})
            for body in content.values():
                body.examples = {name: Example(value=value) for name, value in examples.items()}

    return Shown
