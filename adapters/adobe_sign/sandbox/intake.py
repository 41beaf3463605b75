"""Checks what a catalogue cannot say about a new agreement, and builds it.

It must never store an agreement; the caller does, once nothing is left to refuse.
"""

from datetime import timedelta
from urllib.parse import urlsplit

from adapters.adobe_sign.sandbox import catalogue, roles
from adapters.adobe_sign.sandbox.calls import Call
from adapters.adobe_sign.sandbox.world import Agreement, Document, JsonObject, Member, ParticipantSet

_SOURCES = ("transientDocumentId", "libraryDocumentId", "urlFileInfo", "document")
_TRANSIENT_LIFE = timedelta(days=7)
_LONGEST_EXPIRATION = timedelta(days=180)
_HEAD = frozenset({"name", "signatureType", "state", "externalId", "participantSetsInfo", "fileInfos"})


def check_options(call: Call, body: JsonObject) -> None:
    """The rules for expiry, reminders and redirects."""
    now = call.box.now()
    expiration = catalogue.parse_date(body.get("expirationTime"))
    if expiration is not None and expiration <= now:
        raise call.refuse("past_expiration", "The expirationTime is in the past")
    if expiration is not None and expiration > now + _LONGEST_EXPIRATION:
        raise call.refuse("far_expiration", "The expirationTime is more than 180 days away")
    if body.get("firstReminderDelay", 1) < 1:
        raise call.refuse("short_reminder_delay", "firstReminderDelay must be at least one hour")
    redirect = body.get("postSignOption")
    if redirect is not None:
        url = urlsplit(redirect["redirectUrl"])
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise call.refuse("bad_redirect_url", "The redirectUrl specified is not a valid URL")
        if redirect.get("redirectDelay", 0) < 0:
            raise call.refuse("negative_redirect_delay", "redirectDelay must be a nonnegative integer")


def build_agreement(call: Call, body: JsonObject) -> Agreement:
    """A new agreement from a checked body; refuses what the routing and the files rule out."""
    check_options(call, body)
    _check_routing(call, body["participantSetsInfo"])
    sets = [_participant_set(call, each) for each in body["participantSetsInfo"]]
    documents, library_fields = _documents(call, body["fileInfos"], sets)
    _check_generators(call, body, sets)
    return Agreement(
        id=call.box.new_id(),
        name=body["name"],
        owner=call.actor,
        wanted=body["state"],
        created=call.box.now(),
        signature_type=body["signatureType"],
        external_id=(body.get("externalId") or {}).get("id", ""),
        expiration=catalogue.parse_date(body.get("expirationTime")),
        info={key: value for key, value in body.items() if key not in _HEAD and value is not None},
        participant_sets=sets,
        documents=documents,
        fields=library_fields,
    )


def build_members(call: Call, member_infos: list[JsonObject]) -> list[Member]:
    """The people of one participant set."""
    members = []
    for info in member_infos:
        security = info.get("securityOption") or {"authenticationMethod": "NONE"}
        method = security["authenticationMethod"]
        if method == "PASSWORD" and not security.get("password"):
            raise call.refuse("password_missing", "authenticationMethod PASSWORD needs a password")
        if method == "PHONE" and not (security.get("phoneInfo") or {}).get("countryCode"):
            raise call.refuse("phone_missing", "authenticationMethod PHONE needs phoneInfo with countryCode")
        members.append(
            Member(
                id=call.box.new_id(),
                email=info["email"],
                user_id=call.box.user_id(info["email"]),
                name=info.get("name") or info["email"].split("@")[0].replace(".", " ").title(),
                authentication=method,
                phone_info=security.get("phoneInfo"),
            )
        )
    return members


