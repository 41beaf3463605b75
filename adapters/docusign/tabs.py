"""Fields become tabs: one row per field type, with what that kind of tab can carry.

Coordinates are the same on both sides (points, top left, y down) and only rounded. DocuSign's correction
hints, which move a tab by a few points to match its own editor, are left out: a signature stands where asked.
Must never give a tab an attribute that its kind does not have, nor a required one silently as optional.
Source: eSignature REST API v2.1, tabs; attribute sets from the models of docusign-esign 6.1.0.
"""

from collections.abc import Iterable, Mapping
from uuid import UUID

import msgspec

from adapters.docusign.wire import ListItem, RadioGroup, Tab, Tabs, flag, number
from normalizer.envelope import Envelope
from normalizer.field import DEFAULT_SIZE, Field, FieldType
from normalizer.recipient import Recipient, Role


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of tab: its array and which attributes it takes."""

    array: str
    required: bool = False
    optional: bool = False
    locked: bool = False
    value: bool = False
    selected: bool = False
    items: bool = False
    sized: bool = True
    stands_on_anchor: bool = False
    remark: str = ""


_INVERSE = "required-ness is told by its inverse, `optional`"
KINDS: dict[FieldType, Kind] = {
    FieldType.SIGNATURE: Kind(
        array="signHereTabs", optional=True, sized=False, stands_on_anchor=True, remark=_INVERSE
    ),
    FieldType.INITIALS: Kind(
        array="initialHereTabs", optional=True, sized=False, stands_on_anchor=True, remark=_INVERSE
    ),
    FieldType.DATE_SIGNED: Kind(array="dateSignedTabs", sized=False, remark="filled by DocuSign, read-only"),
    FieldType.TEXT: Kind(array="textTabs", required=True, locked=True, value=True),
    FieldType.CHECKBOX: Kind(array="checkboxTabs", required=True, locked=True, selected=True, sized=False),
    FieldType.RADIO: Kind(
        array="radioGroupTabs",
        required=True,
        locked=True,
        selected=True,
        sized=False,
        remark="inside a group",
    ),
    FieldType.DROPDOWN: Kind(array="listTabs", required=True, locked=True, items=True),
    FieldType.NUMBER: Kind(array="numberTabs", required=True, locked=True, value=True),
    FieldType.DATE: Kind(array="dateTabs", required=True, locked=True, value=True),
    FieldType.FULL_NAME: Kind(array="fullNameTabs", sized=False, remark="filled by DocuSign, read-only"),
    FieldType.EMAIL: Kind(
        array="emailAddressTabs", sized=False, remark="not emailTabs, which ask; this one shows the signer's"
    ),
    FieldType.COMPANY: Kind(array="companyTabs", required=True, locked=True, value=True),
    FieldType.TITLE: Kind(array="titleTabs", required=True, locked=True, value=True),
    FieldType.ATTACHMENT: Kind(array="signerAttachmentTabs", optional=True, sized=False, remark=_INVERSE),
}

_TRUTHS = frozenset({"true", "yes", "on", "1", "x"})
# Signature tabs put their foot on the anchor text's foot, all others their head at its head. The shift makes
# both start at the text's head; a signature is 36 points high, text is taken to be 10 points high.
_FOOT_TO_HEAD = 26.0
_APPROVE_AT = (36.0, 36.0)
_DECLINE_AT = (136.0, 36.0)


def tabs_of(envelope: Envelope, recipient: Recipient, document_ids: Mapping[UUID, str]) -> Tabs | None:
    """The recipient's tabs by array, in the order of the fields; None when there are none."""
    fields = envelope.fields_of(recipient)
    labels = _labels(fields)
    tabs: dict[str, list[Tab | RadioGroup]] = {}
    for field in fields:
        if field.type is not FieldType.RADIO:
            tab = _tab(field, document_ids[field.document_id], labels[field.id])
            tabs.setdefault(KINDS[field.type].array, []).append(tab)
    tabs |= _radio_groups(fields, document_ids)
    if recipient.role is Role.APPROVER and document_ids:
        tabs |= _approval()
    return {array: tuple(members) for array, members in tabs.items()} or None


