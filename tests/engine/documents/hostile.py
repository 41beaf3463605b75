"""Hostile and odd PDFs, made by code: each is a small real file with one thing wrong."""

import functools
import io
import zlib
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, Pdf, Stream


def blank(pages: int = 1) -> Pdf:
    pdf = pikepdf.new()
    for _ in range(pages):
        pdf.add_blank_page(page_size=(595, 842))
    return pdf


def saved(pdf: Pdf, **how: Any) -> bytes:
    target = io.BytesIO()
    pdf.save(target, deterministic_id="encryption" not in how, **how)
    pdf.close()
    return target.getvalue()


@functools.cache
def one_layer_bomb() -> bytes:
    """300 MB in 300 KB."""
    pdf = blank()
    stream = pdf.make_stream(b"")
    stream.write(zlib.compress(bytes(300 << 20), 9), filter=Name.FlateDecode)
    pdf.pages[0].obj.Contents = stream
    return saved(pdf)


@functools.cache
def two_layer_bomb() -> bytes:
    """1 GB in some KB: one deflated block, 1,024 times. By hand: a library would unpack the outer layer."""
    packing = zlib.compressobj(9, wbits=-15)
    block = packing.compress(bytes(1 << 20)) + packing.flush(zlib.Z_FULL_FLUSH)
    checksum = ((1 << 30) % 65521 << 16 | 1).to_bytes(4, "big")  # Adler-32 of zeros
    inner = b"\x78\xda" + block * 1024 + packing.flush() + checksum
    packed = zlib.compress(inner, 9)
    head = b"<</Length %d/Filter[/FlateDecode/FlateDecode]>>stream\n" % len(packed)
    page = PAGE.replace(b">>", b"/Contents 4 0 R>>")
    return raw([CATALOG, b"<</Type/Pages/Count 1/Kids[3 0 R]>>", page, head + packed + b"\nendstream"])


def raw(objects: list[bytes], root: int = 1) -> bytes:
    """A file with these objects, numbered from 1, as they are."""
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<</Size %d/Root %d 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, root, start)
    return bytes(out)


PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>"
CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"


@functools.cache
def many_pages(count: int = 100_000) -> bytes:
    kids = b" ".join(b"%d 0 R" % number for number in range(3, count + 3))
    return raw([CATALOG, b"<</Type/Pages/Count %d/Kids[%s]>>" % (count, kids), *[PAGE] * count])


def nested_arrays(depth: int = 5000) -> bytes:
    return raw(
        [
            b"<</Type/Catalog/Pages 2 0 R/Deep " + b"[" * depth + b"]" * depth + b">>",
            b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
            PAGE,
        ]
    )


def page_tree_loop() -> bytes:
    return raw([CATALOG, b"<</Type/Pages/Count 2/Kids[3 0 R 2 0 R]/Parent 2 0 R>>", PAGE])


def parent_loop() -> bytes:
    page = b"<</Type/Page/Parent 3 0 R>>"
    return raw([CATALOG, b"<</Type/Pages/Count 1/Kids[3 0 R]>>", page])


def xref_loop() -> bytes:
    whole = raw([CATALOG, b"<</Type/Pages/Count 1/Kids[3 0 R]>>", PAGE])
    start = whole.index(b"xref\n")
    return whole.replace(b"/Root 1 0 R", b"/Root 1 0 R/Prev %d" % start)


def huge_page() -> bytes:
    pdf = pikepdf.new()
    pdf.add_blank_page(page_size=(595, 842))
    pdf.add_blank_page(page_size=(14_000, 842))
    pdf.pages[1].obj.MediaBox = Array([0, 0, 20_000, 842])
    return saved(pdf)


def huge_image() -> bytes:
    pdf = blank()
    picture = Stream(pdf, b"\x00" * 16)
    picture.stream_dict.update(
        Dictionary(
            Type=Name.XObject,
            Subtype=Name.Image,
            Width=100_000,
            Height=100_000,
            ColorSpace=Name.DeviceGray,
            BitsPerComponent=8,
        )
    )
    pdf.pages[0].obj.Resources = Dictionary(XObject=Dictionary(I=pdf.make_indirect(picture)))
    return saved(pdf)


def action(kind: str, **more: Any) -> Dictionary:
    return Dictionary(S=Name("/" + kind), **more)


def link(pdf: Pdf, does: Dictionary) -> Dictionary:
    return Dictionary(Type=Name.Annot, Subtype=Name.Link, Rect=[0, 0, 50, 50], A=does)


