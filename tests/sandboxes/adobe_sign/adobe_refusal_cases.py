"""How to provoke each refusal: a spoiler for what many operations share, a case for what is special."""

import time
from collections.abc import Callable

import httpx
from adobe_sandbox_kit import API, Api, Receiver, signer, webhook_body
from adobe_valid_requests import Valid, build_valid, field

READ_ONLY = "sandbox-adobe-refresh-read-only"
GONE = "CBJCHBCAABAAunknown"

WRONG_TYPES = {
    "create_agreement": {"name": 7},
    "update_agreement": {"name": 7},
    "set_state": {"agreementCancellationInfo": {"notifyOthers": "true"}},
    "replace_participant": {"order": "1"},
    "delegate_participant": {"memberInfos": {"email": "bo@example.com"}},
    "reject": {"comment": 7},
    "create_reminder": {"firstReminderDelay": "1"},
    "put_form_fields": {"fields": [{"name": "a", "required": "true"}]},
    "create_view": {"commonViewConfiguration": {"noChrome": "true"}},
    "create_webhook": {"webhookUrlInfo": "https://example.com"},
    "update_webhook": {
        "webhookConditionalParams": {"webhookAgreementEvents": {"includeDetailedInfo": "true"}}
    },
    "set_visibility": {"visibility": ["HIDE"]},
    "set_webhook_state": {"state": 1},
}
BAD_VALUES = {
    "create_agreement": {"signatureType": "INK"},
    "update_agreement": {"state": "SENT"},
    "set_state": {"state": "DRAFT"},
    "replace_participant": {"role": "WITNESS"},
    "create_reminder": {"frequency": "HOURLY"},
    "put_form_fields": {"fields": [{"name": "a", "contentType": "SCRIBBLE"}]},
    "create_view": {"name": "EVERYTHING"},
    "set_visibility": {"visibility": "GONE"},
    "create_webhook": {"scope": "WORLD"},
    "update_webhook": {"state": "PAUSED"},
    "set_webhook_state": {"state": "PAUSED"},
}
BAD_EMAILS = {
    "create_agreement": {"ccs": [{"email": "not an address"}]},
    "update_agreement": {"ccs": [{"email": "a@b"}]},
    "replace_participant": {"memberInfos": [{"email": "ada@"}]},
    "delegate_participant": {"memberInfos": [{"email": "@example.com"}]},
}
REQUIRED = {
    "create_agreement": "name",
    "update_agreement": "signatureType",
    "set_state": "state",
    "replace_participant": "memberInfos",
    "delegate_participant": "memberInfos",
    "create_reminder": "recipientParticipantIds",
    "put_form_fields": "fields",
    "create_view": "name",
    "set_visibility": "visibility",
    "create_webhook": "webhookUrlInfo",
    "update_webhook": "scope",
    "set_webhook_state": "state",
}


def _without(valid: Valid, key: str) -> Valid:
    return valid._replace(body={k: v for k, v in (valid.body or {}).items() if k != key})


def _with(valid: Valid, changes: dict) -> Valid:
    return valid._replace(body={**(valid.body or {}), **changes})


def _bytes(api: Api, valid: Valid, content: bytes, **headers: str) -> httpx.Response:
    return api.call(valid.method, valid.path, content=content, headers={**valid.headers, **headers})


SPOILERS: dict[str, Callable[[Api, Valid, str], httpx.Response]] = {
    "missing_scope": lambda api, v, op: v.send(api, token=api.refresh(READ_ONLY)),
    "not_json": lambda api, v, op: _bytes(api, v, b'{"name":'),
    "not_an_object": lambda api, v, op: _bytes(api, v, b"[]"),
    "wrong_content_type": lambda api, v, op: v.send(api, headers={"Content-Type": "text/plain"}),
    "unknown_attribute": lambda api, v, op: _with(v, {"surprise": 1}).send(api),
    "missing_attribute": lambda api, v, op: _without(v, REQUIRED[op]).send(api),
    "wrong_type": lambda api, v, op: _with(v, WRONG_TYPES[op]).send(api),
    "bad_value": lambda api, v, op: _with(v, BAD_VALUES[op]).send(api),
    "bad_date": lambda api, v, op: _with(v, {"expirationTime": "2030-01-01"}).send(api),
    "bad_email": lambda api, v, op: _with(v, BAD_EMAILS[op]).send(api),
    "unknown_agreement": lambda api, v, op: v._replace(path=v.path.replace(v.agreement, GONE)).send(api),
    "no_if_match": lambda api, v, op: v._replace(headers=_other_than_if_match(v)).send(api),
    "stale_if_match": lambda api, v, op: v.send(api, headers={"If-Match": '"0123"'}),
}


