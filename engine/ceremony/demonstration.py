"""The sample PDF by which a signer shows that they can open such files: it holds a word, which they type.

The word follows from the session, so nothing is stored before it is typed. Source: 15 U.S.C. 7001(c)(1)(C)(ii).
"""

import hashlib
import hmac
import io

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from engine.engine import Engine

# Neither 0 and O, 1, I and L, nor letters that a hearer mixes up.
_LETTERS = "ACEFHKMPRTWXY3479"
_LENGTH = 6
_WORDS = {
    "en": ("Sample document", "You can open PDF files. Type this word on the page:"),
    "de": ("Musterdokument", "Sie können PDF-Dateien öffnen. Geben Sie dieses Wort auf der Seite ein:"),
}


def word_of(engine: Engine, handle: str) -> str:
    """The word of one session."""
    digest = hmac.digest(engine.pepper, b"demonstration\0" + handle.encode(), "sha256")
    number = int.from_bytes(digest, "big")
    letters = []
    for _ in range(_LENGTH):
        number, index = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[index])
    return "".join(letters)


def is_word(engine: Engine, handle: str, typed: str) -> bool:
    """Spaces and small letters are forgiven."""
    cleaned = "".join(typed.split()).upper()
    return hmac.compare_digest(word_of(engine, handle).encode(), cleaned.encode("utf-8", "replace"))


def hash_word(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


def make_sample(word: str, language: str) -> bytes:
    """A page of PDF. CPU-bound: call it in a thread."""
    title, sentence = _WORDS["de" if language == "de" else "en"]
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4, invariant=True, lang=language)
    canvas.setTitle(title)
    canvas.setFont("Helvetica-Bold", 22)
    canvas.drawString(72, 740, title)
    canvas.setFont("Helvetica", 13)
    canvas.drawString(72, 700, sentence)
    canvas.setFont("Courier-Bold", 34)
    canvas.drawString(72, 640, word)
    canvas.save()
    return target.getvalue()
