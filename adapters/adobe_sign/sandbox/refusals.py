"""Everything that the sandbox refuses, as data: operation, trigger, status, code, source of the answer.

A handler can only refuse through a row of this table, and the tests have one case per row.
`doc` rows follow the provider contracts; `own` rows are this sandbox's choice where those are silent.
"""

from typing import NamedTuple

from adapters.adobe_sign.sandbox.world import JsonObject


class Row(NamedTuple):
    """One refusal; `operation` "*" applies to every API operation."""

    operation: str
    trigger: str
    status: int
    code: str
    source: str = "doc"


_EVERYWHERE = (
    Row("*", "no_authorization", 401, "NO_AUTHORIZATION_HEADER"),
    Row("*", "invalid_token", 401, "INVALID_ACCESS_TOKEN"),
    Row("*", "expired_token", 401, "INVALID_ACCESS_TOKEN"),
    Row("*", "malformed_api_user", 400, "INVALID_X_API_USER_HEADER"),
    Row("*", "unknown_api_user", 401, "INVALID_USER"),
    Row("*", "wrong_access_point", 400, "INVALID_API_ACCESS_POINT"),
    Row("*", "too_many_requests", 429, "THROTTLING_TOO_MANY_REQUESTS"),
    Row("*", "too_many_identical_gets", 429, "THROTTLING_TOO_MANY_REQUESTS"),
    Row("*", "unknown_path", 404, "RESOURCE_NOT_FOUND", "own"),
    Row("*", "wrong_method", 405, "METHOD_NOT_ALLOWED", "own"),
)
_SCOPES = tuple(
    Row(operation, "missing_scope", 403, "PERMISSION_DENIED")
    for operation in (
        "create_transient",
        "create_agreement",
        "update_agreement",
        "set_state",
        "delete_agreement",
        "replace_participant",
        "delegate_participant",
        "reject",
        "create_reminder",
        "delete_documents",
        "put_form_fields",
        "create_view",
        "set_visibility",
        "create_webhook",
        "update_webhook",
        "set_webhook_state",
        "delete_webhook",
    )
)
_BODIES = tuple(
    Row(operation, trigger, 400, code, source)
    for operation in (
        "create_agreement",
        "update_agreement",
        "set_state",
        "replace_participant",
        "delegate_participant",
        "reject",
        "create_reminder",
        "put_form_fields",
        "create_view",
        "set_visibility",
        "create_webhook",
        "update_webhook",
        "set_webhook_state",
    )
    for trigger, code, source in (
        ("not_json", "INVALID_JSON", "doc"),
        ("not_an_object", "INVALID_JSON", "doc"),
        ("unknown_attribute", "INVALID_JSON", "own"),
    )
) + tuple(
    Row(operation, "wrong_content_type", 415, "UNSUPPORTED_MEDIA_TYPE", "own")
    for operation in ("create_agreement", "set_state", "create_webhook")
)
_REQUIRED = tuple(
    Row(operation, "missing_attribute", 400, "MISSING_REQUIRED_PARAM")
    for operation in (
        "create_agreement",
        "update_agreement",
        "set_state",
        "replace_participant",
        "delegate_participant",
        "create_reminder",
        "put_form_fields",
        "create_view",
        "set_visibility",
        "create_webhook",
        "update_webhook",
        "set_webhook_state",
    )
)
_VALUES = tuple(
    Row(operation, trigger, 400, code, source)
    for operation, triggers in {
        "create_agreement": ("wrong_type", "bad_value", "bad_date", "bad_email"),
        "update_agreement": ("wrong_type", "bad_value", "bad_date", "bad_email"),
        "set_state": ("wrong_type", "bad_value"),
        "replace_participant": ("wrong_type", "bad_value", "bad_email"),
        "delegate_participant": ("wrong_type", "bad_email"),
        "reject": ("wrong_type",),
        "create_reminder": ("wrong_type", "bad_value"),
        "put_form_fields": ("wrong_type", "bad_value"),
        "create_view": ("wrong_type", "bad_value"),
        "set_visibility": ("wrong_type", "bad_value"),
        "create_webhook": ("wrong_type", "bad_value"),
        "update_webhook": ("wrong_type", "bad_value"),
        "set_webhook_state": ("wrong_type", "bad_value"),
    }.items()
    for trigger in triggers
    for code, source in (
        {
            "wrong_type": ("INVALID_JSON", "doc"),
            "bad_value": ("INVALID_ARGUMENTS", "own"),
            "bad_date": ("INVALID_DATE", "doc"),
            "bad_email": ("INVALID_EMAIL", "doc"),
        }[trigger],
    )
)
_UNKNOWN_AGREEMENT = tuple(
    Row(operation, "unknown_agreement", 404, "INVALID_AGREEMENT_ID")
    for operation in (
        "get_agreement",
        "update_agreement",
        "set_state",
        "delete_agreement",
        "get_members",
        "get_participant_set",
        "replace_participant",
        "delegate_participant",
        "reject",
        "create_reminder",
        "list_reminders",
        "get_combined",
        "list_documents",
        "get_document",
        "delete_documents",
        "get_audit_trail",
        "get_events",
        "get_form_fields",
        "put_form_fields",
        "get_form_data",
        "get_signing_urls",
        "create_view",
        "set_visibility",
    )
)
_IF_MATCH = tuple(
    Row(operation, trigger, status, code)
    for operation in (
        "update_agreement",
        "set_state",
        "replace_participant",
        "reject",
        "delete_documents",
        "put_form_fields",
        "update_webhook",
        "set_webhook_state",
    )
    for trigger, status, code in (
        ("no_if_match", 400, "MISSING_IF_MATCH_HEADER"),
        ("stale_if_match", 412, "RESOURCE_MODIFIED"),
    )
)
_AUTHORIZATION = (
    Row("oauth_token", "wrong_content_type", 400, "INVALID_REQUEST", "own"),
    Row("oauth_token", "wrong_grant", 400, "INVALID_REQUEST"),
    Row("oauth_token", "unknown_client", 401, "INVALID_CLIENT", "own"),
    Row("oauth_token", "unknown_code", 400, "INVALID_CODE", "own"),
    Row("oauth_token", "expired_code", 400, "INVALID_CODE", "own"),
    Row("oauth_refresh", "wrong_content_type", 400, "INVALID_REQUEST", "own"),
    Row("oauth_refresh", "wrong_grant", 400, "INVALID_REQUEST"),
    Row("oauth_refresh", "unknown_client", 401, "INVALID_CLIENT", "own"),
    Row("oauth_refresh", "unknown_refresh_token", 400, "INVALID_TOKEN"),
    Row("oauth_refresh", "idle_refresh_token", 400, "EXPIRED_TOKEN"),
    Row("oauth_revoke", "no_token", 400, "INVALID_REQUEST"),
    Row("oauth_revoke", "unknown_token", 400, "INVALID_TOKEN"),
    Row("oauth_revoke", "expired_token", 400, "EXPIRED_TOKEN"),
)
_DOCUMENTS = (
    Row("create_transient", "not_multipart", 400, "BAD_REQUEST", "own"),
    Row("create_transient", "no_file", 400, "MISSING_REQUIRED_PARAM"),
    Row("create_transient", "no_file_name", 400, "MISSING_REQUIRED_PARAM", "own"),
    Row("create_transient", "two_files", 400, "BAD_REQUEST", "own"),
    Row("create_transient", "unknown_part", 400, "BAD_REQUEST", "own"),
    Row("create_transient", "too_large", 413, "FILE_SIZE_EXCEEDED", "own"),
    Row("create_transient", "empty_file", 400, "MISSING_REQUIRED_PARAM", "own"),
    Row("create_transient", "unsupported_mime_type", 400, "INVALID_ARGUMENTS", "own"),
    Row("get_combined", "not_yet_processed", 404, "DOCUMENT_NOT_YET_AVAILABLE"),
    Row("get_combined", "documents_deleted", 404, "DOCUMENT_DELETED", "own"),
    Row("get_combined", "bad_query", 400, "INVALID_ARGUMENTS", "own"),
    Row("list_documents", "not_yet_processed", 404, "DOCUMENT_NOT_YET_AVAILABLE"),
    Row("get_document", "unknown_document", 404, "INVALID_DOCUMENT_ID"),
    Row("get_document", "documents_deleted", 404, "DOCUMENT_DELETED", "own"),
    Row("delete_documents", "not_terminal", 403, "OPERATION_NOT_ALLOWED", "own"),
    Row("get_audit_trail", "not_yet_processed", 404, "DOCUMENT_NOT_YET_AVAILABLE", "own"),
    Row("get_library", "unknown_library", 404, "INVALID_LIBRARYDOCUMENT_ID"),
)
_AGREEMENTS = (
    Row("create_agreement", "no_file_source", 400, "INVALID_FILE_INFO", "own"),
    Row("create_agreement", "two_file_sources", 400, "INVALID_FILE_INFO", "own"),
    Row("create_agreement", "url_file", 400, "URL_INVALID", "own"),
    Row("create_agreement", "document_file", 400, "INVALID_FILE_INFO", "own"),
    Row("create_agreement", "unknown_transient", 404, "INVALID_TRANSIENTDOCUMENT_ID"),
    Row("create_agreement", "expired_transient", 404, "TRANSIENT_RESOURCE_DELETED"),
    Row("create_agreement", "unknown_library", 404, "INVALID_LIBRARYDOCUMENT_ID"),
    Row("create_agreement", "no_signer", 400, "MISSING_REQUIRED_PARAM", "own"),
    Row("create_agreement", "orders_not_from_one", 400, "INVALID_ARGUMENTS", "own"),
    Row("create_agreement", "orders_with_gap", 400, "INVALID_ARGUMENTS", "own"),
    Row("create_agreement", "order_missing", 400, "MISSING_REQUIRED_PARAM", "own"),
    Row("create_agreement", "order_on_share", 400, "INVALID_ARGUMENTS", "own"),
    Row("create_agreement", "hybrid_routing", 403, "HYBRID_ROUTING_NOT_ALLOWED"),
    Row("create_agreement", "password_missing", 400, "MISSING_REQUIRED_PARAM", "own"),
    Row("create_agreement", "phone_missing", 400, "MISSING_REQUIRED_PARAM", "own"),
    Row("create_agreement", "past_expiration", 400, "INVALID_DATE"),
    Row("create_agreement", "far_expiration", 400, "INVALID_DATE"),
    Row("create_agreement", "short_reminder_delay", 400, "INVALID_ARGUMENTS", "own"),
    Row("create_agreement", "bad_redirect_url", 400, "INVALID_REDIRECT_URL", "own"),
    Row("create_agreement", "negative_redirect_delay", 400, "INVALID_REDIRECT_DELAY", "own"),
    Row("create_agreement", "generator_set_unknown", 400, "INVALID_ARGUMENTS", "own"),
    Row("create_agreement", "generator_file_unknown", 400, "INVALID_ARGUMENTS", "own"),
    Row("create_agreement", "send_limit", 403, "SEND_LIMIT_EXCEEDED"),
    Row("list_agreements", "bad_page_size", 400, "INVALID_PAGE_SIZE", "own"),
    Row("list_agreements", "bad_cursor", 400, "INVALID_CURSOR", "own"),
    Row("list_agreements", "empty_external_id", 400, "EMPTY_EXTERNALID_PARAMETER", "own"),
    Row("update_agreement", "not_a_draft", 403, "OPERATION_NOT_ALLOWED", "own"),
    Row("update_agreement", "not_the_sender", 403, "PERMISSION_DENIED", "own"),
    Row("set_state", "not_the_sender", 403, "PERMISSION_DENIED", "own"),
    Row("set_state", "already_signed", 409, "AGREEMENT_ALREADY_SIGNED"),
    Row("set_state", "already_cancelled", 409, "AGREEMENT_ALREADY_CANCELLED"),
    Row("set_state", "already_expired", 409, "AGREEMENT_ALREADY_EXPIRED", "own"),
    Row("set_state", "wrong_transition", 403, "OPERATION_NOT_ALLOWED", "own"),
    Row("set_state", "not_yet_processed", 403, "OPERATION_NOT_ALLOWED", "own"),
    Row("delete_agreement", "not_the_sender", 403, "PERMISSION_DENIED", "own"),
    Row("get_signing_urls", "not_yet_processed", 404, "DOCUMENT_NOT_YET_AVAILABLE"),
    Row("get_signing_urls", "not_sent", 404, "AGREEMENT_NOT_EXPOSED"),
    Row("get_signing_urls", "terminal", 404, "AGREEMENT_NOT_SIGNABLE"),
    Row("create_view", "signing_not_possible", 404, "AGREEMENT_NOT_SIGNABLE", "own"),
)
_MEMBERS = (
    Row("get_participant_set", "unknown_set", 404, "INVALID_PARTICIPANT_SET_ID", "own"),
    Row("replace_participant", "unknown_set", 404, "INVALID_PARTICIPANT_SET_ID", "own"),
    Row("replace_participant", "not_the_sender", 403, "ONLY_SENDER_CAN_REPLACE"),
    Row("replace_participant", "set_completed", 403, "OPERATION_NOT_ALLOWED", "own"),
    Row("replace_participant", "agreement_terminal", 403, "OPERATION_NOT_ALLOWED", "own"),
    Row("replace_participant", "changed_role", 400, "INVALID_ARGUMENTS", "own"),
    Row("delegate_participant", "unknown_set", 404, "INVALID_PARTICIPANT_SET_ID", "own"),
    Row("delegate_participant", "not_the_participant", 403, "DELEGATION_NOT_ALLOWED"),
    Row("delegate_participant", "not_waiting", 403, "DELEGATION_NOT_ALLOWED", "own"),
    Row("reject", "unknown_set", 404, "INVALID_PARTICIPANT_SET_ID", "own"),
    Row("reject", "unknown_participant", 404, "INVALID_PARTICIPANT"),
    Row("reject", "not_the_participant", 403, "PERMISSION_DENIED", "own"),
    Row("reject", "not_waiting", 403, "OPERATION_NOT_ALLOWED", "own"),
    Row("create_reminder", "unknown_participant", 404, "INVALID_PARTICIPANT"),
    Row("create_reminder", "participant_not_waiting", 403, "OPERATION_NOT_ALLOWED", "own"),
    Row("create_reminder", "agreement_not_out", 403, "OPERATION_NOT_ALLOWED", "own"),
    Row("create_reminder", "negative_delay", 400, "INVALID_ARGUMENTS", "own"),
    Row("put_form_fields", "not_authoring", 403, "AGREEMENT_NOT_IN_AUTHORING_STATE"),
    Row("put_form_fields", "unknown_assignee", 400, "INVALID_ARGUMENTS", "own"),
    Row("put_form_fields", "page_out_of_range", 400, "INVALID_ARGUMENTS", "own"),
    Row("put_form_fields", "outside_page", 400, "INVALID_ARGUMENTS", "own"),
    Row("put_form_fields", "duplicate_name", 400, "INVALID_ARGUMENTS", "own"),
)
_WEBHOOKS = (
    Row("create_webhook", "http_url", 400, "INVALID_WEBHOOK_URL"),
    Row("create_webhook", "wrong_port", 400, "INVALID_WEBHOOK_URL"),
    Row("create_webhook", "private_address", 400, "INVALID_WEBHOOK_URL"),
    Row("create_webhook", "unresolvable_host", 400, "INVALID_WEBHOOK_URL"),
    Row("create_webhook", "credentials_in_url", 400, "INVALID_WEBHOOK_URL", "own"),
    Row("create_webhook", "intent_not_echoed", 400, "INVALID_WEBHOOK_URL", "own"),
    Row("create_webhook", "intent_wrong_status", 400, "INVALID_WEBHOOK_URL", "own"),
    Row("create_webhook", "intent_unreachable", 400, "INVALID_WEBHOOK_URL", "own"),
    Row("create_webhook", "intent_too_slow", 400, "INVALID_WEBHOOK_URL", "own"),
    Row("create_webhook", "unknown_event", 400, "INVALID_WEBHOOK_SUBSCRIPTION_EVENTS"),
    Row("create_webhook", "resource_without_id", 400, "MISSING_REQUIRED_PARAM"),
    Row("create_webhook", "unknown_resource", 404, "INVALID_AGREEMENT_ID", "own"),
    Row("create_webhook", "other_resource_type", 403, "WEBHOOK_CREATION_NOT_ALLOWED", "own"),
    Row("create_webhook", "inactive_state", 400, "INVALID_ARGUMENTS", "own"),
    Row("create_webhook", "duplicate", 400, "DUPLICATE_WEBHOOK_CONFIGURATION"),
    Row("create_webhook", "limit", 400, "WEBHOOK_LIMIT_EXCEEDED"),
    Row("get_webhook", "unknown_webhook", 404, "INVALID_WEBHOOK_ID"),
    Row("update_webhook", "unknown_webhook", 404, "INVALID_WEBHOOK_ID"),
    Row("update_webhook", "immutable_field", 400, "MODIFYING_IMMUTABLE_FIELDS"),
    Row("update_webhook", "unknown_event", 400, "INVALID_WEBHOOK_SUBSCRIPTION_EVENTS"),
    Row("set_webhook_state", "unknown_webhook", 404, "INVALID_WEBHOOK_ID"),
    Row("set_webhook_state", "intent_not_echoed", 400, "INVALID_WEBHOOK_URL", "own"),
    Row("delete_webhook", "unknown_webhook", 404, "INVALID_WEBHOOK_ID"),
    Row("list_webhooks", "bad_page_size", 400, "INVALID_PAGE_SIZE"),
    Row("list_webhooks", "bad_cursor", 400, "INVALID_CURSOR"),
)

TABLE: tuple[Row, ...] = (
    *_EVERYWHERE,
    *_SCOPES,
    *_BODIES,
    *_REQUIRED,
    *_VALUES,
    *_UNKNOWN_AGREEMENT,
    *_IF_MATCH,
    *_AUTHORIZATION,
    *_DOCUMENTS,
    *_AGREEMENTS,
    *_MEMBERS,
    *_WEBHOOKS,
)
_BY_KEY = {(row.operation, row.trigger): row for row in TABLE}


class RefusedError(Exception):
    """A request that the API refuses; becomes `{"code", "message"}`."""

    def __init__(self, row: Row, message: str, headers: dict[str, str], extra: JsonObject) -> None:
        super().__init__(message)
        self.row = row
        self.message = message
        self.headers = headers
        self.extra = extra


def refused(
    operation: str,
    trigger: str,
    message: str,
    *,
    headers: dict[str, str] | None = None,
    extra: JsonObject | None = None,
) -> RefusedError:
    """The refusal of this table row; a KeyError here is a missing row."""
    row = _BY_KEY.get((operation, trigger)) or _BY_KEY["*", trigger]
    return RefusedError(row, message, headers or {}, extra or {})