def _other_than_if_match(valid: Valid) -> dict[str, str]:
    return {key: value for key, value in valid.headers.items() if key != "If-Match"}


def _spoilt(operation: str, **changes: object) -> Callable[[Api, Receiver], httpx.Response]:
    return lambda api, receiver: _with(build_valid(api, operation, receiver), changes).send(api)


def _create(**changes: object) -> Callable[[Api, Receiver], httpx.Response]:
    return lambda api, receiver: api.call("POST", "/agreements", api.body(**changes))


def _files(*infos: dict) -> Callable[[Api, Receiver], httpx.Response]:
    return _create(fileInfos=list(infos))


def _in(days: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400))


def _throttled_call(api: Api, _: Receiver) -> httpx.Response:
    api.options(requests_per_minute=1)
    api.call("GET", "/baseUris")
    answer = api.call("GET", "/baseUris")
    assert int(answer.headers["Retry-After"]) == answer.json()["retryAfter"] > 0
    return answer


def _polling(api: Api, _: Receiver) -> httpx.Response:
    one = api.create()
    api.options(get_threshold=1)
    first = api.call("GET", f"/agreements/{one}")
    unchanged = api.call("GET", f"/agreements/{one}", headers={"If-None-Match": first.headers["etag"]})
    assert unchanged.status_code == 304
    return api.call("GET", f"/agreements/{one}")


def _expired_token(api: Api, _: Receiver) -> httpx.Response:
    api.advance(3601)
    return api.call("GET", "/baseUris")


def _wrong_access_point(api: Api, _: Receiver) -> httpx.Response:
    api.fault("invalid_access_point_once", "get_user")
    return api.call("GET", "/users/me")


def _as(user: str, path: str = "/users/me") -> Callable[[Api, Receiver], httpx.Response]:
    return lambda api, receiver: api.call("GET", path, headers={"x-api-user": user})


def _code(api: Api) -> str:
    query = {
        "client_id": "sandbox-adobe-client",
        "response_type": "code",
        "redirect_uri": "http://127.0.0.1/back",
    }
    answer = api.http.get("/public/oauth/v2", params=query)
    return httpx.URL(answer.headers["location"]).params["code"]


def _expired_code(api: Api, _: Receiver) -> httpx.Response:
    code = _code(api)
    api.advance(301)
    return api.oauth("token", grant_type="authorization_code", code=code)


def _idle_refresh(api: Api, _: Receiver) -> httpx.Response:
    api.advance(61 * 86400)
    return api.oauth("refresh", grant_type="refresh_token", refresh_token="sandbox-adobe-refresh")


def _revoked(api: Api, _: Receiver) -> httpx.Response:
    assert api.oauth("revoke", token=api.token).status_code == 200
    return api.oauth("revoke", token=api.token)


def _json_oauth(name: str) -> Callable[[Api, Receiver], httpx.Response]:
    return lambda api, receiver: api.http.post(f"/oauth/v2/{name}", json={"grant_type": "refresh_token"})


def _upload(files: object, **data: str) -> Callable[[Api, Receiver], httpx.Response]:
    return lambda api, receiver: api.call("POST", "/transientDocuments", data=data, files=files)


def _file(content: bytes = b"%PDF-1.4", name: str = "a.pdf", kind: str = "application/pdf") -> tuple:
    return (name, content, kind)


def _too_large(api: Api, _: Receiver) -> httpx.Response:
    api.options(upload_limit_bytes=100)
    return _upload({"File": _file(b"%PDF" + b"x" * 200)})(api, _)


