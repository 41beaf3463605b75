"""The seeded templates: known ids, a page each, fields for the first and second participant."""

from adapters.adobe_sign.sandbox import pdf
from adapters.adobe_sign.sandbox.box import Sandbox
from adapters.adobe_sign.sandbox.world import JsonObject, LibraryDocument

NDA = "CBJCHBCAABAAsandboxTemplateNda"
TWO_PARTY = "CBJCHBCAABAAsandboxTemplateTwoParty"


def seed_library(box: Sandbox) -> None:
    """Put the templates in place unless an earlier run has."""
    for template_id, name, signers in ((NDA, "Sandbox NDA", 1), (TWO_PARTY, "Sandbox two-party contract", 2)):
        if template_id in box.world.library:
            continue
        lines = [name, "", "A template of the sandbox."]
        box.world.library[template_id] = LibraryDocument(
            id=template_id,
            name=name,
            blob=box.keeper.put_blob(pdf.text_pdf(lines)),
            fields=[field for place in range(1, signers + 1) for field in _fields_for(place)],
            modified=box.now(),
        )
        box.mark_dirty()


def _fields_for(place: int) -> list[JsonObject]:
    left = 60.0 + 250 * (place - 1)
    return [
        {
            "name": f"signature_{place}",
            "contentType": "SIGNATURE_BLOCK",
            "inputType": "SIGNATURE",
            "assignee": str(place),
            "required": True,
            "locations": [{"pageNumber": 1, "left": left, "top": 200.0, "width": 180.0, "height": 40.0}],
        },
        {
            "name": f"date_{place}",
            "contentType": "SIGNATURE_DATE",
            "inputType": "TEXT_FIELD",
            "assignee": str(place),
            "required": True,
            "locations": [{"pageNumber": 1, "left": left, "top": 150.0, "width": 100.0, "height": 18.0}],
        },
    ]