def with_annotation(annotation: Dictionary) -> bytes:
    pdf = blank()
    pdf.pages[0].obj.Annots = Array([annotation])
    return saved(pdf)


def script_on_opening() -> bytes:
    pdf = blank()
    pdf.Root.OpenAction = action("JavaScript", JS="app.alert(1)")
    return saved(pdf)


def script_nested() -> bytes:
    """In direct objects, three levels down, behind a harmless action."""
    pdf = blank()
    harmless = action("URI", URI="https://example.org/")
    harmless.Next = Array([action("GoTo", D=Array([0])), action("JavaScript", JS="app.alert(2)")])
    pdf.pages[0].obj.Annots = Array([link(pdf, harmless)])
    pdf.pages[0].obj.PieceInfo = Dictionary(Deep=Dictionary(Deeper=Array([action("JavaScript", JS="x")])))
    return saved(pdf)


def script_in_names() -> bytes:
    pdf = blank()
    script = pdf.make_indirect(action("JavaScript", JS=pdf.make_stream(b"app.alert(3)")))
    pdf.Root.Names = Dictionary(JavaScript=Dictionary(Names=Array(["one", script])))
    return saved(pdf)


def launch() -> bytes:
    return with_annotation(link(blank(), action("Launch", F="cmd.exe")))


def submit() -> bytes:
    return with_annotation(link(blank(), action("SubmitForm", F="https://example.org/take")))


def import_data() -> bytes:
    return with_annotation(link(blank(), action("ImportData", F="x.fdf")))


def automatic() -> bytes:
    pdf = blank()
    pdf.pages[0].obj.AA = Dictionary(O=action("JavaScript", JS="app.alert(4)"))
    return saved(pdf)


def embedded_program() -> bytes:
    pdf = blank()
    program = pdf.make_stream(b"MZ" + bytes(200))
    pdf.Root.Names = Dictionary(
        EmbeddedFiles=Dictionary(
            Names=Array(["a.exe", Dictionary(Type=Name.Filespec, F="a.exe", EF=Dictionary(F=program))])
        )
    )
    return saved(pdf)


def attached_file() -> bytes:
    pdf = blank()
    file = Dictionary(Type=Name.Filespec, F="a.exe", EF=Dictionary(F=pdf.make_stream(b"MZ")))
    pdf.pages[0].obj.Annots = Array(
        [Dictionary(Type=Name.Annot, Subtype=Name.FileAttachment, Rect=[0, 0, 9, 9], FS=file)]
    )
    return saved(pdf)


def rich_media() -> bytes:
    return with_annotation(Dictionary(Type=Name.Annot, Subtype=Name.RichMedia, Rect=[0, 0, 9, 9]))


def portfolio() -> bytes:
    pdf = blank()
    pdf.Root.Collection = Dictionary(Type=Name.Collection)
    return saved(pdf)


def form(pdf: Pdf, *, value: str = "Alice Example") -> None:
    field = pdf.make_indirect(
        Dictionary(
            Type=Name.Annot,
            Subtype=Name.Widget,
            FT=Name.Tx,
            T="name",
            V=value,
            DA="/Helv 12 Tf 0 g",
            Rect=[50, 700, 300, 720],
            F=4,
        )
    )
    pdf.pages[0].obj.Annots = Array([field])
    helvetica = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
    pdf.Root.AcroForm = Dictionary(Fields=Array([field]), DR=Dictionary(Font=Dictionary(Helv=helvetica)))


def filled_form() -> bytes:
    pdf = blank()
    form(pdf)
    return saved(pdf)


def hybrid_xfa() -> bytes:
    pdf = blank()
    form(pdf)
    pdf.Root.AcroForm.XFA = pdf.make_stream(b"<xdp:xdp/>")
    return saved(pdf)


def dynamic_xfa() -> bytes:
    pdf = blank()
    pdf.Root.AcroForm = Dictionary(Fields=Array([]), XFA=pdf.make_stream(b"<xdp:xdp/>"))
    pdf.Root.NeedsRendering = True
    return saved(pdf)


def restricted() -> bytes:
    """Opens without a password, and forbids changes."""
    allowed = pikepdf.Permissions(modify_annotation=False, modify_other=False)
    return saved(blank(), encryption=pikepdf.Encryption(owner="owner", user="", allow=allowed))


def closed() -> bytes:
    """Opens with the password "open sesame" only."""
    pdf = blank()
    form(pdf)
    return saved(pdf, encryption=pikepdf.Encryption(owner="open sesame", user="open sesame"))
