"""Composes the body of a webhook message: keys, conditional parts, and the trimming of one that is too large.

Source: provider contracts B4.3 and B4.4; the key order and spelling of the guide's filled examples.
"""

import base64

import msgspec

from adapters.adobe_sign.sandbox import shapes
from adapters.adobe_sign.sandbox.box import Sandbox
from adapters.adobe_sign.sandbox.rendering import render_combined
from adapters.adobe_sign.sandbox.world import Agreement, JsonObject, Member, ParticipantSet, Webhook

# The provider trims in this order.
_TRIM_ORDER = (
    "includeSignedDocuments",
    "includeParticipantsInfo",
    "includeDocumentsInfo",
    "includeDetailedInfo",
)


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One fact: `type` is the word of the history, `event` the webhook's (none for a fact without one)."""

    type: str
    event: str = ""
    description: str
    acting_email: str
    acting_ip: str = "127.0.0.1"
    participant_set: ParticipantSet | None = None
    member: Member | None = None
    comment: str = ""
    sub_event: str = ""
    action_type: str = ""
    extra: JsonObject = {}


def compose_payload(
    box: Sandbox,
    webhook: Webhook,
    agreement: Agreement,
    notice: Notice,
    notification_id: str,
    *,
    trimmed: bool,
) -> str:
    """The JSON text of one notification; every retry sends these bytes."""
    asked = [name for name in _TRIM_ORDER if webhook.conditional.get("webhookAgreementEvents", {}).get(name)]
    included, dropped = ([], asked) if trimmed else (list(asked), [])
    while True:
        text = _encode(box, webhook, agreement, notice, notification_id, included, dropped)
        if len(text) <= box.options.payload_limit_bytes or not included:
            return text
        dropped = [*dropped, included[0]]
        included = included[1:]


def _encode(
    box: Sandbox,
    webhook: Webhook,
    agreement: Agreement,
    notice: Notice,
    notification_id: str,
    included: list[str],
    dropped: list[str],
) -> str:
    body: JsonObject = {
        "webhookId": webhook.id,
        "webhookName": webhook.name,
        "webhookNotificationId": notification_id,
        "webhookUrlInfo": {"url": webhook.url},
        "webhookScope": webhook.scope,
    }
    if box.options.applicable_users:
        body["webhookNotificationApplicableUsers"] = [
            {
                "id": box.user_id(agreement.owner),
                "email": agreement.owner,
                "role": "SENDER",
                "payloadApplicable": True,
            }
        ]
    body["event"] = notice.event
    if notice.sub_event:
        body["subEvent"] = notice.sub_event
    body["eventDate"] = shapes.instant(box.now())
    body["eventResourceType"] = "agreement"
    if notice.event == "AGREEMENT_ACTION_COMPLETED":
        body["eventDateTimezoneOffset"] = "UTC+0"
    body |= _people(box, agreement, notice)
    body |= notice.extra
    body["agreement"] = _agreement(box, agreement, notice, included)
    if dropped:
        body["conditionalParametersTrimmed"] = dropped
    return msgspec.json.encode(body).decode()


def _people(box: Sandbox, agreement: Agreement, notice: Notice) -> JsonObject:
    participant = notice.member.email if notice.member else agreement.owner
    people: JsonObject = {}
    if notice.participant_set is not None:
        people["participantRole"] = notice.participant_set.role
    if notice.action_type:
        people["actionType"] = notice.action_type
    return people | {
        "participantUserId": box.user_id(participant),
        "participantUserEmail": participant,
        "actingUserId": box.user_id(notice.acting_email),
        "actingUserEmail": notice.acting_email,
        "actingUserIpAddress": notice.acting_ip,
        "initiatingUserId": box.user_id(agreement.owner),
        "initiatingUserEmail": agreement.owner,
        "accountId": shapes.ACCOUNT_ID,
    }


def _agreement(box: Sandbox, agreement: Agreement, notice: Notice, included: list[str]) -> JsonObject:
    shape: JsonObject = {"id": agreement.id, "name": agreement.name}
    if "includeDetailedInfo" in included:
        shape["signatureType"] = agreement.signature_type
    shape["status"] = agreement.status
    if "includeDetailedInfo" in included:
        shape |= shapes.agreement_details(agreement)
    if "includeParticipantsInfo" in included:
        shape["participantSetsInfo"] = {"participantSets": shapes.participant_sets(agreement)}
        following = shapes.next_participant_sets(agreement)
        if following and notice.event == "AGREEMENT_ACTION_REQUESTED":
            shape["participantSetsInfo"]["nextParticipantSets"] = following
    if "includeDocumentsInfo" in included:
        shape["documentsInfo"] = {"documents": shapes.documents(agreement)}
    if "includeSignedDocuments" in included and notice.event == "AGREEMENT_WORKFLOW_COMPLETED":
        signed = render_combined(box.keeper, agreement)
        shape["signedDocumentInfo"] = {"document": base64.b64encode(signed).decode()}
    return shape
