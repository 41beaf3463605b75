"""What an examination says of odd and hostile documents: each is cleaned or refused, within limits."""

import io
from collections.abc import Callable

import pikepdf
import pypdfium2
import pytest

from engine.documents.findings import describe
from engine.documents.messages import Refusal
from normalizer.errors import Finding
from tests.engine.documents import hostile
from tests.engine.documents.conftest import Bench
from tests.gateway import papers

MEGABYTE = 1 << 20

REFUSED: dict[Callable[[], bytes], Refusal] = {
    hostile.one_layer_bomb: Refusal("inflates", 0, "over 67108864 bytes"),
    hostile.two_layer_bomb: Refusal("inflates", 0, "over 67108864 bytes"),
    hostile.many_pages: Refusal("too_many_pages", 0, "100000"),
    hostile.huge_page: Refusal("page_size", 2, "20000 x 842"),
    hostile.huge_image: Refusal("huge_image", 0, "10000000000"),
    hostile.dynamic_xfa: Refusal("xfa"),
    hostile.portfolio: Refusal("portfolio"),
    hostile.restricted: Refusal("restricted"),
    hostile.closed: Refusal("needs_password"),
    papers.broken_pdf: Refusal("damaged"),
}
CLEANED: dict[Callable[[], bytes], str] = {
    hostile.script_on_opening: "an action on opening",
    hostile.script_nested: "JavaScript",
    hostile.script_in_names: "JavaScript",
    hostile.launch: "actions that start programs",
    hostile.submit: "actions that send form data",
    hostile.import_data: "actions that import data",
    hostile.automatic: "automatic actions",
    hostile.embedded_program: "embedded files",
    hostile.attached_file: "embedded files",
    hostile.rich_media: "multimedia",
    hostile.hybrid_xfa: "an XFA form",
}
FORBIDDEN = (
    b"/JavaScript",
    b"/Launch",
    b"/SubmitForm",
    b"/ImportData",
    b"/AA",
    b"/EF",
    b"/RichMedia",
    b"/XFA",
    b"MZ",
)


async def test_an_examined_document_without_faults_is_ready_as_it_is(bench: Bench) -> None:
    content = papers.pdf(pages=3, rotate=90)
    examined = await bench.examine(content)
    assert (examined.state, examined.findings, examined.removed) == ("ready", (), ())
    assert (examined.page_count, examined.is_signed) == (3, False)
    assert examined.pages[0].width > examined.pages[0].height
    assert await bench.bytes_of(examined) == content


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
async def test_an_examined_document_beyond_cleaning_is_refused_within_limits(
    bench: Bench, make: Callable[[], bytes]
) -> None:
    examined = await bench.examine(make())
    assert (examined.state, examined.findings) == ("refused", (describe(REFUSED[make]),))
    assert bench.engine.examiners.answers[-1].peak_bytes < 200 * MEGABYTE


@pytest.mark.parametrize("make", CLEANED, ids=lambda make: make.__name__)
async def test_an_examined_document_with_active_content_is_cleaned_and_says_of_what(
    bench: Bench, make: Callable[[], bytes]
) -> None:
    examined = await bench.examine(make())
    assert examined.state == "ready"
    assert CLEANED[make] in examined.removed
    with pikepdf.open(io.BytesIO(await bench.bytes_of(examined))) as pdf:
        plain = io.BytesIO()
        pdf.save(plain, object_stream_mode=pikepdf.ObjectStreamMode.disable, compress_streams=False)
        assert len(pdf.pages) == examined.page_count == 1
    assert [word for word in FORBIDDEN if word in plain.getvalue()] == []


