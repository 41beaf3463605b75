"""Shows state in the provider's wire form: almost every scalar is a string, also numbers and booleans."""

from collections.abc import Set as AbstractSet

from .catalogue import JsonObject, models
from .clock import seven_digits, trimmed
from .state import RECIPIENT_KINDS, AuditEvent, Document, Envelope, Lock, Recipient, Upload
from .world import World

_SECRET_ATTRIBUTES = frozenset({"accessCode", "password"})


def summary(envelope: Envelope) -> JsonObject:
    """The answer to create."""
    return {
        "envelopeId": envelope.id,
        "uri": f"/envelopes/{envelope.id}",
        "statusDateTime": seven_digits(envelope.changed_at),
        "status": envelope.status,
    }


def envelope(world: World, shown: Envelope, include: AbstractSet[str] = frozenset()) -> JsonObject:
    """The envelope with the parts of it that were asked for."""
    base = f"/envelopes/{shown.id}"
    settings = world.settings
    answer: JsonObject = {
        **shown.wire,
        "envelopeId": shown.id,
        "status": shown.status,
        "envelopeUri": base,
        "documentsUri": f"{base}/documents",
        "documentsCombinedUri": f"{base}/documents/combined",
        "recipientsUri": f"{base}/recipients",
        "customFieldsUri": f"{base}/custom_fields",
        "notificationUri": f"{base}/notification",
        "attachmentsUri": f"{base}/attachments",
        "templatesUri": f"{base}/templates",
        "certificateUri": f"{base}/documents/summary",
        "sender": {
            "userName": settings.sender_name,
            "userId": settings.user_id,
            "accountId": settings.account_id,
            "email": settings.sender_email,
        },
        "purgeState": shown.purge_state,
        "expireEnabled": shown.expirations["expireEnabled"],
        "expireAfter": shown.expirations["expireAfter"],
        "signingLocation": "online",
        "is21CFRPart11": "false",
        "isSignatureProviderEnvelope": "false",
        "envelopeLocation": "current_site",
        "createdDateTime": trimmed(shown.created_at),
        "lastModifiedDateTime": trimmed(shown.modified_at),
        "statusChangedDateTime": trimmed(shown.changed_at),
    }
    moments = {
        "initialSentDateTime": shown.initial_sent_at,
        "sentDateTime": shown.sent_at,
        "deliveredDateTime": shown.delivered_at,
        "completedDateTime": shown.completed_at,
        "declinedDateTime": shown.declined_at,
        "voidedDateTime": shown.voided_at,
        "deletedDateTime": shown.deleted_at,
        "expireDateTime": shown.expire_at,
    }
    answer.update({name: trimmed(at) for name, at in moments.items() if at is not None})
    if shown.voided_reason is not None:
        answer["voidedReason"] = shown.voided_reason
    if "custom_fields" in include:
        answer["customFields"] = custom_fields(shown)
    if "recipients" in include or "tabs" in include:
        answer["recipients"] = recipients(shown, with_tabs="tabs" in include)
    if "documents" in include:
        answer["envelopeDocuments"] = documents(shown)["envelopeDocuments"]
    if "folders" in include:
        answer["folders"] = [{"name": "Sent Items", "type": "sentitems", "folderId": settings.account_id}]
    return answer


def recipients(shown: Envelope, *, with_tabs: bool) -> JsonObject:
    """All arrays, also the empty ones, as the real service answers."""
    answer: JsonObject = {kind: [] for kind in RECIPIENT_KINDS}
    for item in shown.recipients:
        answer[item.kind].append(recipient(item, with_tabs=with_tabs))
    answer["recipientCount"] = str(len(shown.recipients))
    answer["currentRoutingOrder"] = str(shown.current_order)
    return answer


def recipient(shown: Recipient, *, with_tabs: bool) -> JsonObject:
    answer: JsonObject = {
        "creationReason": "sender",
        "deliveryMethod": "email",
        "requireIdLookup": "false",
        "note": "",
        **{key: value for key, value in shown.wire.items() if key not in _SECRET_ATTRIBUTES},
        "recipientId": shown.recipient_id,
        "recipientIdGuid": shown.guid,
        "userId": shown.user_id,
        "routingOrder": str(shown.order),
        "status": shown.status,
        "recipientType": RECIPIENT_KINDS[shown.kind],
        "completedCount": "1" if shown.is_done else "0",
        "totalTabCount": str(sum(len(tabs) for tabs in shown.tabs.values())),
    }
    moments = {
        "sentDateTime": shown.sent_at,
        "deliveredDateTime": shown.delivered_at,
        "signedDateTime": shown.signed_at,
        "declinedDateTime": shown.declined_at,
    }
    answer.update({name: trimmed(at) for name, at in moments.items() if at is not None})
    if shown.declined_reason is not None:
        answer["declinedReason"] = shown.declined_reason
    if shown.auto_responded_reason is not None:
        answer["autoRespondedReason"] = shown.auto_responded_reason
    if shown.authentication:
        answer["recipientAuthenticationStatus"] = shown.authentication
    if shown.wire.get("accessCode"):
        answer["accessCode"] = "*****"
    if with_tabs and shown.tabs:
        answer["tabs"] = shown.tabs
    known = models()[models()["Recipients"][shown.kind].removeprefix("list[").removesuffix("]")]
    return {key: value for key, value in answer.items() if key in known}  # kinds have different attributes


