"""Agreements: create, read, list, change, state, delete, visibility, views, signing URLs, events.

Source: provider contracts B2 and B3; errors B5.
"""

import base64
import binascii
from datetime import timedelta
from typing import NoReturn

from adapters.adobe_sign.sandbox import lifecycle, roles, shapes
from adapters.adobe_sign.sandbox.calls import API, Call, Reply, endpoint
from adapters.adobe_sign.sandbox.faults import FaultKind
from adapters.adobe_sign.sandbox.intake import build_agreement
from adapters.adobe_sign.sandbox.notices import record
from adapters.adobe_sign.sandbox.payload import Notice
from adapters.adobe_sign.sandbox.world import Agreement, JsonObject

ONE = f"{API}/agreements/{{agreement_id:str}}"


def etag_body(agreement: Agreement) -> JsonObject:
    """The representation that the agreement's ETag stands for."""
    return shapes.agreement_info(agreement)


def must_be_sender(call: Call, agreement: Agreement, trigger: str = "not_the_sender") -> None:
    if call.actor != agreement.owner:
        raise call.refuse(trigger, "Only the sender of the agreement may do this.")


@endpoint("POST", f"{API}/agreements", "create_agreement", scope="agreement_write")
async def create(call: Call) -> Reply:
    body = await call.json("AgreementCreationInfo")
    agreement = build_agreement(call, body)
    limit = call.box.options.send_limit
    if limit and call.box.world.sent >= limit:
        raise call.refuse("send_limit", "Agreement creation quota of the user is exhausted.")
    call.box.world.sent += 1
    call.box.world.agreements[agreement.id] = agreement
    call.box.changed(agreement)
    call.box.wake_at(agreement.created + timedelta(seconds=call.box.options.processing_s), agreement)
    location = f"{call.box.base_url}{API}/agreements/{agreement.id}"
    return Reply(status=201, body={"id": agreement.id}, headers={"Location": location})


@endpoint("GET", f"{API}/agreements", "list_agreements", scope="agreement_read")
async def list_agreements(call: Call) -> Reply:
    size, start = read_page(call)
    external_id = call.request.query_params.get("externalId")
    if external_id == "":
        raise call.refuse("empty_external_id", "ExternalId parameter can not be empty")
    lag = call.box.faults.take(call.operation, FaultKind.LOOKUP_LAG)
    lag_s = max(call.box.options.index_lag_s, lag.seconds if lag else 0)
    indexed_until = call.box.now() - timedelta(seconds=lag_s)
    found = [
        agreement
        for agreement in call.box.world.agreements.values()
        if agreement.owner == call.actor
        and not agreement.deleted
        and agreement.created <= indexed_until
        and (external_id is None or agreement.external_id == external_id)
    ]
    found.sort(key=lambda agreement: (agreement.created, agreement.id), reverse=True)
    page = write_page(start, size, len(found))
    listed = [shapes.listed_agreement(agreement) for agreement in found[start : start + size]]
    return Reply(body={"page": page, "userAgreementList": listed})


def read_page(call: Call) -> tuple[int, int]:
    """The page size and start of a list call."""
    size = call.query("pageSize", "100")
    if not size.isdecimal() or not 1 <= int(size) <= 500:
        raise call.refuse("bad_page_size", "Page size is either invalid or not within the permissible range.")
    cursor = call.query("cursor")
    if not cursor:
        return int(size), 0
    try:
        word, _, start = base64.urlsafe_b64decode(cursor).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise call.refuse("bad_cursor", "The page cursor provided is invalid.") from error
    if word != "from" or not start.isdecimal():
        raise call.refuse("bad_cursor", "The page cursor provided is invalid.")
    return int(size), int(start)


def write_page(start: int, size: int, total: int) -> JsonObject:
    """The `page` of a list answer; without nextCursor on the last page."""
    if start + size >= total:
        return {}
    return {"nextCursor": base64.urlsafe_b64encode(f"from:{start + size}".encode()).decode()}


@endpoint("GET", ONE, "get_agreement", scope="agreement_read")
async def get_agreement(call: Call) -> Reply:
    agreement = call.agreement()
    return call.with_etag(agreement.id, etag_body(agreement))


@endpoint("PUT", ONE, "update_agreement", scope="agreement_write")
async def update(call: Call) -> Reply:
    agreement = call.agreement()
    must_be_sender(call, agreement)
    body = await call.json("AgreementCreationInfo")
    call.must_match(agreement.id, etag_body(agreement))
    if agreement.status not in lifecycle.PRE_SEND:
        raise call.refuse("not_a_draft", f"An agreement in the status {agreement.status} cannot be changed")
    fresh = build_agreement(call, body)
    for key in (
        "name",
        "signature_type",
        "info",
        "participant_sets",
        "documents",
        "expiration",
        "external_id",
    ):
        setattr(agreement, key, getattr(fresh, key))
    agreement.fields = fresh.fields
    lifecycle.process_again(call.box, agreement)
    return Reply(status=204)