async def test_a_link_to_a_web_address_survives_an_examination(bench: Bench) -> None:
    pdf = hostile.blank()
    pdf.pages[0].obj.Annots = pikepdf.Array(
        [hostile.link(pdf, hostile.action("URI", URI="https://example.org/"))]
    )
    content = hostile.saved(pdf)
    assert (await bench.examine(content)).removed == ()
    nested = await bench.examine(hostile.script_nested())
    with pikepdf.open(io.BytesIO(await bench.bytes_of(nested))) as cleaned:
        assert str(cleaned.pages[0].obj.Annots[0].A.URI) == "https://example.org/"


async def test_a_filled_form_becomes_text_on_the_page(bench: Bench) -> None:
    examined = await bench.examine(hostile.filled_form())
    document = pypdfium2.PdfDocument(await bench.bytes_of(examined))
    assert "Alice Example" in document[0].get_textpage().get_text_range()
    assert document.get_formtype() == 0
    document.close()


async def test_a_form_value_that_cannot_be_drawn_refuses_the_document(bench: Bench) -> None:
    pdf = hostile.blank()
    hostile.form(pdf, value="山田太郎")
    examined = await bench.examine(hostile.saved(pdf))
    assert examined.findings == (describe(Refusal("form_text")),)


HARMLESS_OR_REFUSED = {
    "nested arrays": hostile.nested_arrays,
    "page tree loop": hostile.page_tree_loop,
    "parent loop": hostile.parent_loop,
    "xref loop": hostile.xref_loop,
}


@pytest.mark.parametrize("what", HARMLESS_OR_REFUSED)
async def test_a_document_that_refers_to_itself_ends_as_ready_or_refused_within_limits(
    bench: Bench, what: str
) -> None:
    examined = await bench.examine(HARMLESS_OR_REFUSED[what]())
    assert examined.state in {"ready", "refused"}
    assert bool(examined.findings) is (examined.state == "refused")
    answer = bench.engine.examiners.answers[-1]
    assert answer.peak_bytes < 200 * MEGABYTE
    assert [one.code for one in answer.refusals if one.code in {"crashed", "out_of_time"}] == []


async def test_a_restricted_document_is_taken_once_the_sender_confirms(bench: Bench) -> None:
    examined = await bench.examine(hostile.restricted(), remove_restrictions=True)
    assert (examined.state, examined.removed) == ("ready", ("encryption",))
    with pikepdf.open(io.BytesIO(await bench.bytes_of(examined))) as pdf:
        assert not pdf.is_encrypted
    assert (await bench.examine(hostile.restricted())).state == "refused"


async def test_a_closed_document_opens_with_its_password_which_is_kept_nowhere(bench: Bench) -> None:
    content = hostile.closed()
    wrong = await bench.examine(content, password="wrong")
    assert wrong.findings == (describe(Refusal("wrong_password")),)
    opened = await bench.examine(content, password="open sesame")
    assert opened.state == "ready"
    with pikepdf.open(io.BytesIO(await bench.bytes_of(opened))) as pdf:
        assert not pdf.is_encrypted
    again = await bench.examine(content)
    assert again.findings == (describe(Refusal("needs_password")),), "the next one needs the password too"
    dump = await bench.services.hub.fetchval("SELECT string_agg(e::text, ' ') FROM document_examinations e")
    assert "sesame" not in dump


async def test_the_same_content_is_examined_once_per_tenant(bench: Bench) -> None:
    first = await bench.examine(hostile.launch())
    second = await bench.examine(hostile.launch())
    assert second == first
    assert len(bench.engine.examiners.answers) == 1
    rows = await bench.services.hub.fetch(
        "SELECT body FROM ledger_entries WHERE event_type = 'document_examined'"
    )
    assert len(rows) == 1
    assert b"actions that start programs" in rows[0]["body"]


def test_every_refusal_says_what_was_found_and_what_to_do() -> None:
    from engine.documents.findings import WORDS

    for code in WORDS:
        finding = describe(Refusal(code, 2, "x"))
        assert isinstance(finding, Finding)
        assert finding.where == "page 2"
        assert finding.problem.endswith(".")
        assert finding.remedy.endswith(".")
