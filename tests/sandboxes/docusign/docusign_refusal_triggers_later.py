"""Triggers of the refusal table's other rows: those that need an envelope, an upload, a token or the control API."""

import base64
import time

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from docusign_refusal_triggers import NOWHERE, TRIGGERS, trigger
from sandbox_docusign_kit import Sandbox, blank_pdf, notification, signer

EMBEDDED = {"signers": [signer(clientUserId="u-1"), signer("2", "2", clientUserId="u-2")]}
VIEW = {
    "returnUrl": "https://app.example.com/back",
    "authenticationMethod": "None",
    "clientUserId": "u-1",
    "email": "signer1@example.com",
    "userName": "Signer 1",
}


def completed(sandbox: Sandbox) -> str:
    envelope_id = sandbox.create()
    assert sandbox.http.post(f"/sandbox/envelopes/{envelope_id}/sign_all").json()["status"] == "completed"
    return envelope_id


def calling(row_id: str, method: str, path: str, body: object = None, **more: object) -> None:
    """A row that one call triggers; {draft}, {sent} and {done} in the path become fresh envelopes."""

    def call(sandbox: Sandbox) -> httpx.Response:
        made = path
        if "{draft}" in path:
            made = path.replace("{draft}", sandbox.create(status="created"))
        if "{sent}" in path:
            made = path.replace("{sent}", sandbox.create(recipients=EMBEDDED))
        if "{done}" in path:
            made = path.replace("{done}", completed(sandbox))
        return sandbox.api(method, made, body, **more)

    TRIGGERS[row_id] = call


def asserting(row_id: str, **claims: object) -> None:
    TRIGGERS[row_id] = lambda sandbox: sandbox.ask_token(sandbox.assertion(**claims))


def steering(row_id: str, method: str, path: str, status: str = "sent", **body: object) -> None:
    def call(sandbox: Sandbox) -> httpx.Response:
        return sandbox.control(method, path.replace("{id}", sandbox.create(status=status)), **body)

    TRIGGERS[row_id] = call


asserting("oauth-issuer-unknown", iss=NOWHERE)
asserting("oauth-algorithm", alg="HS256")
asserting("oauth-audience-wrong", aud="https://account-d.docusign.com")
asserting("oauth-assertion-expired", iat=int(time.time()) - 4000, exp=int(time.time()) - 600)
asserting("oauth-assertion-too-long", exp=int(time.time()) + 7200)
asserting("oauth-scope-missing", scope="signature")
asserting("oauth-user-unknown", sub="somebody@example.com")
TRIGGERS["oauth-grant-unsupported"] = lambda sandbox: sandbox.ask_token(grant="password")
TRIGGERS["oauth-assertion-malformed"] = lambda sandbox: sandbox.ask_token("no-jwt")
TRIGGERS["oauth-userinfo-token"] = lambda sandbox: sandbox.http.get("/oauth/userinfo")
TRIGGERS["oauth-consent-client"] = lambda sandbox: sandbox.http.get(f"/oauth/auth?client_id={NOWHERE}")