def _labels(fields: Iterable[Field]) -> dict[UUID, str]:
    """Labels that are unique: tabs of one recipient that share a label share their value, too."""
    taken: set[str] = set()
    labels: dict[UUID, str] = {}
    for field in fields:
        label = field.label[:400] or str(field.id)
        labels[field.id] = label if label not in taken else f"{label} {field.id}"
        taken.add(label)
    return labels


def _tab(field: Field, document_id: str, label: str) -> Tab:
    kind = KINDS[field.type]
    place = _place(field, kind)
    return msgspec.structs.replace(
        place,
        document_id=document_id,
        tab_label=label,
        width=number(field.width or DEFAULT_SIZE[field.type][0]) if kind.sized else "",
        height=number(field.height or DEFAULT_SIZE[field.type][1]) if kind.sized else "",
        required=flag(field.required) if kind.required else "",
        optional=flag(not field.required) if kind.optional else "",
        locked=flag(field.read_only) if kind.locked else "",
        value=field.value if kind.value else "",
        selected=flag(_is_chosen(field)) if kind.selected else "",
        list_items=_items(field) if kind.items else (),
    )


def _place(field: Field, kind: Kind) -> Tab:
    """Where the tab stands; `document_id` limits an anchor to the field's own document."""
    if field.anchor is None:
        return Tab(page_number=number(field.page), x_position=number(field.x), y_position=number(field.y))
    shift = _FOOT_TO_HEAD if kind.stands_on_anchor else 0.0
    return Tab(
        anchor_string=field.anchor.text,
        anchor_units="pixels",
        anchor_x_offset=str(round(field.anchor.x_offset)),
        anchor_y_offset=str(round(field.anchor.y_offset + shift)),
        # A text that is missing must fail the create: an envelope without its signature field is no help.
        anchor_ignore_if_not_present=flag(False),
    )


def _items(field: Field) -> tuple[ListItem, ...]:
    return tuple(
        ListItem(text=option, value=option, selected=flag(option == field.value) if field.value else "")
        for option in field.options
    )


def _radio_groups(
    fields: Iterable[Field], document_ids: Mapping[UUID, str]
) -> dict[str, list[Tab | RadioGroup]]:
    """Buttons by document and group; a group cannot span documents."""
    kind = KINDS[FieldType.RADIO]
    groups: dict[tuple[UUID, str], list[Tab]] = {}
    for field in fields:
        if field.type is FieldType.RADIO:
            buttons = groups.setdefault((field.document_id, field.group or str(field.id)), [])
            button = msgspec.structs.replace(
                _place(field, kind),
                value=_button_value(field, len(buttons) + 1),
                selected=flag(_is_chosen(field)),
                required=flag(field.required),
                locked=flag(field.read_only),
            )
            buttons.append(button)
    if not groups:
        return {}
    return {
        kind.array: [
            RadioGroup(document_id=document_ids[document], group_name=group, radios=tuple(buttons))
            for (document, group), buttons in groups.items()
        ]
    }


def _button_value(field: Field, place: int) -> str:
    """A button is named by its label, else by its value unless that only says chosen or not."""
    if field.label:
        return field.label
    is_word = field.value and field.value.casefold() not in _TRUTHS | {"false", "no", "off", "0"}
    return field.value if is_word else str(place)


def _is_chosen(field: Field) -> bool:
    return field.value.casefold() in _TRUTHS


def _approval() -> dict[str, list[Tab | RadioGroup]]:
    """Approve and Decline at the head of the first page: completing Approve completes the recipient."""
    return {
        "approveTabs": [_button("Approve", _APPROVE_AT)],
        "declineTabs": [_button("Decline", _DECLINE_AT)],
    }


def _button(text: str, place: tuple[float, float]) -> Tab:
    return Tab(
        document_id="1",
        page_number="1",
        x_position=number(place[0]),
        y_position=number(place[1]),
        tab_label=text.lower(),
        button_text=text,
    )
