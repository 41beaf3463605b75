"""Requests that are refused for a reason of their own, made from what they need."""

import time
from collections.abc import Callable

import httpx
from adobe_refusal_spoilers import GONE, with_changes
from adobe_sandbox_kit import Api, Receiver, signer, webhook_body
from adobe_valid_requests import build_valid, field


def spoilt(operation: str, **changes: object) -> Callable[[Api, Receiver], httpx.Response]:
    return lambda api, receiver: with_changes(build_valid(api, operation, receiver), changes).send(api)


def create(**changes: object) -> Callable[[Api, Receiver], httpx.Response]:
    return lambda api, receiver: api.call("POST", "/agreements", api.body(**changes))


def files(*infos: dict) -> Callable[[Api, Receiver], httpx.Response]:
    return create(fileInfos=list(infos))


def days_from_now(days: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400))


def throttled_call(api: Api, _: Receiver) -> httpx.Response:
    api.options(requests_per_minute=1)
    api.call("GET", "/baseUris")
    answer = api.call("GET", "/baseUris")
    assert int(answer.headers["Retry-After"]) == answer.json()["retryAfter"] > 0
    return answer


def polling(api: Api, _: Receiver) -> httpx.Response:
    one = api.create()
    api.options(get_threshold=1)
    first = api.call("GET", f"/agreements/{one}")
    unchanged = api.call("GET", f"/agreements/{one}", headers={"If-None-Match": first.headers["etag"]})
    assert unchanged.status_code == 304
    return api.call("GET", f"/agreements/{one}")


def expired_token(api: Api, _: Receiver) -> httpx.Response:
    api.advance(3601)
    return api.call("GET", "/baseUris")


def wrong_access_point(api: Api, _: Receiver) -> httpx.Response:
    api.fault("invalid_access_point_once", "get_user")
    return api.call("GET", "/users/me")


def acting_as(user: str, path: str = "/users/me") -> Callable[[Api, Receiver], httpx.Response]:
    return lambda api, receiver: api.call("GET", path, headers={"x-api-user": user})


def authorization_code(api: Api) -> str:
    query = {
        "client_id": "sandbox-adobe-client",
        "response_type": "code",
        "redirect_uri": "http://127.0.0.1/back",
    }
    answer = api.http.get("/public/oauth/v2", params=query)
    return httpx.URL(answer.headers["location"]).params["code"]


def expired_code(api: Api, _: Receiver) -> httpx.Response:
    code = authorization_code(api)
    api.advance(301)
    return api.oauth("token", grant_type="authorization_code", code=code)


def idle_refresh(api: Api, _: Receiver) -> httpx.Response:
    api.advance(61 * 86400)
    return api.oauth("refresh", grant_type="refresh_token", refresh_token="sandbox-adobe-refresh")


def revoked(api: Api, _: Receiver) -> httpx.Response:
    assert api.oauth("revoke", token=api.token).status_code == 200
    return api.oauth("revoke", token=api.token)


def json_oauth(name: str) -> Callable[[Api, Receiver], httpx.Response]:
    return lambda api, receiver: api.http.post(f"/oauth/v2/{name}", json={"grant_type": "refresh_token"})


def upload(files: object, **data: str) -> Callable[[Api, Receiver], httpx.Response]:
    return lambda api, receiver: api.call("POST", "/transientDocuments", data=data, files=files)


def file(content: bytes = b"%PDF-1.4", name: str = "a.pdf", kind: str = "application/pdf") -> tuple:
    return (name, content, kind)


def too_large(api: Api, _: Receiver) -> httpx.Response:
    api.options(upload_limit_bytes=100)
    return upload({"File": file(b"%PDF" + b"x" * 200)})(api, _)


def of(operation: str, path: str, state: str = "processing") -> Callable[[Api, Receiver], httpx.Response]:
    """The operation on an agreement in another state than it needs."""

    def send(api: Api, receiver: Receiver) -> httpx.Response:
        one = getattr(api, state)()
        return api.call("GET", f"/agreements/{one}{path}")

    return send


def deleted_documents(path: str) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        one = api.signed()
        document = api.get(f"/agreements/{one}/documents")["documents"][0]["id"]
        base = f"/agreements/{one}"
        gone = api.call("DELETE", f"{base}/documents", headers={"If-Match": api.etag(base)})
        assert gone.status_code == 204
        return api.call("GET", base + path.replace("{document}", document))

    return send


def delete_early(api: Api, _: Receiver) -> httpx.Response:
    base = f"/agreements/{api.create()}"
    return api.call("DELETE", f"{base}/documents", headers={"If-Match": api.etag(base)})


def expired_transient(api: Api, _: Receiver) -> httpx.Response:
    info = {"transientDocumentId": api.upload()}
    api.advance(7 * 86400 + 1)
    api.token = api.refresh()
    return api.call("POST", "/agreements", api.body(fileInfos=[info]))


def two_sources(api: Api, _: Receiver) -> httpx.Response:
    info = {"transientDocumentId": api.upload(), "libraryDocumentId": "CBJCHBCAABAAsandboxTemplateNda"}
    return api.call("POST", "/agreements", api.body(fileInfos=[info]))


def hybrid(api: Api, _: Receiver) -> httpx.Response:
    api.options(hybrid_routing=False)
    sets = [signer("a@example.com"), signer("b@example.com"), signer("c@example.com", 2)]
    return create(participantSetsInfo=sets)(api, _)