def _of(operation: str, path: str, state: str = "processing") -> Callable[[Api, Receiver], httpx.Response]:
    """The operation on an agreement in another state than it needs."""

    def send(api: Api, receiver: Receiver) -> httpx.Response:
        one = getattr(api, state)()
        return api.call("GET", f"/agreements/{one}{path}")

    return send


def _deleted_documents(path: str) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        one = api.signed()
        document = api.get(f"/agreements/{one}/documents")["documents"][0]["id"]
        base = f"/agreements/{one}"
        gone = api.call("DELETE", f"{base}/documents", headers={"If-Match": api.etag(base)})
        assert gone.status_code == 204
        return api.call("GET", base + path.replace("{document}", document))

    return send


def _delete_early(api: Api, _: Receiver) -> httpx.Response:
    base = f"/agreements/{api.create()}"
    return api.call("DELETE", f"{base}/documents", headers={"If-Match": api.etag(base)})


def _expired_transient(api: Api, _: Receiver) -> httpx.Response:
    info = {"transientDocumentId": api.upload()}
    api.advance(7 * 86400 + 1)
    api.token = api.refresh()
    return api.call("POST", "/agreements", api.body(fileInfos=[info]))


def _two_sources(api: Api, _: Receiver) -> httpx.Response:
    info = {"transientDocumentId": api.upload(), "libraryDocumentId": "CBJCHBCAABAAsandboxTemplateNda"}
    return api.call("POST", "/agreements", api.body(fileInfos=[info]))


def _hybrid(api: Api, _: Receiver) -> httpx.Response:
    api.options(hybrid_routing=False)
    sets = [signer("a@example.com"), signer("b@example.com"), signer("c@example.com", 2)]
    return _create(participantSetsInfo=sets)(api, _)


def _generator(**changes: object) -> Callable[[Api, Receiver], httpx.Response]:
    anchor = {"anchorText": "Sign", "anchoredFormFieldLocation": {"width": 100, "height": 20}}
    generator = {
        "participantSetName": changes.get("participantSetName", "one"),
        "anchorTextInfo": anchor | changes.get("anchor", {}),
        "formFieldDescription": {"inputType": "SIGNATURE"},
    }
    sets = [signer("ada@example.com", name="one")]
    return _create(participantSetsInfo=sets, formFieldGenerators=[generator])


def _send_limit(api: Api, _: Receiver) -> httpx.Response:
    api.options(send_limit=1)
    api.create()
    return _create()(api, _)


def _put_state(state: str, wanted: str, user: str = "") -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        one = (
            api.create(state=state)
            if state in {"DRAFT", "AUTHORING", "IN_PROCESS"}
            else getattr(api, state)()
        )
        headers = {"x-api-user": f"email:{user}"} if user else {}
        return api.put(f"/agreements/{one}/state", {"state": wanted}, f"/agreements/{one}", **headers)

    return send


def _expired_state(api: Api, _: Receiver) -> httpx.Response:
    one = api.create()
    api.act(one, "expire")
    return api.put(f"/agreements/{one}/state", {"state": "CANCELLED"}, f"/agreements/{one}")


def _update_sent(api: Api, _: Receiver) -> httpx.Response:
    base = f"/agreements/{api.create()}"
    return api.put(base, api.body(), base)


def _as_ada(operation: str) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        valid = build_valid(api, operation, receiver)
        return valid.send(api, headers={"x-api-user": "email:ada@example.com"})

    return send


def _as_sender(operation: str) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        valid = build_valid(api, operation, receiver)
        return valid.send(api, headers={"x-api-user": "email:sender@sandbox.example"})

    return send


def _other_set(operation: str) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        valid = build_valid(api, operation, receiver)
        set_id = api.sets(valid.agreement)[0]["id"]
        return valid._replace(path=valid.path.replace(set_id, GONE)).send(api)

    return send


def _set_of(api: Api, one: str) -> str:
    return f"/agreements/{one}/members/participantSets/{api.sets(one)[0]['id']}"


def _replace_completed(api: Api, _: Receiver) -> httpx.Response:
    one = api.create(participantSetsInfo=[signer("ada@example.com"), signer("bob@example.com", 2)])
    api.act(one, "sign")
    return api.put(_set_of(api, one), signer("new@example.com"), _set_of(api, one))


