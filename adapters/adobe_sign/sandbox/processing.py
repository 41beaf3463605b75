"""Turns an agreement's uploads into pages and its generators, tags and templates into form fields."""

from typing import Any

from adapters.adobe_sign.sandbox import pdf
from adapters.adobe_sign.sandbox.keeper import Keeper
from adapters.adobe_sign.sandbox.world import Agreement, JsonObject

# Tag words of the text-tag syntax that the sandbox understands.
_TAG_KINDS: dict[str, tuple[str, str]] = {
    "signature": ("SIGNATURE_BLOCK", "SIGNATURE"),
    "sig": ("SIGNATURE_BLOCK", "SIGNATURE"),
    "initials": ("SIGNER_INITIALS", "SIGNATURE"),
    "date": ("SIGNATURE_DATE", "TEXT_FIELD"),
    "fullname": ("SIGNER_NAME", "TEXT_FIELD"),
    "email": ("SIGNER_EMAIL", "TEXT_FIELD"),
    "title": ("SIGNER_TITLE", "TEXT_FIELD"),
    "company": ("SIGNER_COMPANY", "TEXT_FIELD"),
}


def process_documents(keeper: Keeper, agreement: Agreement) -> None:
    """Convert every file and place the generated fields; raises ConversionError."""
    next_page = 1
    for document in agreement.documents:
        content = pdf.convert_to_pdf(keeper.get_blob(document.source), document.name, document.mime_type)
        document.pdf = keeper.put_blob(content)
        document.num_pages = len(pdf.page_sizes(content))
        document.first_page = next_page
        next_page += document.num_pages
    _place_generators(keeper, agreement)
    _place_tags(keeper, agreement)


def page_size(keeper: Keeper, agreement: Agreement, page: int) -> tuple[float, float] | None:
    """The displayed size of a page of the combined document, None when there is no such page."""
    for document in agreement.documents:
        if document.first_page <= page < document.first_page + document.num_pages:
            return pdf.page_sizes(keeper.get_blob(document.pdf))[page - document.first_page]
    return None


def _place_generators(keeper: Keeper, agreement: Agreement) -> None:
    for generator in agreement.info.get("formFieldGenerators", []):
        anchor: JsonObject = generator["anchorTextInfo"]
        label = anchor.get("fileInfoLabel", "")
        place: JsonObject = anchor["anchoredFormFieldLocation"]
        assignee = next(
            (s.id for s in agreement.participant_sets if s.name == generator.get("participantSetName")),
            "NOBODY",
        )
        for document in agreement.documents:
            if label and document.label != label:
                continue
            for spot in pdf.find_text(keeper.get_blob(document.pdf), anchor["anchorText"]):
                height = float(place.get("height", 30))
                location = {
                    "pageNumber": document.first_page + spot.page,
                    "left": spot.left + float(place.get("offsetX", 0)),
                    "top": spot.bottom + float(place.get("offsetY", 0)) + height,
                    "width": float(place.get("width", 150)),
                    "height": height,
                }
                prefix = generator.get("formFieldNamePrefix", "field")
                description: JsonObject = generator["formFieldDescription"]
                _add_field(agreement, prefix, assignee, location, description)


def _place_tags(keeper: Keeper, agreement: Agreement) -> None:
    routed = [each for each in agreement.participant_sets if each.order]
    for document in agreement.documents:
        for tag in pdf.find_tags(keeper.get_blob(document.pdf)):
            if tag.kind not in _TAG_KINDS or not 1 <= tag.signer <= len(routed):
                continue
            content_type, input_type = _TAG_KINDS[tag.kind]
            location = {
                "pageNumber": document.first_page + tag.spot.page,
                "left": tag.spot.left,
                "top": tag.spot.top,
                "width": tag.spot.right - tag.spot.left,
                "height": max(12.0, tag.spot.top - tag.spot.bottom),
            }
            description = {"contentType": content_type, "inputType": input_type, "required": True}
            _add_field(agreement, tag.name or tag.kind, routed[tag.signer - 1].id, location, description)


def _add_field(
    agreement: Agreement, prefix: str, assignee: str, location: dict[str, Any], description: JsonObject
) -> None:
    taken = {field["name"] for field in agreement.fields}
    name = next(n for k in range(len(taken) + 1) if (n := prefix if k == 0 else f"{prefix}_{k}") not in taken)
    agreement.fields.append({**description, "name": name, "assignee": assignee, "locations": [location]})
