"""One case per special row of the refusal table; what many operations share is in adobe_refusal_spoilers."""

from collections.abc import Callable

import adobe_refusal_senders as do
import httpx
from adobe_refusal_spoilers import GONE, READ_ONLY
from adobe_sandbox_kit import API, Api, Receiver, signer
from adobe_valid_requests import field

CASES: dict[tuple[str, str], Callable[[Api, Receiver], httpx.Response]] = {
    ("*", "no_authorization"): lambda api, r: api.http.get(f"{API}/agreements"),
    ("*", "invalid_token"): lambda api, r: api.call("GET", "/agreements", token="forged"),
    ("*", "expired_token"): do.expired_token,
    ("*", "malformed_api_user"): do.acting_as("ada@example.com"),
    ("*", "unknown_api_user"): do.acting_as("email:stranger@example.com"),
    ("*", "wrong_access_point"): do.wrong_access_point,
    ("*", "too_many_requests"): do.throttled_call,
    ("*", "too_many_identical_gets"): do.polling,
    ("*", "unknown_path"): lambda api, r: api.call("GET", "/agreement"),
    ("*", "wrong_method"): lambda api, r: api.call("PATCH", "/agreements"),
    ("oauth_token", "wrong_content_type"): do.json_oauth("token"),
    ("oauth_token", "wrong_grant"): lambda api, r: api.oauth("token", grant_type="password"),
    ("oauth_token", "unknown_client"): lambda api, r: api.oauth(
        "token", grant_type="authorization_code", client_id="x"
    ),
    ("oauth_token", "unknown_code"): lambda api, r: api.oauth(
        "token", grant_type="authorization_code", code="x"
    ),
    ("oauth_token", "expired_code"): do.expired_code,
    ("oauth_refresh", "wrong_content_type"): do.json_oauth("refresh"),
    ("oauth_refresh", "wrong_grant"): lambda api, r: api.oauth("refresh", grant_type="authorization_code"),
    ("oauth_refresh", "unknown_client"): lambda api, r: api.oauth(
        "refresh", grant_type="refresh_token", client_secret="x"
    ),
    ("oauth_refresh", "unknown_refresh_token"): lambda api, r: api.oauth(
        "refresh", grant_type="refresh_token", refresh_token="x"
    ),
    ("oauth_refresh", "idle_refresh_token"): do.idle_refresh,
    ("oauth_revoke", "no_token"): lambda api, r: api.oauth("revoke"),
    ("oauth_revoke", "unknown_token"): lambda api, r: api.oauth("revoke", token="x"),
    ("oauth_revoke", "expired_token"): do.revoked,
    ("create_transient", "missing_scope"): lambda api, r: api.call(
        "POST", "/transientDocuments", files={"File": do.file()}, token=api.refresh(READ_ONLY)
    ),
    ("create_transient", "not_multipart"): lambda api, r: api.call(
        "POST", "/transientDocuments", {"File": "x"}
    ),
    ("create_transient", "no_file"): do.upload({"File-Name": (None, "a.pdf")}),
    ("create_transient", "no_file_name"): do.upload({"File": do.file(name="")}),
    ("create_transient", "two_files"): do.upload([("File", do.file()), ("File", do.file())]),
    ("create_transient", "unknown_part"): do.upload({"File": do.file()}, Comment="x"),
    ("create_transient", "too_large"): do.too_large,
    ("create_transient", "empty_file"): do.upload({"File": do.file(b"")}),
    ("create_transient", "unsupported_mime_type"): do.upload({"File": do.file(kind="application/zip")}),
    ("get_combined", "not_yet_processed"): do.of("get_combined", "/combinedDocument"),
    ("get_combined", "documents_deleted"): do.deleted_documents("/combinedDocument"),
    ("get_combined", "bad_query"): lambda api, r: api.call(
        "GET", f"/agreements/{api.create()}/combinedDocument?attachAuditReport=yes"
    ),
    ("list_documents", "not_yet_processed"): do.of("list_documents", "/documents"),
    ("get_document", "unknown_document"): lambda api, r: api.call(
        "GET", f"/agreements/{api.create()}/documents/{GONE}"
    ),
    ("get_document", "documents_deleted"): do.deleted_documents("/documents/{document}"),
    ("delete_documents", "not_terminal"): do.delete_early,
    ("get_audit_trail", "not_yet_processed"): do.of("get_audit_trail", "/auditTrail"),
    ("get_library", "unknown_library"): lambda api, r: api.call("GET", f"/libraryDocuments/{GONE}"),
    ("create_agreement", "no_file_source"): do.files({"label": "x"}),
    ("create_agreement", "two_file_sources"): do.two_sources,
    ("create_agreement", "url_file"): do.files({"urlFileInfo": {"url": "https://example.com/a.pdf"}}),
    ("create_agreement", "document_file"): do.files({"document": {"id": "x"}}),
    ("create_agreement", "unknown_transient"): do.files({"transientDocumentId": GONE}),
    ("create_agreement", "expired_transient"): do.expired_transient,
    ("create_agreement", "unknown_library"): do.files({"libraryDocumentId": GONE}),
    ("create_agreement", "no_signer"): do.create(
        participantSetsInfo=[signer("a@example.com", None, "SHARE")]
    ),
    ("create_agreement", "orders_not_from_one"): do.create(participantSetsInfo=[signer("a@example.com", 2)]),
    ("create_agreement", "orders_with_gap"): do.create(
        participantSetsInfo=[signer("a@example.com"), signer("b@example.com", 3)]
    ),
    ("create_agreement", "order_missing"): do.create(participantSetsInfo=[signer("a@example.com", None)]),
    ("create_agreement", "order_on_share"): do.create(
        participantSetsInfo=[signer("a@example.com"), signer("b@example.com", 2, "SHARE")]
    ),
    ("create_agreement", "hybrid_routing"): do.hybrid,
    ("create_agreement", "password_missing"): do.create(
        participantSetsInfo=[signer("a@example.com", security={"authenticationMethod": "PASSWORD"})]
    ),
    ("create_agreement", "phone_missing"): do.create(
        participantSetsInfo=[
            signer(
                "a@example.com",
                security={"authenticationMethod": "PHONE", "phoneInfo": {"phone": "5551234567"}},
            )
        ]
    ),
    ("create_agreement", "past_expiration"): do.create(expirationTime=do.days_from_now(-1)),
    ("create_agreement", "far_expiration"): do.create(expirationTime=do.days_from_now(181)),
    ("create_agreement", "short_reminder_delay"): do.create(firstReminderDelay=0),
    ("create_agreement", "bad_redirect_url"): do.create(
        postSignOption={"redirectUrl": "javascript:alert(1)"}
    ),
    ("create_agreement", "negative_redirect_delay"): do.create(
        postSignOption={"redirectUrl": "https://example.com", "redirectDelay": -1}
    ),
    ("create_agreement", "generator_set_unknown"): do.generator(participantSetName="two"),
    ("create_agreement", "generator_file_unknown"): do.generator(anchor={"fileInfoLabel": "other"}),
    ("create_agreement", "send_limit"): do.send_limit,
    ("list_agreements", "bad_page_size"): lambda api, r: api.call("GET", "/agreements?pageSize=501"),
    ("list_agreements", "bad_cursor"): lambda api, r: api.call("GET", "/agreements?cursor=x"),
    ("list_agreements", "empty_external_id"): lambda api, r: api.call("GET", "/agreements?externalId="),
    ("update_agreement", "not_a_draft"): do.update_sent,
    ("update_agreement", "not_the_sender"): do.as_ada("update_agreement"),
    ("set_state", "not_the_sender"): do.as_ada("set_state"),
    ("set_state", "already_signed"): do.put_state("signed", "CANCELLED"),
    ("set_state", "already_cancelled"): do.put_state("cancelled", "CANCELLED"),
    ("set_state", "already_expired"): do.expired_state,
    ("set_state", "wrong_transition"): do.put_state("AUTHORING", "AUTHORING"),
    ("set_state", "not_yet_processed"): do.put_state("processing", "CANCELLED"),
    ("delete_agreement", "not_the_sender"): do.as_ada("delete_agreement"),
    ("get_signing_urls", "not_yet_processed"): do.of("get_signing_urls", "/signingUrls"),
    ("get_signing_urls", "not_sent"): lambda api, r: api.call(
        "GET", f"/agreements/{api.create(state='AUTHORING')}/signingUrls"
    ),
    ("get_signing_urls", "terminal"): do.of("get_signing_urls", "/signingUrls", "signed"),
    ("create_view", "signing_not_possible"): lambda api, r: api.call(
        "POST", f"/agreements/{api.signed()}/views", {"name": "SIGNING"}
    ),
    ("get_participant_set", "unknown_set"): do.other_set("get_participant_set"),
    ("replace_participant", "unknown_set"): do.other_set("replace_participant"),
    ("replace_participant", "not_the_sender"): do.as_ada("replace_participant"),
    ("replace_participant", "set_completed"): do.replace_completed,
    ("replace_participant", "agreement_terminal"): do.replace_after_end,
    ("replace_participant", "changed_role"): do.spoilt("replace_participant", role="APPROVER"),
    ("delegate_participant", "unknown_set"): do.other_set("delegate_participant"),
    ("delegate_participant", "not_the_participant"): do.as_sender("delegate_participant"),
    ("delegate_participant", "not_waiting"): do.second_in_line("delegate_participant"),
    ("reject", "unknown_set"): do.other_set("reject"),
    ("reject", "unknown_participant"): do.reject_unknown,
    ("reject", "not_the_participant"): do.as_sender("reject"),
    ("reject", "not_waiting"): do.second_in_line("reject"),
    ("create_reminder", "unknown_participant"): do.spoilt("create_reminder", recipientParticipantIds=[GONE]),
    ("create_reminder", "participant_not_waiting"): do.remind_completed,
    ("create_reminder", "agreement_not_out"): do.remind_draft,
    ("create_reminder", "negative_delay"): do.spoilt("create_reminder", firstReminderDelay=-1),
    ("put_form_fields", "not_authoring"): do.fields_when_sent,
    ("put_form_fields", "unknown_assignee"): do.fields(lambda a: field("nobody-known")),
    ("put_form_fields", "page_out_of_range"): do.fields(lambda a: field(a, at={"pageNumber": 2})),
    ("put_form_fields", "outside_page"): do.fields(lambda a: field(a, at={"top": 10})),
    ("put_form_fields", "duplicate_name"): do.fields(field, field),
    ("create_webhook", "http_url"): do.hook_at("http://example.com/hook"),
    ("create_webhook", "wrong_port"): do.hook_at("https://example.com:9000/hook"),
    ("create_webhook", "private_address"): do.hook_at("https://10.1.2.3/hook"),
    ("create_webhook", "unresolvable_host"): do.hook_at("https://no-such-host.invalid/hook"),
    ("create_webhook", "credentials_in_url"): do.hook_at("https://user:secret@example.com/hook"),
    ("create_webhook", "intent_not_echoed"): do.hook_answering(verify_status=299),
    ("create_webhook", "intent_wrong_status"): do.hook_answering(verify_status=404),
    ("create_webhook", "intent_unreachable"): do.hook_at("http://127.0.0.1:9/hook"),
    ("create_webhook", "intent_too_slow"): do.hook_answering(hanging=True),
    ("create_webhook", "unknown_event"): do.hook(webhookSubscriptionEvents=["AGREEMENT_ALL_SIGNED"]),
    ("create_webhook", "resource_without_id"): do.hook(scope="RESOURCE", resourceType="AGREEMENT"),
    ("create_webhook", "unknown_resource"): do.hook(
        scope="RESOURCE", resourceType="AGREEMENT", resourceId=GONE
    ),
    ("create_webhook", "other_resource_type"): do.hook(
        scope="RESOURCE", resourceType="WIDGET", resourceId=GONE
    ),
    ("create_webhook", "inactive_state"): do.hook(state="INACTIVE"),
    ("create_webhook", "duplicate"): do.hook_twice(),
    ("create_webhook", "limit"): do.hook_twice(limit=1),
    ("get_webhook", "unknown_webhook"): do.unknown_webhook("get_webhook"),
    ("update_webhook", "unknown_webhook"): do.unknown_webhook("update_webhook"),
    ("update_webhook", "immutable_field"): do.spoilt("update_webhook", scope="USER"),
    ("update_webhook", "unknown_event"): do.spoilt("update_webhook", webhookSubscriptionEvents=["SIGNED"]),
    ("set_webhook_state", "unknown_webhook"): do.unknown_webhook("set_webhook_state"),
    ("set_webhook_state", "intent_not_echoed"): do.activate_silent,
    ("delete_webhook", "unknown_webhook"): do.unknown_webhook("delete_webhook"),
    ("list_webhooks", "bad_page_size"): lambda api, r: api.call("GET", "/webhooks?pageSize=0"),
    ("list_webhooks", "bad_cursor"): lambda api, r: api.call("GET", "/webhooks?cursor=x"),
}
