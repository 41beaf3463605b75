"""The API's view of the sandbox's structs: what GET answers and webhooks carry. No decisions, no state."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec

from adapters.adobe_sign.sandbox import roles
from adapters.adobe_sign.sandbox.world import (
    Agreement,
    AgreementEvent,
    Document,
    JsonObject,
    Member,
    ParticipantSet,
    Reminder,
    Webhook,
)

ACCOUNT_ID = "CBJCHBCAABAAsandboxAccount0000000000000000000"
GROUP_ID = "CBJCHBCAABAAsandboxGroup000000000000000000000"


def instant(at: datetime) -> str:
    """yyyy-MM-dd'T'HH:mm:ssZ, whole seconds, UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def etag_of(resource: str, body: Any) -> str:
    """A strong validator of one representation; two resources never share one."""
    digest = hashlib.sha256(resource.encode() + b"\n" + msgspec.json.encode(body)).hexdigest()
    return f'"{digest[:32].upper()}"'


def agreement_details(agreement: Agreement) -> JsonObject:
    """What `includeDetailedInfo` adds, in the order of the guide's examples."""
    info = agreement.info
    details: JsonObject = {}
    if "ccs" in info:
        details["ccs"] = info["ccs"]
    details["documentVisibilityEnabled"] = bool(info.get("documentVisibilityEnabled", False))
    details["createdDate"] = instant(agreement.created)
    if agreement.expiration is not None:
        details["expirationTime"] = instant(agreement.expiration)
    if agreement.external_id:
        details["externalId"] = {"id": agreement.external_id}
    for key in ("postSignOption", "firstReminderDelay", "reminderFrequency", "vaultingInfo", "workflowId"):
        if key in info:
            details[key] = info[key]
    details["locale"] = info.get("locale", "en_US")
    details["message"] = info.get("message") or f"Please review and complete {agreement.name}."
    details["senderEmail"] = agreement.owner
    return details


def agreement_info(agreement: Agreement) -> JsonObject:
    """GET /agreements/{id}: AgreementInfo without `state`, passwords or participant ids."""
    shape: JsonObject = {
        "id": agreement.id,
        "name": agreement.name,
        "type": "AGREEMENT",
        "status": agreement.status,
        "signatureType": agreement.signature_type,
        "groupId": GROUP_ID,
    }
    shape |= agreement_details(agreement)
    for key in ("emailOption", "mergeFieldInfo"):
        if key in agreement.info:
            shape[key] = agreement.info[key]
    if agreement.events:
        shape["lastEventDate"] = instant(agreement.events[-1].date)
    shape["participantSetsInfo"] = [_set_as_sent(each) for each in agreement.participant_sets]
    return shape


def _set_as_sent(participant_set: ParticipantSet) -> JsonObject:
    shape: JsonObject = {
        "memberInfos": [
            {"email": member.email, "securityOption": _security(member)}
            for member in participant_set.members
            if member.status == "ACTIVE"
        ],
        "role": participant_set.role,
    }
    if participant_set.order:
        shape["order"] = participant_set.order
    return shape | _named(participant_set)


def _named(participant_set: ParticipantSet) -> JsonObject:
    named = {
        "name": participant_set.name,
        "label": participant_set.label,
        "privateMessage": participant_set.private_message,
        "visiblePages": participant_set.visible_pages,
    }
    return {key: value for key, value in named.items() if value}


def _security(member: Member) -> JsonObject:
    security: JsonObject = {"authenticationMethod": member.authentication}
    if member.phone_info:
        security["phoneInfo"] = member.phone_info
    return security


def participant_set(each: ParticipantSet) -> JsonObject:
    """One detailed participant set."""
    return {
        "memberInfos": [
            {
                "id": member.id,
                "email": member.email,
                "company": member.company,
                "name": member.name,
                "status": member.status,
                "userId": member.user_id,
                "securityOption": _security(member),
            }
            for member in each.members
        ],
        "order": each.order,
        "role": each.role,
        "status": each.status,
        "id": each.id,
    } | _named(each)


def participant_sets(agreement: Agreement) -> list[JsonObject]:
    return [participant_set(each) for each in agreement.participant_sets]


def next_participant_sets(agreement: Agreement) -> list[JsonObject]:
    return [participant_set(each) for each in agreement.participant_sets if roles.is_waiting(each.status)]


def members(agreement: Agreement, user_id: str, *, with_next: bool) -> JsonObject:
    """GET /agreements/{id}/members."""
    shape: JsonObject = {
        "participantSets": participant_sets(agreement),
        "ccsInfo": agreement.info.get("ccs", []),
        "senderInfo": {"email": agreement.owner, "userId": user_id, "company": "", "name": "Sandbox Sender"},
        "sharesInfo": [],
    }
    if with_next:
        shape["nextParticipantSets"] = next_participant_sets(agreement)
    return shape


def documents(agreement: Agreement) -> list[JsonObject]:
    return [document(each) for each in agreement.documents]


def document(each: Document) -> JsonObject:
    shape: JsonObject = {
        "id": each.id,
        "name": each.name,
        "mimeType": each.mime_type,
        "numPages": each.num_pages,
    }
    return shape | ({"label": each.label} if each.label else {})


def listed_agreement(agreement: Agreement) -> JsonObject:
    """One row of GET /agreements; the external id is a filter there, not an attribute."""
    return {
        "id": agreement.id,
        "name": agreement.name,
        "type": "AGREEMENT",
        "status": agreement.status,
        "displayDate": instant(agreement.created),
        "esign": agreement.signature_type == "ESIGN",
        "groupId": GROUP_ID,
        "hidden": agreement.owner in agreement.hidden,
        "latestVersionId": str(agreement.version),
        "displayParticipantSetInfos": [
            {"displayUserSetMemberInfos": [{"email": member.email, "fullName": member.name}]}
            for each in agreement.participant_sets
            for member in each.members
            if member.status == "ACTIVE"
        ],
    }


def event(each: AgreementEvent) -> JsonObject:
    """One row of GET /agreements/{id}/events."""
    shape = {
        "id": each.id,
        "date": instant(each.date),
        "type": each.type,
        "description": each.description,
        "participantEmail": each.participant_email,
        "participantId": each.participant_id,
        "participantRole": each.participant_role,
        "actingUserEmail": each.acting_email,
        "actingUserIpAddress": each.acting_ip,
        "comment": each.comment,
        "versionId": each.version_id,
    }
    return {key: value for key, value in shape.items() if value}


def reminder(each: Reminder) -> JsonObject:
    shape: JsonObject = {
        "reminderId": each.id,
        "recipientParticipantIds": each.participant_ids,
        "status": each.status,
        "note": each.note,
        "frequency": each.frequency,
        "firstReminderDelay": each.first_delay_h,
        "startReminderCounterFrom": each.counter_from,
    }
    if each.next_sent is not None:
        shape["nextSentDate"] = instant(each.next_sent)
    if each.last_sent is not None:
        shape["lastSentDate"] = instant(each.last_sent)
    return shape


def webhook(each: Webhook) -> JsonObject:
    shape: JsonObject = {
        "id": each.id,
        "name": each.name,
        "scope": each.scope,
        "status": each.status,
        "applicationId": each.client_id,
        "applicationName": each.application_name,
        "created": instant(each.created),
        "lastModified": instant(each.modified),
        "webhookSubscriptionEvents": each.events,
        "webhookUrlInfo": {"url": each.url},
        "webhookConditionalParams": each.conditional,
    }
    if each.resource_id:
        shape |= {"resourceType": each.resource_type, "resourceId": each.resource_id}
    return shape
