"""Drives the official client against a running sandbox; run as a script with the sandbox's ready line as argument.

A process of its own, because the client keeps global state and leaves sockets open.
"""

import base64
import json
import sys

from docusign_esign import (
    ApiClient,
    Document,
    EnvelopeDefinition,
    EnvelopesApi,
    Recipients,
    RecipientViewRequest,
    Signer,
    SignHere,
    Tabs,
    TemplatesApi,
)
from docusign_esign.client.api_exception import ApiException


def main() -> None:
    ready = json.loads(sys.argv[1])
    pdf, token = base64.b64decode(sys.argv[2]), sys.argv[3]
    account = ready["credentials"]["account_id"]
    client = ApiClient(host=f"{ready['url']}/restapi")
    client.set_default_header("Authorization", f"Bearer {token}")
    envelopes = EnvelopesApi(client)
    place = SignHere(document_id="1", page_number="1", x_position="100", y_position="200")
    signer = Signer(
        email="ada@example.com", name="Ada", recipient_id="1", routing_order="1", client_user_id="u-1",
        tabs=Tabs(sign_here_tabs=[place]),
    )  # fmt: skip
    document = Document(
        document_base64=base64.b64encode(pdf).decode(), name="a.pdf", file_extension="pdf", document_id="1"
    )
    definition = EnvelopeDefinition(
        email_subject="Please sign",
        documents=[document],
        recipients=Recipients(signers=[signer]),
        status="sent",
    )
    made = envelopes.create_envelope(account, envelope_definition=definition)
    shown = envelopes.get_envelope(account, made.envelope_id, include="recipients,tabs")
    found = envelopes.list_status_changes(account, from_date="2020-01-01T00:00:00Z")
    people = envelopes.list_recipients(account, made.envelope_id, include_tabs="true")
    view = RecipientViewRequest(
        return_url="https://app.example.com", authentication_method="None", client_user_id="u-1",
        email="ada@example.com", user_name="Ada",
    )  # fmt: skip
    url = envelopes.create_recipient_view(account, made.envelope_id, recipient_view_request=view).url
    combined = envelopes.get_document(account, "combined", made.envelope_id)
    events = envelopes.list_audit_events(account, made.envelope_id).audit_events
    listed = envelopes.list_documents(account, made.envelope_id).envelope_documents
    void = EnvelopeDefinition(status="voided", voided_reason="Changed our minds")
    envelopes.update(account, made.envelope_id, envelope=void)
    try:
        envelopes.update(account, made.envelope_id, envelope=void)
    except ApiException as error:
        refused = (error.status, json.loads(error.body)["errorCode"])
    result = {
        "created": made.status,
        "status": shown.status,
        "subject": shown.email_subject,
        "tab": people.signers[0].tabs.sign_here_tabs[0].x_position,
        "recipient": people.signers[0].status,
        "listed": made.envelope_id in [envelope.envelope_id for envelope in found.envelopes],
        "url": url,
        "head": combined[:5].decode(),
        "documents": [document.document_id for document in listed],
        "actions": [
            field.value for event in events for field in event.event_fields if field.name == "Action"
        ],
        "after": envelopes.get_envelope(account, made.envelope_id).status,
        "reason": envelopes.get_envelope(account, made.envelope_id).voided_reason,
        "refused": refused,
        "templates": len(TemplatesApi(client).list_templates(account).envelope_templates),
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
