"""Places tabs on documents: fixed positions are checked against the pages, anchors are searched."""

from .catalogue import JsonObject, is_true
from .pdf import find_text
from .refusals import Refusal
from .state import Document, Envelope, Recipient
from .world import World

TABBED_KINDS = frozenset({"signers", "inPersonSigners", "witnesses", "notaries", "participants"})
_PLACELESS = frozenset({"tabGroups", "prefillTabs"})
_PER_POINT = {"pixels": 1.0, "inches": 72.0, "mms": 72 / 25.4, "cms": 72 / 2.54}
_SIGNATURE_HEIGHT = 36.0


def place_all(
    world: World, envelope: Envelope, recipient: Recipient, tabs: JsonObject
) -> dict[str, list[JsonObject]]:
    """Checks and adds tabs for one recipient; returns what was added, with ids."""
    if tabs and recipient.kind not in TABBED_KINDS:
        raise Refusal("tab-recipient-kind", f"Recipient {recipient.recipient_id} is one of {recipient.kind}.")
    added: dict[str, list[JsonObject]] = {}
    for kind, wanted in tabs.items():
        for tab in wanted or []:
            added.setdefault(kind, []).extend(_placed(world, envelope, recipient, kind, tab))
    for kind, placed in added.items():
        recipient.tabs.setdefault(kind, []).extend(placed)
    return added


def change_all(envelope: Envelope, recipient: Recipient, tabs: JsonObject) -> dict[str, list[JsonObject]]:
    """Changes existing tabs by tabId; an unknown tabId is refused."""
    changed: dict[str, list[JsonObject]] = {}
    for kind, wanted in tabs.items():
        existing = {str(tab["tabId"]): tab for tab in recipient.tabs.get(kind, [])}
        for tab in wanted or []:
            kept = existing.get(str(tab.get("tabId")))
            if kept is None:
                raise Refusal("tab-unknown", f"tabId {tab.get('tabId')}.")
            proposed = {**kept, **tab}
            if "xPosition" in proposed:
                _check_place(envelope, recipient, proposed)
            kept.update(tab)
            changed.setdefault(kind, []).append(kept)
    return changed


def remove_all(recipient: Recipient, tabs: JsonObject) -> dict[str, list[JsonObject]]:
    """Removes tabs by tabId."""
    removed: dict[str, list[JsonObject]] = {}
    for kind, wanted in tabs.items():
        for tab in wanted or []:
            kept = [have for have in recipient.tabs.get(kind, []) if have["tabId"] != tab.get("tabId")]
            if len(kept) == len(recipient.tabs.get(kind, [])):
                raise Refusal("tab-unknown", f"tabId {tab.get('tabId')}.")
            recipient.tabs[kind] = kept
            removed.setdefault(kind, []).append(tab)
    return removed


def _placed(
    world: World, envelope: Envelope, recipient: Recipient, kind: str, tab: JsonObject
) -> list[JsonObject]:
    """The tab as it is kept; an anchored tab becomes one per occurrence of its text."""
    if len(str(tab.get("tabLabel") or "")) > 500:
        raise Refusal("tab-label-too-long")
    scale = tab.get("scaleValue")
    if scale and not 0.5 <= _number(str(scale), "scaleValue") <= 2.0:
        raise Refusal("tab-scale-invalid")
    identity = {"recipientId": recipient.recipient_id, "tabType": kind.removesuffix("Tabs").lower()}
    if kind in _PLACELESS:
        return [{**tab, **identity, "tabId": world.new_id()}]
    if kind == "radioGroupTabs":
        for radio in tab.get("radios") or []:
            _check_place(envelope, recipient, {"documentId": tab.get("documentId"), **radio})
        return [{**tab, **identity, "tabId": world.new_id()}]
    if tab.get("anchorString"):
        places = _anchored(world, envelope, kind, tab)
        return [{**tab, **place, **identity, "tabId": world.new_id()} for place in places]
    _check_place(envelope, recipient, tab)
    return [{**tab, **identity, "tabId": world.new_id()}]


def _check_place(envelope: Envelope, recipient: Recipient, tab: JsonObject) -> None:
    missing = [name for name in ("documentId", "pageNumber", "xPosition", "yPosition") if not tab.get(name)]
    if missing:
        raise Refusal("tab-position-missing", f"Missing: {', '.join(missing)}.")
    document = _document(envelope, str(tab["documentId"]))
    page_number = int(tab["pageNumber"])
    if not 1 <= page_number <= len(document.pages):
        raise Refusal(
            "tab-page-unknown",
            f"Tab on Page {page_number} of Document {document.document_id}"
            f" for Recipient {recipient.recipient_id}",
        )
    page = document.pages[page_number - 1]
    x, y = int(tab["xPosition"]), int(tab["yPosition"])
    if x < 0 or y < 0:
        name = "xPosition" if x < 0 else "yPosition"
        raise Refusal(
            "tab-position-negative", f"Invalid value for {name}, must be greater than or equal to 0."
        )
    if x > page.width or y > page.height:
        raise Refusal("tab-off-page", f"({x}, {y}) is not on a page of {page.width:g} by {page.height:g}.")


def _document(envelope: Envelope, document_id: str) -> Document:
    for document in envelope.documents:
        if document.document_id == document_id:
            return document
    raise Refusal("tab-document-unknown", f"Tab refers to DocumentId {document_id} which is not present.")


def _anchored(world: World, envelope: Envelope, kind: str, tab: JsonObject) -> list[JsonObject]:
    unit = str(tab.get("anchorUnits") or "pixels")
    if unit not in _PER_POINT:
        raise Refusal("tab-anchor-units", f"'{unit}'.")
    dx = _number(str(tab.get("anchorXOffset") or "0"), "anchorXOffset") * _PER_POINT[unit]
    dy = _number(str(tab.get("anchorYOffset") or "0"), "anchorYOffset") * _PER_POINT[unit]
    wanted = str(tab["anchorString"])
    only = str(tab.get("documentId") or "")
    documents = [_document(envelope, only)] if only else envelope.documents
    places: list[JsonObject] = []
    for document in documents:
        for found in find_text(
            world.blobs.get(document.content),
            wanted,
            match_case=is_true(tab.get("anchorCaseSensitive")),
            whole_word=is_true(tab.get("anchorMatchWholeWord", "true")),
        ):
            # A signature stands with its foot on the text's foot, other tabs with their head at the text's
            # head.
            is_signature = kind in {"signHereTabs", "initialHereTabs"}
            top = found.bottom - _SIGNATURE_HEIGHT if is_signature else found.top
            x, y = round(found.left + dx), round(top + dy)
            page = document.pages[found.page - 1]
            if not (0 <= x <= page.width and -_SIGNATURE_HEIGHT <= y <= page.height):
                raise Refusal("tab-off-page", f"Anchor '{wanted}' with its offsets is not on the page.")
            places.append(
                {
                    "documentId": document.document_id,
                    "pageNumber": str(found.page),
                    "xPosition": str(x),
                    "yPosition": str(max(0, y)),
                }
            )
    if not places and not is_true(tab.get("anchorIgnoreIfNotPresent")):
        raise Refusal("tab-anchor-not-found", f"'{wanted}'.")
    return places


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise Refusal("parameter-not-number", f"Value for '{name}' must be a number.") from error
