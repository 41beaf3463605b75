"""Decides what one signing leaves on the pages: text at the participant's fields, or a line in the footer."""

from datetime import datetime

from adapters.adobe_sign.sandbox.keeper import Keeper
from adapters.adobe_sign.sandbox.processing import page_size
from adapters.adobe_sign.sandbox.roles import STEPS, acting_role
from adapters.adobe_sign.sandbox.shapes import instant
from adapters.adobe_sign.sandbox.world import Agreement, Document, JsonObject, Member, ParticipantSet, Stamp

_SIGNATURES = frozenset({"SIGNATURE", "SIGNATURE_BLOCK", "SIGNATURE_STAMP", "DIGITAL_SIGNATURE"})
_FOOTER_HEIGHT = 22.0


def fill_fields(
    agreement: Agreement,
    participant_set: ParticipantSet,
    member: Member,
    values: dict[str, str],
    at: datetime,
) -> None:
    """Keep what the participant entered; a required field without a value gets a readable one."""
    for field in agreement.fields:
        if field.get("assignee") == participant_set.id:
            entered = values.get(field["name"])
            agreement.values[field["name"]] = _value(field, member, at) if entered is None else entered


def add_stamps(
    keeper: Keeper, agreement: Agreement, participant_set: ParticipantSet, member: Member, at: datetime
) -> None:
    """Mark every document of the agreement."""
    verb = STEPS[acting_role(participant_set.role)].terminal_status.replace("_", " ").lower()
    who = member.name or member.email
    for document in agreement.documents:
        marks = [
            _at_field(agreement, field, location, who, at)
            for field in agreement.fields
            if field.get("assignee") == participant_set.id
            for location in field.get("locations", [])
            if document.first_page <= location["pageNumber"] < document.first_page + document.num_pages
        ]
        if not marks:
            line = f"SANDBOX {verb} by {who} <{member.email}> {instant(at)}"
            marks = [_footer(keeper, agreement, document, line)]
        agreement.stamps.extend(marks)


def _at_field(agreement: Agreement, field: JsonObject, location: JsonObject, who: str, at: datetime) -> Stamp:
    content = field.get("contentType", "DATA")
    if content in _SIGNATURES:
        lines = ["SANDBOX", who, instant(at)]
    else:
        lines = [agreement.values.get(field["name"], "") or "-"]
    # `top` is the upper edge, counted from the bottom of the page.
    return Stamp(
        page=location["pageNumber"],
        left=float(location["left"]),
        bottom=float(location["top"]) - float(location["height"]),
        width=float(location["width"]),
        height=float(location["height"]),
        lines=lines,
    )


def _footer(keeper: Keeper, agreement: Agreement, document: Document, line: str) -> Stamp:
    page = document.first_page + document.num_pages - 1
    width, _ = page_size(keeper, agreement, page) or (595.0, 842.0)
    above = sum(1 for stamp in agreement.stamps if stamp.page == page and len(stamp.lines) == 1)
    return Stamp(
        page=page,
        left=24,
        bottom=12 + above * (_FOOTER_HEIGHT + 2),
        width=width - 48,
        height=_FOOTER_HEIGHT,
        lines=[line],
    )


def _value(field: JsonObject, member: Member, at: datetime) -> str:
    known = {
        "SIGNER_NAME": member.name or member.email,
        "SIGNER_FIRST_NAME": (member.name or member.email).split()[0],
        "SIGNER_LAST_NAME": (member.name or member.email).split()[-1],
        "SIGNER_EMAIL": member.email,
        "SIGNER_COMPANY": member.company or "Sandbox Company",
        "SIGNER_TITLE": "Sandbox Title",
        "SIGNER_INITIALS": "".join(word[0] for word in (member.name or member.email).split()).upper(),
        "SIGNATURE_DATE": instant(at)[:10],
    }
    content = field.get("contentType", "DATA")
    if content in known:
        return known[content]
    if content in _SIGNATURES:
        return member.name or member.email
    if field.get("defaultValue"):
        return str(field["defaultValue"])
    if not field.get("required"):
        return ""
    return "Yes" if field.get("inputType") in {"CHECKBOX", "RADIO"} else "sandbox"
