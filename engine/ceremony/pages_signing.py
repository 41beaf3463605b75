"""The document with its fields, and the last look before the finish."""

from collections.abc import Mapping, Sequence

from engine.ceremony.capture import Purpose, adopted
from engine.ceremony.delegate import may_delegate
from engine.ceremony.fields import default_value, missing_fields
from engine.ceremony.finish import MEANINGS, offered_meanings, signing_date
from engine.ceremony.pages.catalogue import say
from engine.ceremony.pages_shell import make_shell
from engine.ceremony.values import is_filled
from engine.ceremony.view import (
    AdoptedSignature,
    DocumentView,
    FieldView,
    FontView,
    PageView,
    ReviewPage,
    SigningPage,
)
from engine.ceremony.visit import Visit
from engine.fonts.faces import HANDS
from engine.model import EngineField, Signature
from normalizer.field import FieldType
from normalizer.ids import Kind, print_id

_FONTS = tuple(FontView(id=face.id, title=face.title, css_family=face.css_family) for face in HANDS)
_MEANINGS = {
    "en": ("Authorship", "Approval", "Review", "Responsibility"),
    "de": ("Urheberschaft", "Genehmigung", "Prüfung", "Verantwortung"),
}

_NAMES = {
    "en": {
        "name": "{what}, {needed}, page {page} of {pages}",
        "required": "required",
        "optional": "optional",
    },
    "de": {
        "name": "{what}, {needed}, Seite {page} von {pages}",
        "required": "Pflichtfeld",
        "optional": "freiwillig",
    },
}


def signing_page(visit: Visit, *, error: str = "", values: Mapping[str, str] | None = None) -> SigningPage:
    own = _own_fields(visit)
    return SigningPage(
        shell=make_shell(visit, "document", error=error, values=values),
        documents=document_views(visit),
        fields=field_views(visit),
        signature=adopted_view(visit, Purpose.SIGNATURE),
        initials=adopted_view(visit, Purpose.INITIALS),
        needs_signature=any(field.type is FieldType.SIGNATURE for field in own),
        needs_initials=any(field.type is FieldType.INITIALS for field in own),
        fonts=_FONTS,
        can_delegate=may_delegate(visit.engine, visit.recipient),
        can_decline=visit.recipient.role.acts,
        required_left=len(missing_fields(visit.envelope, visit.recipient)),
    )


def review_page(
    visit: Visit, idempotency_key: str, *, error: str = "", values: Mapping[str, str] | None = None
) -> ReviewPage:
    missing = {print_id(Kind.FIELD, field.id) for field in missing_fields(visit.envelope, visit.recipient)}
    fields = field_views(visit)
    return ReviewPage(
        shell=make_shell(visit, "finish", error=error, values=values),
        documents=document_views(visit),
        fields=fields,
        signature=adopted_view(visit, Purpose.SIGNATURE),
        initials=adopted_view(visit, Purpose.INITIALS),
        missing=tuple(field for field in fields if field.id in missing),
        idempotency_key=idempotency_key,
        meanings=_MEANINGS[visit.language] if offered_meanings(visit.engine) else (),
    )


def read_meaning(shown: str) -> str:
    """The meaning that a shown word stands for, in either language; "" for none."""
    for words in _MEANINGS.values():
        if shown in words:
            return MEANINGS[words.index(shown)]
    return shown if shown in MEANINGS else ""


def document_views(visit: Visit) -> tuple[DocumentView, ...]:
    return tuple(
        DocumentView(
            number=number,
            name=document.name,
            url=f"{visit.base}/documents/{number}.pdf",
            download_url=f"{visit.base}/download/document-{number}",
            text_url=f"{visit.base}/documents/{number}/text",
            pages=tuple(
                PageView(number=page, width=size.width, height=size.height)
                for page, size in enumerate(document.pages, start=1)
            ),
        )
        for number, document in enumerate(visit.envelope.documents, start=1)
    )


def field_views(visit: Visit) -> tuple[FieldView, ...]:
    """The reader's own, in reading order over all documents."""
    return tuple(_view(visit, field, number) for number, field in enumerate(_own_fields(visit), start=1))


def field_view(visit: Visit, field: EngineField) -> FieldView:
    """One field after a change, with the number that it has on the page."""
    order = [one.id for one in _own_fields(visit)]
    return _view(visit, field, order.index(field.id) + 1)


def adopted_view(visit: Visit, purpose: Purpose) -> AdoptedSignature | None:
    signature = adopted(visit.envelope, visit.recipient, purpose)
    return signature_view(visit, signature) if signature is not None else None


def signature_view(visit: Visit, signature: Signature) -> AdoptedSignature:
    printed = print_id(Kind.SIGNATURE, signature.id)
    return AdoptedSignature(
        id=printed,
        purpose=signature.purpose,
        type=signature.type.value,
        picture_url=f"{visit.base}/signatures/{printed}.png",
        text=signature.text,
    )


def _own_fields(visit: Visit) -> Sequence[EngineField]:
    """By document, page, and place on it: lines from the top, within a line from the left."""
    order = {document.id: number for number, document in enumerate(visit.envelope.documents)}
    return sorted(
        visit.envelope.fields_of(visit.recipient.id),
        key=lambda field: (order.get(field.document_id, 0), field.page, round(field.y, 2), field.x, field.id),
    )


def _view(visit: Visit, field: EngineField, number: int) -> FieldView:
    documents = visit.envelope.documents
    place = next((index for index, one in enumerate(documents) if one.id == field.document_id), 0)
    is_attachment = field.type is FieldType.ATTACHMENT
    return FieldView(
        id=print_id(Kind.FIELD, field.id),
        number=number,
        document=place + 1,
        page=field.page,
        x=field.x,
        y=field.y,
        width=field.width,
        height=field.height,
        type=field.type.value,
        label=field.label,
        name=_name(visit, field, documents[place].page_count if documents else 0),
        required=field.required,
        read_only=field.read_only or field.type is FieldType.DATE_SIGNED,
        value="" if is_attachment else _shown_value(visit, field),
        options=field.options,
        group=field.group_name,
        version=field.version,
        is_done=is_filled(field) or bool(_shown_value(visit, field)) or field.read_only,
        picture_url=_picture_url(visit, field),
        attachment_name=field.value if is_attachment else "",
    )


def _shown_value(visit: Visit, field: EngineField) -> str:
    """What stands there, or what the server would fill in."""
    if field.value:
        return field.value
    if field.read_only:
        return ""
    if field.type is FieldType.DATE_SIGNED:
        return signing_date(visit.engine.clock.now(), "")
    return default_value(field, visit.recipient)


def _name(visit: Visit, field: EngineField, pages: int) -> str:
    """The accessible name: "Signature, required, page 3 of 5"."""
    words = _NAMES[visit.language]
    what = field.label or say(visit.language, f"field.{field.type}")
    needed = words["required" if field.required else "optional"]
    return words["name"].format(what=what, needed=needed, page=field.page, pages=pages)


def _picture_url(visit: Visit, field: EngineField) -> str:
    if field.signature_id is None:
        return ""
    return f"{visit.base}/signatures/{print_id(Kind.SIGNATURE, field.signature_id)}.png"
