"""What an examination may find, in words: what it is and what the sender can do. One row per code.

Must never lose a row: findings are stored by their words, and tests compare the table with the examiner.
"""

from engine.documents.messages import Refusal
from normalizer.errors import Finding

_SAVE_ANEW = "Open the document, save or print it anew as PDF, and upload that."
_SPLIT = "Split the document, or export it with smaller pictures, and upload that."

# code -> (what was found, what to do). {detail} is filled in from the refusal.
WORDS: dict[str, tuple[str, str]] = {
    "damaged": ("The PDF is damaged and cannot be read{detail}.", _SAVE_ANEW),
    "damaged_signed": (
        "The PDF carries a signature, and its structure is damaged; repairing it would break the signature.",
        "Ask the signer for an undamaged copy.",
    ),
    "no_pages": ("The PDF has no pages.", _SAVE_ANEW),
    "too_many_pages": ("The PDF has {detail} pages, which is more than can be signed.", _SPLIT),
    "too_large": ("The file has {detail} bytes, which is more than can be examined.", _SPLIT),
    "page_size": (
        "A page measures {detail} points, which no reader shows faithfully.",
        "Export the document with ordinary page sizes.",
    ),
    "inflates": (
        "Something in the PDF unpacks to far more than the file's size ({detail}), as in an attack.",
        _SAVE_ANEW,
    ),
    "huge_image": ("A picture in the PDF has {detail} pixels.", "Export it with smaller pictures."),
    "too_complex": ("The PDF is nested or cross-linked beyond what can be checked ({detail}).", _SAVE_ANEW),
    "needs_password": (
        "The PDF can be opened only with a password.",
        "Upload it again with its password, or without one. The password is used once and not kept.",
    ),
    "wrong_password": ("The password does not open the PDF.", "Upload it again with the right password."),
    "restricted": (
        "The PDF's author has restricted what may be done with it; signing it means removing that.",
        "If you have the right to do so, upload it again with remove_restrictions=true.",
    ),
    "encrypted_signed": (
        "The PDF is encrypted and carries a signature; decrypting it would break the signature.",
        "Ask the signer for a copy that is not encrypted.",
    ),
    "certified": (
        "The PDF was certified by somebody who allows no further changes, so no signature can be added.",
        "Ask the author for a copy that is not locked, or send a cover page that quotes the SHA-256 of it.",
    ),
    "signed_active": (
        "The PDF carries a signature and also {detail}; removing that would break the signature.",
        "Ask the signer for a copy without it.",
    ),
    "xfa": (
        "The PDF is a dynamic XFA form, whose pages exist only in one maker's reader.",
        "Open it there, print it to PDF, and upload that.",
    ),
    "form_text": (
        "A form in the PDF has a value in letters that cannot be drawn faithfully.",
        "Open it, print it to PDF, and upload that.",
    ),
    "portfolio": (
        "The PDF is a portfolio: a folder of other files, which a signature would not show.",
        "Export the files in it as PDF and upload each.",
    ),
    "out_of_memory": ("Examining the PDF took more memory than a document may take.", _SAVE_ANEW),
    "out_of_time": ("Examining the PDF took longer than a document may take.", _SAVE_ANEW),
    "crashed": ("The PDF made the examiner fail, as a damaged or hostile file does.", _SAVE_ANEW),
    "anchor_missing": (
        "The text {detail} that a field is anchored to is not in the document.",
        "Correct the text, or place the field by page, x and y.",
    ),
}


def describe(refusal: Refusal) -> Finding:
    """The refusal in words; `where` is "document" or "page <n>"."""
    problem, remedy = WORDS[refusal.code]
    detail = refusal.detail
    if refusal.code == "damaged":
        detail = f" ({detail})" if detail else ""
    return Finding(
        where=f"page {refusal.page}" if refusal.page else "document",
        problem=problem.format(detail=detail),
        remedy=remedy,
    )