calling("api-path-unknown", "GET", "/envelops")
calling("api-method-not-allowed", "PATCH", "/envelopes")
calling("envelope-id-malformed", "GET", "/envelopes/one")
calling("envelope-unknown", "GET", f"/envelopes/{NOWHERE}")
calling("get-include-unknown", "GET", "/envelopes/{sent}?include=people")
calling("update-send-not-draft", "PUT", "/envelopes/{sent}", {"status": "sent"})
calling("update-status-invalid", "PUT", "/envelopes/{sent}", {"status": "completed"})
calling("update-void-without-reason", "PUT", "/envelopes/{sent}", {"status": "voided"})
calling("update-void-invalid-state", "PUT", "/envelopes/{done}", {"status": "voided", "voidedReason": "late"})
calling("update-resend-invalid-state", "PUT", "/envelopes/{done}?resend_envelope=true", {})
calling(
    "update-purge-state-invalid", "PUT", "/envelopes/{sent}", {"purgeState": "unpurged", "status": "sent"}
)
calling("update-purge-invalid-state", "PUT", "/envelopes/{sent}", {"purgeState": "documents_queued"})
calling("update-attribute-read-only", "PUT", "/envelopes/{sent}", {"createdDateTime": "2026-01-01T00:00:00Z"})
calling("update-invalid-state", "PUT", "/envelopes/{done}", {"emailSubject": "New"})
calling("list-without-criterion", "GET", "/envelopes?status=sent")
calling("list-date-invalid", "GET", "/envelopes?from_date=yesterday")
calling("list-date-without-offset", "GET", "/envelopes?from_date=2020-01-01T00:00:00")
calling("list-basis-unknown", "GET", "/envelopes?from_date=2020-01-01T00:00:00Z&from_to_status=signed-ish")
calling("list-page-invalid", "GET", "/envelopes?from_date=2020-01-01T00:00:00Z&count=1001")
calling("status-without-request-body", "PUT", "/envelopes/status", {"envelopeIds": [NOWHERE]})
calling("folder-unknown", "PUT", "/folders/inbox", {"envelopeIds": [NOWHERE]})
calling("folder-without-envelopes", "PUT", "/folders/recyclebin", {})
calling(
    "custom-field-unknown",
    "DELETE",
    "/envelopes/{draft}/custom_fields",
    {"textCustomFields": [{"fieldId": "1"}]},
)
calling("recipient-unknown", "GET", "/envelopes/{sent}/recipients/9/tabs")
calling(
    "recipients-invalid-state", "PUT", "/envelopes/{done}/recipients", {"signers": [{"recipientId": "1"}]}
)
calling("tab-unknown", "PUT", "/envelopes/{sent}/recipients/1/tabs", {"signHereTabs": [{"tabId": NOWHERE}]})
calling("document-unknown", "GET", "/envelopes/{sent}/documents/7")
calling(
    "documents-invalid-state", "DELETE", "/envelopes/{done}/documents", {"documents": [{"documentId": "1"}]}
)
calling("document-put-without-filename", "PUT", "/envelopes/{draft}/documents/2", content=blank_pdf())
calling(
    "document-empty", "PUT", "/envelopes/{draft}/documents/2", content=b"",
    headers={"Content-Disposition": 'filename="a.pdf"', "Content-Type": "application/pdf"},
)  # fmt: skip
calling("lock-invalid-state", "POST", "/envelopes/{done}/lock", {"lockType": "edit"})
calling("lock-none", "DELETE", "/envelopes/{sent}/lock")
calling("lock-type-invalid", "POST", "/envelopes/{sent}/lock", {"lockType": "write"})
calling(
    "lock-duration-invalid",
    "POST",
    "/envelopes/{sent}/lock",
    {"lockType": "edit", "lockDurationInSeconds": "0"},
)
calling(
    "view-return-url", "POST", "/envelopes/{sent}/views/recipient", {**VIEW, "returnUrl": "http://a.example"}
)
calling(
    "view-return-url-too-long", "POST", "/envelopes/{sent}/views/recipient",
    {**VIEW, "returnUrl": "https://a.example/" + "x" * 470},
)  # fmt: skip
calling(
    "view-authentication-method",
    "POST",
    "/envelopes/{sent}/views/recipient",
    {**VIEW, "authenticationMethod": "SMS"},
)
calling("view-ping-frequency", "POST", "/envelopes/{sent}/views/recipient", {**VIEW, "pingFrequency": "30"})
calling("view-invalid-state", "POST", "/envelopes/{draft}/views/recipient", VIEW)
calling(
    "view-recipient-unknown", "POST", "/envelopes/{sent}/views/recipient", {**VIEW, "userName": "Signer One"}
)
calling(
    "view-not-in-sequence", "POST", "/envelopes/{sent}/views/recipient",
    {**VIEW, "clientUserId": "u-2", "email": "signer2@example.com", "userName": "Signer 2"},
)  # fmt: skip
calling("upload-data-invalid", "POST", "/chunked_uploads", {"data": "%"})
HOOK = {
    key: value for key, value in notification("", "envelope-sent").items() if key in {"events", "eventData"}
}
calling("connect-name-missing", "POST", "/connect", {**HOOK, "urlToPublishTo": "https://a.example"})
calling(
    "connect-type-unknown", "POST", "/connect",
    {**HOOK, "name": "a", "configurationType": "salesforce", "urlToPublishTo": "https://a.example"},
)  # fmt: skip
calling("connect-unknown", "GET", "/connect/1")
calling("connect-log-unknown", "GET", "/connect/logs/1")
calling("connect-failure-unknown", "DELETE", "/connect/failures/1")
calling("connect-republish-without-ids", "PUT", "/connect/envelopes/retry_queue", {})