@endpoint("PUT", f"{ONE}/state", "set_state", scope="agreement_write")
async def set_state(call: Call) -> Reply:
    agreement = call.agreement()
    must_be_sender(call, agreement)
    body = await call.json("AgreementStateInfo")
    call.must_match(agreement.id, etag_body(agreement))
    wanted = body["state"]
    if agreement.status in roles.TERMINAL:
        _refuse_ended(call, agreement)
    if agreement.status == lifecycle.PROCESSING:
        raise call.refuse("not_yet_processed", "The documents of the agreement are still being processed")
    match (agreement.status, wanted):
        case (_, "CANCELLED"):
            info = body.get("agreementCancellationInfo") or {}
            notify = bool(info.get("notifyOthers", False))
            lifecycle.recall(call.box, agreement, info.get("comment") or "", notify_others=notify)
        case ("DRAFT", "AUTHORING"):
            agreement.status = "AUTHORING"
            call.box.changed(agreement)
        case ("DRAFT" | "AUTHORING", "IN_PROCESS"):
            lifecycle.send(call.box, agreement)
        case _:
            raise call.refuse("wrong_transition", f"{agreement.status} cannot become {wanted}")
    return Reply(status=204)


def _refuse_ended(call: Call, agreement: Agreement) -> NoReturn:
    if agreement.status in roles.TERMINAL_OK:
        raise call.refuse("already_signed", "The agreement has been signed already.")
    if agreement.status == "EXPIRED":
        raise call.refuse("already_expired", "The agreement has expired already.")
    raise call.refuse("already_cancelled", "The agreement has been cancelled already.")


@endpoint("DELETE", ONE, "delete_agreement", scope="agreement_retention")
async def delete(call: Call) -> Reply:
    agreement = call.agreement()
    must_be_sender(call, agreement)
    agreement.deleted = True
    description = f"Agreement deleted by {agreement.owner}"
    record(
        call.box,
        agreement,
        Notice(
            type="DELETED",
            event="AGREEMENT_DELETED",
            description=description,
            acting_email=agreement.owner,
        ),
    )
    return Reply(status=204)


@endpoint("GET", f"{ONE}/events", "get_events", scope="agreement_read")
async def get_events(call: Call) -> Reply:
    agreement = call.agreement()
    body = {"events": [shapes.event(event) for event in agreement.events]}
    return call.with_etag(f"{agreement.id}/events", body)


@endpoint("GET", f"{ONE}/signingUrls", "get_signing_urls", scope="agreement_read")
async def get_signing_urls(call: Call) -> Reply:
    agreement = call.agreement()
    if agreement.status == lifecycle.PROCESSING:
        raise call.refuse("not_yet_processed", "The documents are not yet available.")
    if agreement.status in roles.TERMINAL:
        raise call.refuse("terminal", "The agreement can no longer be signed.")
    if not roles.is_out(agreement.status):
        raise call.refuse("not_sent", "The agreement is not exposed for signing.")
    urls = [
        {"email": member.email, "esignUrl": _signing_url(call, agreement, member.id)}
        for each in agreement.participant_sets
        if roles.is_waiting(each.status)
        for member in each.members
        if member.status == "ACTIVE"
    ]
    body = {"signingUrlSetInfos": [{"signingUrlSetName": agreement.name, "signingUrls": urls}]}
    return call.with_etag(f"{agreement.id}/signingUrls", body)


def _signing_url(call: Call, agreement: Agreement, member_id: str) -> str:
    return f"{call.box.base_url}/sandbox/sign/{agreement.id}/{member_id}"


@endpoint("POST", f"{ONE}/views", "create_view", scope="agreement_write")
async def create_view(call: Call) -> Reply:
    agreement = call.agreement()
    body = await call.json("ViewInfo")
    if body["name"] == "SIGNING" and not roles.is_out(agreement.status):
        raise call.refuse("signing_not_possible", "The agreement cannot be signed now.")
    page = f"{call.box.base_url}/sandbox/#{agreement.id}"
    views = [{"name": body["name"], "url": page, "isCurrent": True, "embeddedCode": ""}]
    return Reply(body={"agreementViewList": views})


@endpoint("PUT", f"{ONE}/me/visibility", "set_visibility", scope="agreement_write")
async def set_visibility(call: Call) -> Reply:
    agreement = call.agreement()
    body = await call.json("VisibilityInfo")
    agreement.hidden = [email for email in agreement.hidden if email != call.actor]
    if body["visibility"] == "HIDE":
        agreement.hidden.append(call.actor)
    call.box.mark_dirty()
    return Reply(status=204)


HANDLERS = [
    create,
    list_agreements,
    get_agreement,
    update,
    set_state,
    delete,
    get_events,
    get_signing_urls,
    create_view,
    set_visibility,
]
