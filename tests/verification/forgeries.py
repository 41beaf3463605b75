"""Files that were changed after they were signed, by somebody who knows what verifiers look at."""

import asyncio
import io
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.signers import PdfTimeStamper

from engine.development.authority_keys import Authority
from engine.sealing.timestamps import Stamper
from tests.sealing.authority import local_tools
from tests.sealing.papers import make_pdf
from tests.verification.papers import sign_paper

_name = generic.pdf_name


def repeat_signature_behind(changed: bytes) -> bytes:
    """The first signature written again at the end of `changed`, with its old range, as a string so long that the
    lengths of range and signature add up to the size of the file.
    """
    reader = PdfFileReader(io.BytesIO(changed), strict=False)
    signature = reader.embedded_signatures[0]
    number = signature.sig_field.raw_get("/V").idnum
    _, begin, end, rest = (int(one) for one in signature.byte_range)
    start = changed.rindex(b"\n%d 0 obj" % number, 0, begin) + 1
    before, behind = changed[start:begin], changed[end : changed.index(b"endobj", end)]
    trailer = reader.trailer

    def build(padding: int, comment: bytes) -> bytes:
        written = b"(" + _escaped(signature.pkcs7_content) + b"\0" * padding + b")"
        head = changed + comment
        body = before + written + behind + b"endobj\n"
        table = b"xref\n0 0\n%d 1\n%010d 00000 n \n" % (number, len(head))
        root, size, previous = trailer.raw_get("/Root").idnum, trailer["/Size"], reader.last_startxref
        keys = b"trailer\n<< /Size %d /Root %d 0 R /Prev %d >>\n" % (size, root, previous)
        return head + body + table + keys + b"startxref\n%d\n%%%%EOF\n" % (len(head) + len(body))

    content = len(signature.pkcs7_content)
    padding, comment = 0, b"\n"
    for _ in range(100):
        made = build(padding, comment)
        missing = len(made) - begin - rest - 2 - 2 * (content + padding)
        if missing == 0:
            return made
        if missing == 1:
            comment += b"\n"
        else:
            padding += missing
    raise AssertionError("the lengths never add up")


def form_signed_with(value: str, authority: Authority) -> bytes:
    """A plain signature over a form with one text field."""
    writer = IncrementalPdfFileWriter(io.BytesIO(make_pdf(1)))
    page, _ = writer.find_page_for_modification(0)
    field = generic.DictionaryObject(
        {
            _name("/Type"): _name("/Annot"),
            _name("/Subtype"): _name("/Widget"),
            _name("/FT"): _name("/Tx"),
            _name("/T"): generic.TextStringObject("Sum"),
            _name("/V"): generic.TextStringObject(value),
            _name("/P"): page,
            _name("/Rect"): generic.ArrayObject([generic.NumberObject(one) for one in (90, 90, 200, 110)]),
        }
    )
    reference = writer.add_object(field)
    writer.register_annotation(page, reference)
    form = generic.DictionaryObject({_name("/Fields"): generic.ArrayObject([reference])})
    writer.root[_name("/AcroForm")] = writer.add_object(form)
    writer.update_root()
    return sign_paper(authority, _written(writer))


def change_value(pdf: bytes, value: str) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    reference = writer.root["/AcroForm"]["/Fields"].raw_get(0)
    reference.get_object()[_name("/V")] = generic.TextStringObject(value)
    writer.mark_update(reference)
    return _written(writer)


def stamp(pdf: bytes, authority: Authority) -> bytes:
    """A document timestamp over all of it, which anybody can get."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    stamper = PdfTimeStamper(Stamper(local_tools(authority).timestamps))
    made: io.BytesIO = asyncio.run(stamper.async_timestamp_pdf(writer, "sha256"))
    return made.getvalue()


def _escaped(content: bytes) -> bytes:
    special = {ord("("): b"\\(", ord(")"): b"\\)", ord("\\"): b"\\\\", ord("\r"): b"\\r"}
    return b"".join(special.get(one, bytes([one])) for one in content)


def _written(writer: Any) -> bytes:
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()