def generator(**changes: object) -> Callable[[Api, Receiver], httpx.Response]:
    anchor = {"anchorText": "Sign", "anchoredFormFieldLocation": {"width": 100, "height": 20}}
    generator = {
        "participantSetName": changes.get("participantSetName", "one"),
        "anchorTextInfo": anchor | changes.get("anchor", {}),
        "formFieldDescription": {"inputType": "SIGNATURE"},
    }
    sets = [signer("ada@example.com", name="one")]
    return create(participantSetsInfo=sets, formFieldGenerators=[generator])


def send_limit(api: Api, _: Receiver) -> httpx.Response:
    api.options(send_limit=1)
    api.create()
    return create()(api, _)


def put_state(state: str, wanted: str, user: str = "") -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        one = (
            api.create(state=state)
            if state in {"DRAFT", "AUTHORING", "IN_PROCESS"}
            else getattr(api, state)()
        )
        headers = {"x-api-user": f"email:{user}"} if user else {}
        return api.put(f"/agreements/{one}/state", {"state": wanted}, f"/agreements/{one}", **headers)

    return send


def expired_state(api: Api, _: Receiver) -> httpx.Response:
    one = api.create()
    api.act(one, "expire")
    return api.put(f"/agreements/{one}/state", {"state": "CANCELLED"}, f"/agreements/{one}")


def update_sent(api: Api, _: Receiver) -> httpx.Response:
    base = f"/agreements/{api.create()}"
    return api.put(base, api.body(), base)


def as_ada(operation: str) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        valid = build_valid(api, operation, receiver)
        return valid.send(api, headers={"x-api-user": "email:ada@example.com"})

    return send


def as_sender(operation: str) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        valid = build_valid(api, operation, receiver)
        return valid.send(api, headers={"x-api-user": "email:sender@sandbox.example"})

    return send


def other_set(operation: str) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        valid = build_valid(api, operation, receiver)
        set_id = api.sets(valid.agreement)[0]["id"]
        return valid._replace(path=valid.path.replace(set_id, GONE)).send(api)

    return send


def set_of(api: Api, one: str) -> str:
    return f"/agreements/{one}/members/participantSets/{api.sets(one)[0]['id']}"


def replace_completed(api: Api, _: Receiver) -> httpx.Response:
    one = api.create(participantSetsInfo=[signer("ada@example.com"), signer("bob@example.com", 2)])
    api.act(one, "sign")
    return api.put(set_of(api, one), signer("new@example.com"), set_of(api, one))


def replace_after_end(api: Api, _: Receiver) -> httpx.Response:
    one = api.cancelled()
    return api.put(set_of(api, one), signer("new@example.com"), set_of(api, one))


def second_in_line(operation: str) -> Callable[[Api, Receiver], httpx.Response]:
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


def reject_unknown(api: Api, receiver: Receiver) -> httpx.Response:
    valid = build_valid(api, "reject", receiver)
    head, _, _ = valid.path.rpartition("/participants/")
    return valid._replace(path=f"{head}/participants/{GONE}/reject").send(api)


def remind_completed(api: Api, _: Receiver) -> httpx.Response:
    one = api.create(participantSetsInfo=[signer("ada@example.com"), signer("bob@example.com", 2)])
    api.act(one, "sign")
    done = api.sets(one)[0]["memberInfos"][0]["id"]
    body = {"recipientParticipantIds": [done], "status": "ACTIVE"}
    return api.call("POST", f"/agreements/{one}/reminders", body)


def remind_draft(api: Api, _: Receiver) -> httpx.Response:
    one = api.create(state="DRAFT")
    body = {"recipientParticipantIds": [api.sets(one)[0]["memberInfos"][0]["id"]], "status": "ACTIVE"}
    return api.call("POST", f"/agreements/{one}/reminders", body)


def fields(*make: Callable[[str], dict]) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        valid = build_valid(api, "put_form_fields", receiver)
        assignee = api.sets(valid.agreement)[0]["id"]
        return with_changes(valid, {"fields": [each(assignee) for each in make]}).send(api)

    return send


def fields_when_sent(api: Api, _: Receiver) -> httpx.Response:
    one = api.create()
    path = f"/agreements/{one}/formFields"
    return api.put(path, {"fields": [field(api.sets(one)[0]["id"])]}, path)


def hook(**changes: object) -> Callable[[Api, Receiver], httpx.Response]:
    return lambda api, receiver: api.call("POST", "/webhooks", webhook_body(receiver.url) | changes)


def hook_at(url: str) -> Callable[[Api, Receiver], httpx.Response]:
    return hook(webhookUrlInfo={"url": url})


def hook_answering(**behaviour: object) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        api.options(verify_timeout_s=0.2)
        for name, value in behaviour.items():
            setattr(receiver, name, value)
        return hook()(api, receiver)

    return send


def hook_twice(limit: int | None = None) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        if limit is not None:
            api.options(webhook_limit=limit)
        assert hook()(api, receiver).status_code == 201
        return hook(**({} if limit is None else {"scope": "USER"}))(api, receiver)

    return send


def unknown_webhook(operation: str) -> Callable[[Api, Receiver], httpx.Response]:
    def send(api: Api, receiver: Receiver) -> httpx.Response:
        valid = build_valid(api, operation, receiver)
        known = valid.path.split("/")[2]
        return valid._replace(path=valid.path.replace(known, "gone")).send(api)

    return send


def activate_silent(api: Api, receiver: Receiver) -> httpx.Response:
    valid = build_valid(api, "set_webhook_state", receiver)
    assert valid.send(api).status_code == 204
    receiver.verify_status = 299
    path = valid.path.removesuffix("/state")
    return api.put(valid.path, {"state": "ACTIVE"}, path)
