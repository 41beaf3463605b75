"""Our fields as theirs: form fields with coordinates, and generators that place fields at a text.

The provider merges all files into one document, counts its pages through, and measures from the bottom left;
we count pages per document and measure from the top left. Must be given documents with known pages
(losses.py refuses the others).
Source: REST v6 swagger 1.2 (FormField: "top: No. of pixels from bottom of the page"); anchors: developer
guide of 2026-04-29, whose example moves a field below its text with a negative offsetY.
"""

from collections.abc import Mapping
from uuid import UUID

from adapters.adobe_sign.mapping import ANCHORED_SIGNATURE, FIELD, FieldWords
from adapters.adobe_sign.wire import (
    AnchoredLocation,
    AnchorTextInfo,
    FieldDescription,
    FieldGenerator,
    FieldLocation,
    FormField,
)
from normalizer.document import Document
from normalizer.envelope import Envelope
from normalizer.field import DEFAULT_SIZE, Field, FieldType
from normalizer.ids import Kind, print_id

OWN_FIELD = f"{Kind.FIELD}_"  # names of fields that we placed by coordinates begin so
_NOBODY = "NOBODY"  # a label: the sender's text, nobody's to fill
_MULTILINE_HEIGHT = 30.0  # two lines of ten points do not fit below this


def has_coordinates(envelope: Envelope) -> bool:
    return any(field.anchor is None for field in envelope.fields)


def document_label(envelope: Envelope, document: Document) -> str:
    """The label under which a file is found again among the agreement's documents."""
    return f"doc{in_order(envelope).index(document) + 1}"


def in_order(envelope: Envelope) -> list[Document]:
    return sorted(envelope.documents, key=lambda document: document.order)


def build_fields(envelope: Envelope, participant_sets: Mapping[UUID, str]) -> tuple[FormField, ...]:
    """The fields with coordinates. `participant_sets`: the provider's set id of each recipient."""
    pages = _first_pages(envelope)
    groups: dict[tuple[object, ...], list[Field]] = {}
    for field in envelope.fields:
        if field.anchor is None:
            groups.setdefault(_group_key(field), []).append(field)
    return tuple(
        _form_field(group, pages, participant_sets[group[0].recipient_id]) for group in groups.values()
    )


def build_generators(envelope: Envelope) -> tuple[FieldGenerator, ...]:
    labels = {document.id: document_label(envelope, document) for document in envelope.documents}
    return tuple(
        _generator(field, labels[field.document_id]) for field in envelope.fields if field.anchor is not None
    )


def _group_key(field: Field) -> tuple[object, ...]:
    """Radio buttons of one group are one form field with several places; every other field is its own."""
    if field.type is FieldType.RADIO and field.group:
        return (field.recipient_id, field.group)
    return (field.id,)


def _first_pages(envelope: Envelope) -> dict[UUID, tuple[Document, int]]:
    """Each document with the number of its first page in the merged document."""
    found, page = {}, 1
    for document in in_order(envelope):
        found[document.id] = (document, page)
        page += len(document.pages)
    return found


def _form_field(group: list[Field], pages: Mapping[UUID, tuple[Document, int]], assignee: str) -> FormField:
    first = group[0]
    words = _words(first)
    is_label = first.read_only and bool(first.value) and words.content_type == "DATA"
    is_radio = first.type is FieldType.RADIO
    choices = tuple(field.value or field.label for field in group) if is_radio else first.options
    return FormField(
        name=print_id(Kind.FIELD, first.id),
        input_type=words.input_type,
        content_type=words.content_type,
        assignee=_NOBODY if is_label else assignee,
        required=any(field.required for field in group) and not is_label,
        read_only=first.read_only,
        default_value="" if is_radio else first.value,
        validation=words.validation,
        display_label=first.label,
        visible_options=choices,
        hidden_options=choices,
        locations=tuple(_location(field, *pages[field.document_id]) for field in group),
    )


def _location(field: Field, document: Document, first_page: int) -> FieldLocation:
    width, height = _size(field)
    return FieldLocation(
        page_number=first_page + field.page - 1,
        left=field.x,
        top=document.pages[field.page - 1].height - field.y,
        width=width,
        height=height,
    )


def _generator(field: Field, label: str) -> FieldGenerator:
    anchor = field.anchor
    assert anchor is not None  # noqa: S101 - the caller chose anchored fields
    width, height = _size(field)
    words = ANCHORED_SIGNATURE if field.type is FieldType.SIGNATURE else _words(field)
    return FieldGenerator(
        form_field_name_prefix=f"anchored_{print_id(Kind.FIELD, field.id)}",
        participant_set_name=print_id(Kind.RECIPIENT, field.recipient_id),
        anchor_text_info=AnchorTextInfo(
            anchor_text=anchor.text,
            file_info_label=label,
            anchored_form_field_location=AnchoredLocation(
                offset_x=anchor.x_offset,
                offset_y=0.0 - anchor.y_offset,  # theirs points up
                width=width,
                height=height,
            ),
        ),
        form_field_description=FieldDescription(
            input_type=words.input_type,
            content_type=words.content_type,
            required=field.required,
            read_only=field.read_only,
            default_value=field.value,
            validation=words.validation,
            display_label=field.label,
            visible_options=field.options,
            hidden_options=field.options,
        ),
    )


def _words(field: Field) -> FieldWords:
    words = FIELD[field.type]
    if field.type is FieldType.TEXT and _size(field)[1] > _MULTILINE_HEIGHT:
        return FieldWords(words.content_type, "MULTILINE", words.validation)
    return words


def _size(field: Field) -> tuple[float, float]:
    width, height = DEFAULT_SIZE[field.type]
    return field.width or width, field.height or height
