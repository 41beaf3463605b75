"""One valid request per operation, for tests that spoil exactly one thing of it."""

from typing import NamedTuple

from adobe_sandbox_kit import Api, Receiver, signer, webhook_body


class Valid(NamedTuple):
    method: str
    path: str
    body: dict | None = None
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    agreement: str = ""

    def send(self, api: Api, **more: object):
        return api.call(
            self.method, self.path, self.body, headers={**self.headers, **more.pop("headers", {})}, **more
        )


def build_valid(api: Api, operation: str, receiver: Receiver) -> Valid:
    """The request, with whatever must exist for it."""
    if operation.endswith("_webhook") or operation == "set_webhook_state":
        return _webhook(api, operation, receiver)
    if operation == "create_agreement":
        return Valid("POST", "/agreements", api.body(expirationTime=None, ccs=[{"email": "cy@example.com"}]))
    if operation == "list_agreements":
        return Valid("GET", "/agreements")
    state = {"update_agreement": "DRAFT", "put_form_fields": "AUTHORING"}.get(operation, "IN_PROCESS")
    one = api.create(state=state)
    if operation == "delete_documents":
        api.act(one, "sign_all")
    base = f"/agreements/{one}"
    part = api.sets(one)[0]
    part_path = f"{base}/members/participantSets/{part['id']}"
    member = part["memberInfos"][0]["id"]
    as_ada = {"x-api-user": "email:ada@example.com"}

    def matching(path: str) -> dict[str, str]:
        return {"If-Match": api.etag(path)}

    requests = {
        "get_agreement": lambda: Valid("GET", base),
        "update_agreement": lambda: Valid("PUT", base, api.body(state="DRAFT", name="New"), matching(base)),
        "set_state": lambda: Valid("PUT", f"{base}/state", {"state": "CANCELLED"}, matching(base)),
        "delete_agreement": lambda: Valid("DELETE", base),
        "get_members": lambda: Valid("GET", f"{base}/members"),
        "get_participant_set": lambda: Valid("GET", part_path),
        "replace_participant": lambda: Valid(
            "PUT", part_path, signer("new@example.com"), matching(part_path)
        ),
        "delegate_participant": lambda: Valid(
            "POST",
            f"{part_path}/delegatedParticipantSets",
            {"memberInfos": [{"email": "bo@example.com"}]},
            as_ada,
        ),
        "reject": lambda: Valid(
            "PUT",
            f"{part_path}/participants/{member}/reject",
            {"comment": "no"},
            {**matching(part_path), **as_ada},
        ),
        "create_reminder": lambda: Valid(
            "POST",
            f"{base}/reminders",
            {"recipientParticipantIds": [member], "status": "ACTIVE", "frequency": "ONCE"},
        ),
        "list_reminders": lambda: Valid("GET", f"{base}/reminders"),
        "get_combined": lambda: Valid("GET", f"{base}/combinedDocument"),
        "list_documents": lambda: Valid("GET", f"{base}/documents"),
        "get_document": lambda: Valid("GET", f"{base}/documents/{_document(api, base)}"),
        "delete_documents": lambda: Valid("DELETE", f"{base}/documents", None, matching(base)),
        "get_audit_trail": lambda: Valid("GET", f"{base}/auditTrail"),
        "get_events": lambda: Valid("GET", f"{base}/events"),
        "get_form_fields": lambda: Valid("GET", f"{base}/formFields"),
        "put_form_fields": lambda: Valid(
            "PUT", f"{base}/formFields", {"fields": [field(part["id"])]}, matching(f"{base}/formFields")
        ),
        "get_form_data": lambda: Valid("GET", f"{base}/formData"),
        "get_signing_urls": lambda: Valid("GET", f"{base}/signingUrls"),
        "create_view": lambda: Valid("POST", f"{base}/views", {"name": "DOCUMENT"}),
        "set_visibility": lambda: Valid("PUT", f"{base}/me/visibility", {"visibility": "HIDE"}),
    }
    return requests[operation]()._replace(agreement=one)


def field(assignee: str, **changes: object) -> dict:
    location = {"pageNumber": 1, "left": 60, "top": 280, "width": 150, "height": 40}
    return {
        "name": "sig1",
        "inputType": "SIGNATURE",
        "contentType": "SIGNATURE_BLOCK",
        "assignee": assignee,
        "required": True,
        "locations": [location | changes.pop("at", {})],
    } | changes


def _document(api: Api, base: str) -> str:
    return api.get(f"{base}/documents")["documents"][0]["id"]


def _webhook(api: Api, operation: str, receiver: Receiver) -> Valid:
    body = webhook_body(receiver.url)
    if operation == "create_webhook":
        return Valid("POST", "/webhooks", body)
    answer = api.call("POST", "/webhooks", body)
    assert answer.status_code == 201, answer.text
    path = f"/webhooks/{answer.json()['id']}"
    match operation:
        case "get_webhook":
            return Valid("GET", path)
        case "update_webhook":
            return Valid("PUT", path, body | {"name": "renamed"}, {"If-Match": api.etag(path)})
        case "set_webhook_state":
            return Valid("PUT", f"{path}/state", {"state": "INACTIVE"}, {"If-Match": api.etag(path)})
        case _:
            return Valid("DELETE", path)