steering("control-body", "POST", "/faults", kind="earthquake")
steering("control-action-unknown", "POST", "/envelopes/{id}/recipients/1/dance")
steering("control-envelope-not-open", "POST", "/envelopes/{id}/expire", status="created")
steering("control-not-queued", "POST", "/envelopes/{id}/purge")


@trigger("oauth-signature-invalid")
def _(sandbox: Sandbox) -> httpx.Response:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = stranger.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return sandbox.ask_token(sandbox.assertion(key=pem.decode()))


@trigger("oauth-consent-required")
def _(sandbox: Sandbox) -> httpx.Response:
    sandbox.control("POST", "/switches", has_consent=False)
    return sandbox.ask_token()


@trigger("api-token-missing")
def _(sandbox: Sandbox) -> httpx.Response:
    return sandbox.http.get(f"{sandbox.base}/templates")


@trigger("api-token-invalid")
def _(sandbox: Sandbox) -> httpx.Response:
    return sandbox.http.get(f"{sandbox.base}/templates", headers={"Authorization": "Bearer forged"})


@trigger("api-account-foreign")
def _(sandbox: Sandbox) -> httpx.Response:
    path = f"/restapi/v2.1/accounts/{NOWHERE}/templates"
    return sandbox.http.get(path, headers={"Authorization": f"Bearer {sandbox.token}"})


@trigger("api-body-too-large")
def _(sandbox: Sandbox) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return sandbox.api("POST", "/envelopes", content=b" " * 36_800_000, headers=headers)


@trigger("hourly-limit")
def _(sandbox: Sandbox) -> httpx.Response:
    sandbox.control("POST", "/switches", hourly_limit=1, burst_limit=0)
    sandbox.api("GET", "/templates")
    return sandbox.api("GET", "/templates")


@trigger("burst-limit")
def _(sandbox: Sandbox) -> httpx.Response:
    sandbox.control("POST", "/switches", hourly_limit=0, burst_limit=1)
    for _ in range(3):  # a window of 30 seconds may end between two calls
        answer = sandbox.api("GET", "/templates")
    return answer


@trigger("polling-limit")
def _(sandbox: Sandbox) -> httpx.Response:
    envelope_id = sandbox.create()
    sandbox.control("POST", "/switches", is_polling_limited=True)
    sandbox.get(envelope_id)
    return sandbox.api("GET", f"/envelopes/{envelope_id}")


@trigger("recipient-already-completed")
def _(sandbox: Sandbox) -> httpx.Response:
    envelope_id = sandbox.create(recipients=EMBEDDED)
    sandbox.act(envelope_id, "1", "sign")
    return sandbox.api("DELETE", f"/envelopes/{envelope_id}/recipients/1")