def _replace_after_end(api: Api, _: Receiver) -> httpx.Response:
    one = api.cancelled()
    return api.put(_set_of(api, one), signer("new@example.com"), _set_of(api, one))


def _second_in_line(operation: str) -> Callable[[Api, Receiver], httpx.Response]:
    """Bob acts although Ada, before him, has not."""

    def send(api: Api, receiver: Receiver) -> httpx.Response:
        one = api.create(participantSetsInfo=[signer("ada@example.com"), signer("bob@example.com", 2)])
        bob = api.sets(one)[1]
        path = f"/agreements/{one}/members/participantSets/{bob['id']}"
        as_bob = {"x-api-user": "email:bob@example.com"}
        if operation == "delegate_participant":
            body = {"memberInfos": [{"email": "new@example.com"}]}
            return api.call("POST", f"{path}/delegatedParticipantSets", body, headers=as_bob)
        return api.put(f"{path}/participants/{bob['memberInfos'][0]['id']}/reject", {}, path, **as_bob)

    return send


def _reject_unknown(api: Api, receiver: Receiver) -> httpx.Response:
    valid = build_valid(api, "reject", receiver)
    head, _, _ = valid.path.rpartition("/participants/")
    return valid._replace(path=f"{head}/participants/{GONE}/reject").send(api)


def _remind_completed(api: Api, _: Receiver) -> httpx.Response:
    one = api.create(participantSetsInfo=[signer("ada@example.com"), signer("bob@example.com", 2)])
    api.act(one, "sign")
    done = api.sets(one)[0]["memberInfos"][0]["id"]
    body = {"recipientParticipantIds": [done], "status": "ACTIVE"}
    return api.call("POST", f"/agreements/{one}/reminders", body)


def _remind_draft(api: Api, _: Receiver) -> httpx.Response:
    one = api.create(state="DRAFT")
    body = {"recipientParticipantIds": [api.sets(one)[0]["memberInfos"][0]["id"]], "status": "ACTIVE"}
    return api.call("POST", f"/agreements/{one}/reminders", body)


def _fields(*make: Callable[[str], dict]) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        valid = build_valid(api, "put_form_fields", receiver)
        assignee = api.sets(valid.agreement)[0]["id"]
        return _with(valid, {"fields": [each(assignee) for each in make]}).send(api)

    return send


def _fields_when_sent(api: Api, _: Receiver) -> httpx.Response:
    one = api.create()
    path = f"/agreements/{one}/formFields"
    return api.put(path, {"fields": [field(api.sets(one)[0]["id"])]}, path)


def _hook(**changes: object) -> Callable[[Api, Receiver], httpx.Response]:
    return lambda api, receiver: api.call("POST", "/webhooks", webhook_body(receiver.url) | changes)


def _hook_at(url: str) -> Callable[[Api, Receiver], httpx.Response]:
    return _hook(webhookUrlInfo={"url": url})


def _hook_answering(**behaviour: object) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        api.options(verify_timeout_s=0.2)
        for name, value in behaviour.items():
            setattr(receiver, name, value)
        return _hook()(api, receiver)

    return send


def _hook_twice(limit: int | None = None) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        if limit is not None:
            api.options(webhook_limit=limit)
        assert _hook()(api, receiver).status_code == 201
        return _hook(**({} if limit is None else {"scope": "USER"}))(api, receiver)

    return send


def _unknown_webhook(operation: str) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        valid = build_valid(api, operation, receiver)
        known = valid.path.split("/")[2]
        return valid._replace(path=valid.path.replace(known, "gone")).send(api)

    return send


def _activate_silent(api: Api, receiver: Receiver) -> httpx.Response:
    valid = build_valid(api, "set_webhook_state", receiver)
    assert valid.send(api).status_code == 204
    receiver.verify_status = 299
    path = valid.path.removesuffix("/state")
    return api.put(valid.path, {"state": "ACTIVE"}, path)