def documents(shown: Envelope) -> JsonObject:
    listed = [document(shown, item) for item in sorted(shown.documents, key=lambda d: d.order)]
    if shown.status != "created":
        listed.append(
            {
                "documentId": "certificate",
                "documentIdGuid": shown.id,
                "name": "Summary",
                "type": "summary",
                "uri": f"/envelopes/{shown.id}/documents/certificate",
                "order": "999",
                "display": "inline",
                "includeInDownload": "true",
                "signerMustAcknowledge": "no_interaction",
                "templateRequired": "false",
                "authoritativeCopy": "false",
            }
        )
    return {"envelopeId": shown.id, "envelopeDocuments": listed}


def document(owner: Envelope, shown: Document) -> JsonObject:
    return {
        "documentId": shown.document_id,
        "documentIdGuid": shown.guid,
        "name": shown.name,
        "type": "content",
        "uri": f"/envelopes/{owner.id}/documents/{shown.document_id}",
        "order": str(shown.order),
        "display": shown.wire.get("display", "inline"),
        "includeInDownload": shown.wire.get("includeInDownload", "true"),
        "signerMustAcknowledge": shown.wire.get("signerMustAcknowledge", "no_interaction"),
        "templateRequired": "false",
        "authoritativeCopy": "false",
        "pages": [
            {
                "pageId": page.guid,
                "sequence": str(number),
                "height": f"{page.height:.0f}",
                "width": f"{page.width:.0f}",
                "dpi": "72",
            }
            for number, page in enumerate(shown.pages, start=1)
        ],
    }


def custom_fields(shown: Envelope) -> JsonObject:
    return {"textCustomFields": shown.text_fields, "listCustomFields": shown.list_fields}


def notification(shown: Envelope) -> JsonObject:
    reminders: JsonObject = {"reminderEnabled": "false", "reminderDelay": "0", "reminderFrequency": "0"}
    return {
        "useAccountDefaults": shown.notification.get("useAccountDefaults", "false"),
        "reminders": {**reminders, **(shown.notification.get("reminders") or {})},
        "expirations": shown.expirations,
    }


def audit_events(world: World, shown: Envelope) -> JsonObject:
    return {"auditEvents": [{"eventFields": _audit_fields(world, shown, event)} for event in shown.audit]}


def lock(world: World, shown: Lock) -> JsonObject:
    settings = world.settings
    return {
        "lockToken": shown.token,
        "lockDurationInSeconds": str(shown.duration_s),
        "lockedUntilDateTime": seven_digits(shown.until),
        "lockedByApp": shown.app,
        "lockType": shown.kind,
        "useScratchPad": "false",
        "lockedByUser": {
            "userName": settings.sender_name,
            "userId": settings.user_id,
            "email": settings.sender_email,
        },
    }


def upload(shown: Upload, account_id: str) -> JsonObject:
    return {
        "chunkedUploadId": shown.id,
        "chunkedUploadUri": f"/accounts/{account_id}/chunked_uploads/{shown.id}",
        "committed": "true" if shown.is_committed else "false",
        "expirationDateTime": seven_digits(shown.expires_at),
        "maxChunkedUploadParts": "128",
        "maxTotalSize": "52428800",
        "totalSize": str(shown.size),
        "chunkedUploadParts": [
            {"sequence": str(number), "size": str(size)} for number, size in enumerate(shown.sizes)
        ],
    }


def _audit_fields(world: World, shown: Envelope, event: AuditEvent) -> list[JsonObject]:
    fields = {
        "logTime": seven_digits(event.at),
        "Source": "api",
        "UserName": event.user_name,
        "UserId": event.user_id,
        "Action": event.action,
        "Message": event.message,
        "EnvelopeStatus": event.envelope_status,
        "ClientIPAddress": "127.0.0.1",
        "Information": event.message,
        "InformationLocalized": event.message,
        "GeoLocation": "",
        "Language": "en",
        "EnvelopeId": shown.id,
        "AccountId": world.settings.account_id,
    }
    return [{"name": name, "value": value} for name, value in fields.items()]