@trigger("documents-already-signed")
def _(sandbox: Sandbox) -> httpx.Response:
    envelope_id = sandbox.create(recipients=EMBEDDED)
    sandbox.act(envelope_id, "1", "sign")
    return sandbox.api("DELETE", f"/envelopes/{envelope_id}/documents", {"documents": [{"documentId": "1"}]})


@trigger("document-purged")
def _(sandbox: Sandbox) -> httpx.Response:
    envelope_id = completed(sandbox)
    sandbox.api("PUT", f"/envelopes/{envelope_id}", {"purgeState": "documents_queued"})
    sandbox.control("POST", f"/envelopes/{envelope_id}/purge")
    return sandbox.api("GET", f"/envelopes/{envelope_id}/documents/1")


@trigger("lock-not-owner")
def _(sandbox: Sandbox) -> httpx.Response:
    envelope_id = sandbox.create()
    sandbox.api("POST", f"/envelopes/{envelope_id}/lock", {"lockType": "edit"})
    return sandbox.api("PUT", f"/envelopes/{envelope_id}", {"emailSubject": "Mine"})


@trigger("lock-already-locked")
def _(sandbox: Sandbox) -> httpx.Response:
    envelope_id = sandbox.create()
    sandbox.api("POST", f"/envelopes/{envelope_id}/lock", {"lockType": "edit"})
    return sandbox.api("POST", f"/envelopes/{envelope_id}/lock", {"lockType": "edit"})


def _upload(sandbox: Sandbox) -> str:
    data = base64.b64encode(b"part").decode()
    return sandbox.api("POST", "/chunked_uploads", {"data": data}).json()["chunkedUploadId"]


@trigger("upload-committed")
def _(sandbox: Sandbox) -> httpx.Response:
    path = f"/chunked_uploads/{_upload(sandbox)}?action=commit"
    sandbox.api("PUT", path)
    return sandbox.api("PUT", path)


@trigger("upload-action-unknown")
def _(sandbox: Sandbox) -> httpx.Response:
    return sandbox.api("PUT", f"/chunked_uploads/{_upload(sandbox)}?action=finish")


@trigger("upload-part-out-of-order")
def _(sandbox: Sandbox) -> httpx.Response:
    return sandbox.api("PUT", f"/chunked_uploads/{_upload(sandbox)}/2", {"data": "YQ=="})


@trigger("upload-too-large")
def _(sandbox: Sandbox) -> httpx.Response:
    upload_id = _upload(sandbox)
    for sequence in range(1, 129):
        answer = sandbox.api("PUT", f"/chunked_uploads/{upload_id}/{sequence}", {"data": "YQ=="})
    return answer


@trigger("upload-too-many")
def _(sandbox: Sandbox) -> httpx.Response:
    made: list[str] = []
    while (answer := sandbox.api("POST", "/chunked_uploads", {"data": "YQ=="})).status_code == 201:
        made.append(answer.json()["chunkedUploadId"])
        assert len(made) <= 64
    for upload_id in made:
        sandbox.api("DELETE", f"/chunked_uploads/{upload_id}")
    return answer


@trigger("control-recipient-not-waiting")
def _(sandbox: Sandbox) -> httpx.Response:
    return sandbox.act(sandbox.create(recipients=EMBEDDED), "2", "sign")


@trigger("control-reassign-forbidden")
def _(sandbox: Sandbox) -> httpx.Response:
    envelope_id = sandbox.create(allowReassign="false")
    return sandbox.act(envelope_id, "1", "reassign", name="New", email="new@example.com")


@trigger("page-session-unknown")
def _(sandbox: Sandbox) -> httpx.Response:
    return sandbox.http.get("/Signing/StartInSession.aspx?t=guessed")


@trigger("page-foreign-form")
def _(sandbox: Sandbox) -> httpx.Response:
    path = f"/sandbox/envelopes/{sandbox.create()}/page"
    return sandbox.http.post(path, data={"action": "expire"}, headers={"Sec-Fetch-Site": "cross-site"})
