"""Finds what a document could do by itself, in every object and however deep, and takes it out.

A recursive walk, because scripts nested in direct objects are missed by looking at the numbered ones. Links to
web addresses stay. Must never leave a document half cleaned: the caller walks again and refuses what is left.
Source: ISO 32000-2 sections 12.6 (actions), 7.11.4 (embedded files), 13 (multimedia).
"""

from collections.abc import Iterator

import pikepdf

from engine.documents.messages import Refused

_MAX_OBJECTS = 1_000_000
_MAX_DEPTH = 200

# /S of an action -> how it is called when it was removed.
_ACTIONS = {
    "/JavaScript": "JavaScript",
    "/Launch": "actions that start programs",
    "/SubmitForm": "actions that send form data",
    "/ImportData": "actions that import data",
    "/ResetForm": "actions that reset a form",
    "/GoToE": "links into embedded files",
    "/GoToR": "links to other files",
    "/Rendition": "multimedia",
    "/Movie": "multimedia",
    "/Sound": "multimedia",
    "/RichMediaExecute": "multimedia",
    "/GoTo3DView": "multimedia",
    "/Hide": "actions that hide parts of the page",
    "/SetOCGState": "actions that hide parts of the page",
}
_ANNOTATIONS = {
    "/FileAttachment": "embedded files",
    "/RichMedia": "multimedia",
    "/Movie": "multimedia",
    "/Sound": "multimedia",
    "/Screen": "multimedia",
    "/3D": "multimedia",
}
_KEYS = {
    "/AA": "automatic actions",
    "/JavaScript": "JavaScript",
    "/EmbeddedFiles": "embedded files",
    "/EF": "embedded files",
    "/AF": "embedded files",
}
# /Type of what stands under such a key, if it has one; a resource of that name has another.
_OWN_TYPES = (None, pikepdf.Name.Filespec, pikepdf.Name.F, pikepdf.Name.Action)


def find_active_content(pdf: pikepdf.Pdf) -> set[str]:
    """What there is, in words; the document stays as it is. Raises Refused when it cannot be walked."""
    return _walk(pdf, remove=False)


def remove_active_content(pdf: pikepdf.Pdf) -> set[str]:
    """Takes out what there is; in words. Raises Refused when it cannot be walked."""
    return _walk(pdf, remove=True)


def _walk(pdf: pikepdf.Pdf, *, remove: bool) -> set[str]:
    found: set[str] = set()
    if "/OpenAction" in pdf.Root and not _is_harmless_opening(pdf.Root["/OpenAction"]):
        found.add("an action on opening")
        if remove:
            del pdf.Root["/OpenAction"]
    for holder in every_container(pdf):
        if isinstance(holder, pikepdf.Array):
            _clean_array(holder, found, remove=remove)
        else:
            _clean_dictionary(holder, found, remove=remove)
    return found


def every_container(pdf: pikepdf.Pdf) -> Iterator[pikepdf.Object]:
    """Every dictionary, stream and array of the document once, direct ones too."""
    seen = 0
    for numbered in [pdf.trailer, *pdf.objects]:
        stack = [(numbered, 0)]
        while stack:
            holder, depth = stack.pop()
            if not isinstance(holder, (pikepdf.Dictionary, pikepdf.Stream, pikepdf.Array)):
                continue
            seen += 1
            if seen > _MAX_OBJECTS:
                raise Refused("too_complex", detail=f"over {_MAX_OBJECTS} objects")
            if depth > _MAX_DEPTH:
                raise Refused("too_complex", detail=f"over {_MAX_DEPTH} levels")
            yield holder
            stack.extend((child, depth + 1) for child in _direct_children(holder))


def _direct_children(holder: pikepdf.Object) -> list[pikepdf.Object]:
    """The containers inside that are not numbered: those come by themselves."""
    if isinstance(holder, pikepdf.Array):
        return [one for one in holder if isinstance(one, pikepdf.Object) and not one.is_indirect]
    return [one for _, one in _items(holder) if isinstance(one, pikepdf.Object) and not one.is_indirect]


def _items(holder: pikepdf.Object) -> list[tuple[str, object]]:
    dictionary = holder.stream_dict if isinstance(holder, pikepdf.Stream) else holder
    return list(dictionary.items())


def _clean_dictionary(holder: pikepdf.Object, found: set[str], *, remove: bool) -> None:
    for key, value in _items(holder):
        what = _KEYS[key] if _is_meant(key, value) else _name_of_action(value)
        if key == "/Ref" and isinstance(holder, pikepdf.Stream):
            what = "pages drawn from other files"
        if what:
            found.add(what)
            if remove:
                del holder[key]


def _is_meant(key: str, value: object) -> bool:
    """Whether the key is the forbidden one and not a font or picture that somebody called so."""
    if key not in _KEYS:
        return False
    if isinstance(value, pikepdf.Array):
        return key == "/AF"
    return isinstance(value, pikepdf.Dictionary) and value.get("/Type") in _OWN_TYPES


def _clean_array(holder: pikepdf.Object, found: set[str], *, remove: bool) -> None:
    for index in reversed(range(len(holder))):
        value = holder[index]
        what = _name_of_action(value) or _name_of_annotation(value)
        if what:
            found.add(what)
            if remove:
                del holder[index]


def _name_of_action(value: object) -> str:
    """Empty for anything but a forbidden action. Other dictionaries use /S too: those have another /Type."""
    if not isinstance(value, pikepdf.Dictionary):
        return ""
    kind, subtype = value.get("/Type"), value.get("/S")
    if not isinstance(subtype, pikepdf.Name) or (kind is not None and kind != pikepdf.Name.Action):
        return ""
    return _ACTIONS.get(str(subtype), "")


def _name_of_annotation(value: object) -> str:
    if not isinstance(value, pikepdf.Dictionary) or "/Rect" not in value:
        return ""
    return _ANNOTATIONS.get(str(value.get("/Subtype", "")), "")


def _is_harmless_opening(action: pikepdf.Object) -> bool:
    """A place to open the document at, or an action that goes to one."""
    if isinstance(action, pikepdf.Dictionary):
        return action.get("/S") == pikepdf.Name.GoTo and "/Next" not in action
    return isinstance(action, (pikepdf.Array, pikepdf.Name, pikepdf.String))
