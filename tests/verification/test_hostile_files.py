"""Hostile files: each ends as a verdict that is not good, within the limits, and the examiner goes on."""

import io
from collections.abc import Callable

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from engine.verification.verdict import Verdict
from tests.engine.documents import hostile
from tests.verification.bench import Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE: dict[str, Callable[[], bytes]] = {
    "a bomb": hostile.one_layer_bomb,
    "a bomb in a bomb": hostile.two_layer_bomb,
    "nested arrays": hostile.nested_arrays,
    "a loop of pages": hostile.page_tree_loop,
    "a loop of parents": hostile.parent_loop,
    "a loop of tables": hostile.xref_loop,
    "many pages": hostile.many_pages,
    "a huge page": hostile.huge_page,
}
_BAD = {Verdict.UNSIGNED, Verdict.DAMAGED, Verdict.CANNOT_BE_JUDGED}


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_hostile_file_gets_a_verdict_that_is_not_good(what: str, bench: Bench, sealed: bytes) -> None:
    report = await bench.verify(HOSTILE[what]())
    assert report.verdict in _BAD, report
    assert (await bench.verify(sealed)).verdict is Verdict.DEVELOPMENT


async def test_a_form_field_that_claims_to_be_a_signature_is_damaged(bench: Bench, sealed: bytes) -> None:
    writer = IncrementalPdfFileWriter(io.BytesIO(sealed))
    name = generic.pdf_name
    fake = generic.DictionaryObject(
        {
            name("/Type"): name("/Sig"),
            name("/SubFilter"): name("/ETSI.CAdES.detached"),
            name("/ByteRange"): generic.ArrayObject(
                [generic.NumberObject(one) for one in (0, 10, 20, 10**12)]
            ),
            name("/Contents"): generic.ByteStringObject(b"\x30\x80" + bytes(64)),
        }
    )
    field = generic.DictionaryObject(
        {
            name("/FT"): name("/Sig"),
            name("/T"): generic.TextStringObject("Fake"),
            name("/V"): writer.add_object(fake),
        }
    )
    writer.root["/AcroForm"]["/Fields"].append(writer.add_object(field))
    writer.update_container(writer.root["/AcroForm"]["/Fields"])
    target = io.BytesIO()
    writer.write(target)
    report = await bench.verify(target.getvalue())
    assert report.verdict in {Verdict.DAMAGED, Verdict.ALTERED}, report