CASES: dict[tuple[str, str], Callable[[Api, Receiver], httpx.Response]] = {
    ("*", "no_authorization"): lambda api, r: api.http.get(f"{API}/agreements"),
    ("*", "invalid_token"): lambda api, r: api.call("GET", "/agreements", token="forged"),
    ("*", "expired_token"): _expired_token,
    ("*", "malformed_api_user"): _as("ada@example.com"),
    ("*", "unknown_api_user"): _as("email:stranger@example.com"),
    ("*", "wrong_access_point"): _wrong_access_point,
    ("*", "too_many_requests"): _throttled_call,
    ("*", "too_many_identical_gets"): _polling,
    ("*", "unknown_path"): lambda api, r: api.call("GET", "/agreement"),
    ("*", "wrong_method"): lambda api, r: api.call("PATCH", "/agreements"),
    ("oauth_token", "wrong_content_type"): _json_oauth("token"),
    ("oauth_token", "wrong_grant"): lambda api, r: api.oauth("token", grant_type="password"),
    ("oauth_token", "unknown_client"): lambda api, r: api.oauth(
        "token", grant_type="authorization_code", client_id="x"
    ),
    ("oauth_token", "unknown_code"): lambda api, r: api.oauth(
        "token", grant_type="authorization_code", code="x"
    ),
    ("oauth_token", "expired_code"): _expired_code,
    ("oauth_refresh", "wrong_content_type"): _json_oauth("refresh"),
    ("oauth_refresh", "wrong_grant"): lambda api, r: api.oauth("refresh", grant_type="authorization_code"),
    ("oauth_refresh", "unknown_client"): lambda api, r: api.oauth(
        "refresh", grant_type="refresh_token", client_secret="x"
    ),
    ("oauth_refresh", "unknown_refresh_token"): lambda api, r: api.oauth(
        "refresh", grant_type="refresh_token", refresh_token="x"
    ),
    ("oauth_refresh", "idle_refresh_token"): _idle_refresh,
    ("oauth_revoke", "no_token"): lambda api, r: api.oauth("revoke"),
    ("oauth_revoke", "unknown_token"): lambda api, r: api.oauth("revoke", token="x"),
    ("oauth_revoke", "expired_token"): _revoked,
    ("create_transient", "missing_scope"): lambda api, r: api.call(
        "POST", "/transientDocuments", files={"File": _file()}, token=api.refresh(READ_ONLY)
    ),
    ("create_transient", "not_multipart"): lambda api, r: api.call(
        "POST", "/transientDocuments", {"File": "x"}
    ),
    ("create_transient", "no_file"): _upload({"File-Name": (None, "a.pdf")}),
    ("create_transient", "no_file_name"): _upload({"File": _file(name="")}),
    ("create_transient", "two_files"): _upload([("File", _file()), ("File", _file())]),
    ("create_transient", "unknown_part"): _upload({"File": _file()}, Comment="x"),
    ("create_transient", "too_large"): _too_large,
    ("create_transient", "empty_file"): _upload({"File": _file(b"")}),
    ("create_transient", "unsupported_mime_type"): _upload({"File": _file(kind="application/zip")}),
    ("get_combined", "not_yet_processed"): _of("get_combined", "/combinedDocument"),
    ("get_combined", "documents_deleted"): _deleted_documents("/combinedDocument"),
    ("get_combined", "bad_query"): lambda api, r: api.call(
        "GET", f"/agreements/{api.create()}/combinedDocument?attachAuditReport=yes"
    ),
    ("list_documents", "not_yet_processed"): _of("list_documents", "/documents"),
    ("get_document", "unknown_document"): lambda api, r: api.call(
        "GET", f"/agreements/{api.create()}/documents/{GONE}"
    ),
    ("get_document", "documents_deleted"): _deleted_documents("/documents/{document}"),
    ("delete_documents", "not_terminal"): _delete_early,
    ("get_audit_trail", "not_yet_processed"): _of("get_audit_trail", "/auditTrail"),
    ("get_library", "unknown_library"): lambda api, r: api.call("GET", f"/libraryDocuments/{GONE}"),
    ("create_agreement", "no_file_source"): _files({"label": "x"}),
    ("create_agreement", "two_file_sources"): _two_sources,
    ("create_agreement", "url_file"): _files({"urlFileInfo": {"url": "https://example.com/a.pdf"}}),
    ("create_agreement", "document_file"): _files({"document": {"id": "x"}}),
    ("create_agreement", "unknown_transient"): _files({"transientDocumentId": GONE}),
    ("create_agreement", "expired_transient"): _expired_transient,
    ("create_agreement", "unknown_library"): _files({"libraryDocumentId": GONE}),
    ("create_agreement", "no_signer"): _create(participantSetsInfo=[signer("a@example.com", None, "SHARE")]),
    ("create_agreement", "orders_not_from_one"): _create(participantSetsInfo=[signer("a@example.com", 2)]),
    ("create_agreement", "orders_with_gap"): _create(
        participantSetsInfo=[signer("a@example.com"), signer("b@example.com", 3)]
    ),
    ("create_agreement", "order_missing"): _create(participantSetsInfo=[signer("a@example.com", None)]),
    ("create_agreement", "order_on_share"): _create(
        participantSetsInfo=[signer("a@example.com"), signer("b@example.com", 2, "SHARE")]
    ),
    ("create_agreement", "hybrid_routing"): _hybrid,
    ("create_agreement", "password_missing"): _create(
        participantSetsInfo=[signer("a@example.com", security={"authenticationMethod": "PASSWORD"})]
    ),
    ("create_agreement", "phone_missing"): _create(
        participantSetsInfo=[
            signer(
                "a@example.com",
                security={"authenticationMethod": "PHONE", "phoneInfo": {"phone": "5551234567"}},
            )
        ]
    ),
    ("create_agreement", "past_expiration"): _create(expirationTime=_in(-1)),
    ("create_agreement", "far_expiration"): _create(expirationTime=_in(181)),
    ("create_agreement", "short_reminder_delay"): _create(firstReminderDelay=0),
    ("create_agreement", "bad_redirect_url"): _create(postSignOption={"redirectUrl": "javascript:alert(1)"}),
    ("create_agreement", "negative_redirect_delay"): _create(
        postSignOption={"redirectUrl": "https://example.com", "redirectDelay": -1}
    ),
    ("create_agreement", "generator_set_unknown"): _generator(participantSetName="two"),
    ("create_agreement", "generator_file_unknown"): _generator(anchor={"fileInfoLabel": "other"}),
    ("create_agreement", "send_limit"): _send_limit,
    ("list_agreements", "bad_page_size"): lambda api, r: api.call("GET", "/agreements?pageSize=501"),
    ("list_agreements", "bad_cursor"): lambda api, r: api.call("GET", "/agreements?cursor=x"),
    ("list_agreements", "empty_external_id"): lambda api, r: api.call("GET", "/agreements?externalId="),
    ("update_agreement", "not_a_draft"): _update_sent,
    ("update_agreement", "not_the_sender"): _as_ada("update_agreement"),
    ("set_state", "not_the_sender"): _as_ada("set_state"),
    ("set_state", "already_signed"): _put_state("signed", "CANCELLED"),
    ("set_state", "already_cancelled"): _put_state("cancelled", "CANCELLED"),
    ("set_state", "already_expired"): _expired_state,
    ("set_state", "wrong_transition"): _put_state("AUTHORING", "AUTHORING"),
    ("set_state", "not_yet_processed"): _put_state("processing", "CANCELLED"),
    ("delete_agreement", "not_the_sender"): _as_ada("delete_agreement"),
    ("get_signing_urls", "not_yet_processed"): _of("get_signing_urls", "/signingUrls"),
    ("get_signing_urls", "not_sent"): lambda api, r: api.call(
        "GET", f"/agreements/{api.create(state='AUTHORING')}/signingUrls"
    ),
    ("get_signing_urls", "terminal"): _of("get_signing_urls", "/signingUrls", "signed"),
    ("create_view", "signing_not_possible"): lambda api, r: api.call(
        "POST", f"/agreements/{api.signed()}/views", {"name": "SIGNING"}
    ),
    ("get_participant_set", "unknown_set"): _other_set("get_participant_set"),
    ("replace_participant", "unknown_set"): _other_set("replace_participant"),
    ("replace_participant", "not_the_sender"): _as_ada("replace_participant"),
    ("replace_participant", "set_completed"): _replace_completed,
    ("replace_participant", "agreement_terminal"): _replace_after_end,
    ("replace_participant", "changed_role"): _spoilt("replace_participant", role="APPROVER"),
    ("delegate_participant", "unknown_set"): _other_set("delegate_participant"),
    ("delegate_participant", "not_the_participant"): _as_sender("delegate_participant"),
    ("delegate_participant", "not_waiting"): _second_in_line("delegate_participant"),
    ("reject", "unknown_set"): _other_set("reject"),
    ("reject", "unknown_participant"): _reject_unknown,
    ("reject", "not_the_participant"): _as_sender("reject"),
    ("reject", "not_waiting"): _second_in_line("reject"),
    ("create_reminder", "unknown_participant"): _spoilt("create_reminder", recipientParticipantIds=[GONE]),
    ("create_reminder", "participant_not_waiting"): _remind_completed,
    ("create_reminder", "agreement_not_out"): _remind_draft,
    ("create_reminder", "negative_delay"): _spoilt("create_reminder", firstReminderDelay=-1),
    ("put_form_fields", "not_authoring"): _fields_when_sent,
    ("put_form_fields", "unknown_assignee"): _fields(lambda a: field("nobody-known")),
    ("put_form_fields", "page_out_of_range"): _fields(lambda a: field(a, at={"pageNumber": 2})),
    ("put_form_fields", "outside_page"): _fields(lambda a: field(a, at={"top": 10})),
    ("put_form_fields", "duplicate_name"): _fields(field, field),
    ("create_webhook", "http_url"): _hook_at("http://example.com/hook"),
    ("create_webhook", "wrong_port"): _hook_at("https://example.com:9000/hook"),
    ("create_webhook", "private_address"): _hook_at("https://10.1.2.3/hook"),
    ("create_webhook", "unresolvable_host"): _hook_at("https://no-such-host.invalid/hook"),
    ("create_webhook", "credentials_in_url"): _hook_at("https://user:secret@example.com/hook"),
    ("create_webhook", "intent_not_echoed"): _hook_answering(verify_status=299),
    ("create_webhook", "intent_wrong_status"): _hook_answering(verify_status=404),
    ("create_webhook", "intent_unreachable"): _hook_at("http://127.0.0.1:9/hook"),
    ("create_webhook", "intent_too_slow"): _hook_answering(hanging=True),
    ("create_webhook", "unknown_event"): _hook(webhookSubscriptionEvents=["AGREEMENT_ALL_SIGNED"]),
    ("create_webhook", "resource_without_id"): _hook(scope="RESOURCE", resourceType="AGREEMENT"),
    ("create_webhook", "unknown_resource"): _hook(
        scope="RESOURCE", resourceType="AGREEMENT", resourceId=GONE
    ),
    ("create_webhook", "other_resource_type"): _hook(
        scope="RESOURCE", resourceType="WIDGET", resourceId=GONE
    ),
    ("create_webhook", "inactive_state"): _hook(state="INACTIVE"),
    ("create_webhook", "duplicate"): _hook_twice(),
    ("create_webhook", "limit"): _hook_twice(limit=1),
    ("get_webhook", "unknown_webhook"): _unknown_webhook("get_webhook"),
    ("update_webhook", "unknown_webhook"): _unknown_webhook("update_webhook"),
    ("update_webhook", "immutable_field"): _spoilt("update_webhook", scope="USER"),
    ("update_webhook", "unknown_event"): _spoilt("update_webhook", webhookSubscriptionEvents=["SIGNED"]),
    ("set_webhook_state", "unknown_webhook"): _unknown_webhook("set_webhook_state"),
    ("set_webhook_state", "intent_not_echoed"): _activate_silent,
    ("delete_webhook", "unknown_webhook"): _unknown_webhook("delete_webhook"),
    ("list_webhooks", "bad_page_size"): lambda api, r: api.call("GET", "/webhooks?pageSize=0"),
    ("list_webhooks", "bad_cursor"): lambda api, r: api.call("GET", "/webhooks?cursor=x"),
}
