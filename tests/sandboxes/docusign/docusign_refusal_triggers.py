"""One trigger per row of the sandbox's refusal table: what a client must do to be refused exactly so."""

import base64
from collections.abc import Callable

import httpx
from sandbox_docusign_kit import Sandbox, definition, document, notification, signer, text_pdf

Trigger = Callable[[Sandbox], httpx.Response]
TRIGGERS: dict[str, Trigger] = {}
NOWHERE = "00000000-0000-4000-8000-00000000dead"


def trigger(row_id: str) -> Callable[[Trigger], Trigger]:
    def keep(function: Trigger) -> Trigger:
        assert row_id not in TRIGGERS
        TRIGGERS[row_id] = function
        return function

    return keep


def create(sandbox: Sandbox, **more: object) -> httpx.Response:
    return sandbox.api("POST", "/envelopes", definition(**more))


def creating(row_id: str, **more: object) -> None:
    """A row that is triggered by a definition alone."""
    TRIGGERS[row_id] = lambda sandbox: create(sandbox, **more)


def with_signer(row_id: str, **more: object) -> None:
    creating(row_id, recipients={"signers": [signer(**more)]})


def with_document(row_id: str, **more: object) -> None:
    creating(row_id, documents=[document(**more)])


def with_tab(row_id: str, **more: object) -> None:
    tab = {"documentId": "1", "pageNumber": "1", "xPosition": "10", "yPosition": "10", **more}
    shown = {key: value for key, value in tab.items() if value is not None}
    with_signer(row_id, tabs={"signHereTabs": [shown]})


def with_hook(row_id: str, **more: object) -> None:
    hook = {**notification("https://hooks.example.com/in", "envelope-sent"), **more}
    creating(row_id, eventNotification={key: value for key, value in hook.items() if value is not None})


creating("create-status-invalid", status="delivered")
creating("create-asynchronous-without-transaction", asynchronous="true")
creating("create-attribute-read-only", sentDateTime="2026-01-01T00:00:00Z")
creating("create-not-simulated", workflow={"workflowStatus": "paused"})
creating("envelope-incomplete", emailSubject=None)
creating("subject-too-long", emailSubject="x" * 101)
creating("blurb-too-long", emailBlurb="x" * 10_001)
creating("body-unknown-attribute", emailSubjekt="typo")
creating("body-wrong-type", documents={"documentId": "1"})
creating("body-scalar-not-string", allowReassign=True)
creating("parameter-not-boolean", allowReassign="yes")
creating("custom-field-too-long", customFields={"textCustomFields": [{"name": "a", "value": "x" * 101}]})
creating("custom-field-without-name", customFields={"textCustomFields": [{"value": "x"}]})
creating(
    "custom-field-not-in-list",
    customFields={"listCustomFields": [{"name": "a", "value": "x", "listItems": ["y"]}]},
)
creating("notification-expire-not-enabled", notification={"expirations": {"expireAfter": "3"}})
creating(
    "notification-expire-after-invalid",
    notification={"expirations": {"expireEnabled": "true", "expireAfter": "0"}},
)
creating("notification-reminder-invalid", notification={"reminders": {"reminderEnabled": "true"}})
creating("template-roles-without-template", templateRoles=[{"roleName": "Signer"}])
creating("template-unknown", templateId=NOWHERE, templateRoles=[])
creating("tab-recipient-kind", recipients={"carbonCopies": [signer()]})
creating("recipient-duplicate", recipients={"signers": [signer(), signer()]})
creating("recipient-host-missing", recipients={"inPersonSigners": [{"recipientId": "1", "hostName": "Hal"}]})
creating("document-id-duplicate", documents=[document("1"), document("1")])
creating("upload-unknown", documents=[document(documentBase64=None, remoteUrl=f"/chunked_uploads/{NOWHERE}")])

with_signer("parameter-not-integer", routingOrder="first")
with_signer("recipient-id-missing", recipient_id=None)
with_signer("recipient-name-missing", name=None, email=None)
with_signer("recipient-attribute-too-long", accessCode="x" * 51)
with_signer("recipient-order-invalid", order="0")
with_signer("recipient-email-invalid", email="nobody")
with_signer("recipient-workflow-unknown", identityVerification={"workflowId": NOWHERE})
with_signer("recipient-id-check-unknown", idCheckConfigurationName="SMS", requireIdLookup="true")
with_signer("recipient-id-check-missing", requireIdLookup="true")

with_document("document-name-missing", name=None)
with_document("document-without-content", documentBase64=None)
with_document("document-base64-invalid", documentBase64="%%%")
with_document("document-not-pdf", content=b"%PDF-1.7 broken")
with_document("document-not-convertible", fileExtension="exe", name="a.exe")
TRIGGERS["document-id-missing"] = lambda sandbox: create(sandbox, documents=[{"name": "a.pdf"}])

with_tab("tab-position-missing", pageNumber=None)
with_tab("tab-position-negative", xPosition="-1")
with_tab("tab-off-page", yPosition="793")
with_tab("tab-document-unknown", documentId="2")
with_tab("tab-page-unknown", pageNumber="2")
with_tab("tab-label-too-long", tabLabel="x" * 501)
with_tab("tab-scale-invalid", scaleValue="2.1")
with_tab("parameter-not-number", scaleValue="large")
with_tab("tab-anchor-units", anchorString="Sign here", anchorUnits="miles")
TRIGGERS["tab-anchor-not-found"] = lambda sandbox: create(
    sandbox,
    documents=[document(content=text_pdf("nothing of the kind"))],
    recipients={"signers": [signer(tabs={"signHereTabs": [{"anchorString": "/sig1/"}]})]},
)

with_hook("hook-url-not-https", url="http://hooks.example.com/in")
with_hook("hook-event-unknown", events=["envelope-expired"])
with_hook("hook-without-events", events=[])
with_hook("hook-data-unknown", eventData={"version": "restv2.1", "format": "json", "includeData": ["people"]})
with_hook("hook-mode-unsupported", deliveryMode="Aggregate")
with_hook("hook-format-unsupported", eventData=None)


@trigger("upload-not-committed")
def _(sandbox: Sandbox) -> httpx.Response:
    data = base64.b64encode(text_pdf("part")).decode()
    uri = sandbox.api("POST", "/chunked_uploads", {"data": data}).json()["chunkedUploadUri"]
    return create(sandbox, documents=[document(documentBase64=None, remoteUrl=uri)])


@trigger("body-not-json")
def _(sandbox: Sandbox) -> httpx.Response:
    return sandbox.api(
        "POST", "/envelopes", content=b'{"status": ', headers={"Content-Type": "application/json"}
    )


@trigger("create-multipart-malformed")
def _(sandbox: Sandbox) -> httpx.Response:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    return sandbox.api("POST", "/envelopes", content=b"--b\r\nnothing\r\n--b--", headers=headers)


@trigger("create-multipart-document-unknown")
def _(sandbox: Sandbox) -> httpx.Response:
    body = (
        b'--b\r\nContent-Type: application/json\r\nContent-Disposition: form-data; name="envelopeDefinition"\r\n\r\n'
        b'{"status": "created"}\r\n'
        b'--b\r\nContent-Type: application/pdf\r\nContent-Disposition: file; filename="a.pdf"; documentid="9"\r\n\r\n'
        b"%PDF\r\n--b--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    return sandbox.api("POST", "/envelopes", content=body, headers=headers)