def _check_routing(call: Call, infos: list[JsonObject]) -> None:
    routed = [info for info in infos if info["role"] != roles.SHARE]
    if not routed:
        raise call.refuse("no_signer", "At least one participant must act")
    if any(info.get("order") is not None for info in infos if info["role"] == roles.SHARE):
        raise call.refuse("order_on_share", "A participant set with the role SHARE has no order")
    orders = [info.get("order") for info in routed]
    if None in orders:
        raise call.refuse("order_missing", "participantSetsInfo.order is required")
    distinct = sorted({order for order in orders if order is not None})
    if distinct[0] != 1:
        raise call.refuse("orders_not_from_one", "The orders of the participant sets start at 1")
    if distinct != list(range(1, len(distinct) + 1)):
        raise call.refuse("orders_with_gap", "The orders of the participant sets are consecutive")
    hybrid = 1 < len(distinct) < len(routed)
    if hybrid and not call.box.options.hybrid_routing:
        raise call.refuse("hybrid_routing", "Hybrid routing is not enabled for this user.")


def _participant_set(call: Call, info: JsonObject) -> ParticipantSet:
    return ParticipantSet(
        id=call.box.new_id(),
        order=info.get("order") or 0,
        role=info["role"],
        name=info.get("name") or "",
        label=info.get("label") or "",
        private_message=info.get("privateMessage") or "",
        visible_pages=info.get("visiblePages") or [],
        members=build_members(call, info["memberInfos"]),
    )


def _documents(
    call: Call, file_infos: list[JsonObject], sets: list[ParticipantSet]
) -> tuple[list[Document], list[JsonObject]]:
    documents: list[Document] = []
    fields: list[JsonObject] = []
    for info in file_infos:
        given = [source for source in _SOURCES if info.get(source)]
        if len(given) != 1:
            trigger = "two_file_sources" if given else "no_file_source"
            raise call.refuse(trigger, f"A fileInfo names exactly one of {', '.join(_SOURCES)}")
        match given[0]:
            case "transientDocumentId":
                documents.append(_from_transient(call, info))
            case "libraryDocumentId":
                document, placed = _from_library(call, info, sets)
                documents.append(document)
                fields.extend(placed)
            case "urlFileInfo":
                raise call.refuse("url_file", "This sandbox fetches no documents")
            case _:
                raise call.refuse(
                    "document_file", "A document can only be referred to when a draft is changed"
                )
    return documents, fields


def _from_transient(call: Call, info: JsonObject) -> Document:
    transient = call.box.world.transients.get(info["transientDocumentId"])
    if transient is None:
        raise call.refuse("unknown_transient", "The Transient Document ID specified is invalid")
    if transient.created + _TRANSIENT_LIFE < call.box.now():
        raise call.refuse("expired_transient", "Transient Resource deleted from the server.")
    return Document(
        id=call.box.new_id("3AAABLKmtbU"),
        name=transient.name,
        mime_type=transient.mime_type,
        source=transient.blob,
        label=info.get("label") or "",
    )


def _from_library(
    call: Call, info: JsonObject, sets: list[ParticipantSet]
) -> tuple[Document, list[JsonObject]]:
    template = call.box.world.library.get(info["libraryDocumentId"])
    if template is None:
        raise call.refuse("unknown_library", "The Library Document ID specified is invalid")
    routed = sorted((each for each in sets if each.role != roles.SHARE), key=lambda each: each.order)
    fields = []
    for field in template.fields:
        place = int(field["assignee"])
        assignee = routed[place - 1].id if place <= len(routed) else "NOBODY"
        fields.append({**field, "assignee": assignee})
    document = Document(
        id=call.box.new_id("3AAABLKmtbU"),
        name=f"{template.name}.pdf",
        mime_type="application/pdf",
        source=template.blob,
        label=info.get("label") or "",
    )
    return document, fields


def _check_generators(call: Call, body: JsonObject, sets: list[ParticipantSet]) -> None:
    names = {each.name for each in sets if each.name}
    labels = {info.get("label") for info in body["fileInfos"] if info.get("label")}
    for generator in body.get("formFieldGenerators") or []:
        if generator.get("participantSetName") not in names:
            raise call.refuse(
                "generator_set_unknown", "participantSetName must be the name of a participant set"
            )
        label = generator["anchorTextInfo"].get("fileInfoLabel")
        if label is not None and label not in labels:
            raise call.refuse("generator_file_unknown", "fileInfoLabel must be the label of a fileInfo")
