"""Signatures with each signer's own key: all valid together, each locks what its signer filled."""

import asyncio
import io
import uuid

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.per_signer import SignerFields, finish, prepare, sign_as
from engine.sealing.signer import LocalKey
from engine.sealing.signing import SealTools
from engine.sealing.stamps import PictureStamp, Stamp, TextStamp
from tests.sealing.authority import local_tools, root_of, seal_key, served_authority
from tests.sealing.papers import make_pdf, render, scribble
from tests.sealing.test_overlay import PICTURE, at
from tests.sealing.verdicts import judge, pdfsig

CAPTION = ("Signer: approval", "2026-01-15 12:00:00 UTC")


def named(stamp: Stamp, number: int) -> Stamp:
    return msgspec.structs.replace(stamp, field_id=uuid.UUID(int=number))


def signers() -> tuple[SignerFields, SignerFields]:
    first, second = (
        SignerFields(
            recipient_id=uuid.UUID(int=number),
            signature=named(
                at(PictureStamp(PICTURE, CAPTION), x=x, y=0.5, width=0.3, height=0.06), 10 * number
            ),
            values=(named(at(TextStamp(f"Value of {number}"), x=x, y=0.3), 10 * number + 1),),
        )
        for number, x in ((1, 0.1), (2, 0.55))
    )
    return first, second


def own_key(authority, name: str, *, bits: int = 0) -> LocalKey:
    key = rsa.generate_private_key(65537, bits) if bits else None
    issued = authority.issue(f"Countersign DEVELOPMENT {name}", key=key)
    return LocalKey(issued.certificate, (authority.issuing.certificate,), issued.key)


def sign_all(tools: SealTools, authority, folder, **given):
    (folder / "in.pdf").write_bytes(make_pdf(**given))
    file = folder / "file.pdf"
    first, second = signers()
    asyncio.run(prepare(tools, folder / "in.pdf", file, (first, second), seal_key(authority)))
    keys = (own_key(authority, "Ada", bits=2048), own_key(authority, "Bob"))
    for signer, key, name in zip((first, second), keys, ("Ada", "Bob"), strict=True):
        before = file.read_bytes()
        asyncio.run(sign_as(tools, file, signer, key, {PICTURE: scribble()}, name=name, reason="approval"))
        assert file.read_bytes().startswith(before)
    return file, keys


@pytest.mark.parametrize("rotate", [0, 90])
def test_every_signature_stays_valid_for_both_readers(tools, authority, tmp_path, rotate):
    file, _ = sign_all(tools, authority, tmp_path, rotate=rotate)
    verdicts = judge(file.read_bytes(), authority)
    assert len(verdicts) == 3
    assert all(one.is_good for one in verdicts), verdicts
    assert pdfsig(file).count("Signature is Valid") == 3
    shown = render(file.read_bytes(), scale=2)
    for x in (0.1, 0.55):
        box = tuple(
            int(share * side) for share, side in zip((x, 0.5, x + 0.3, 0.56), shown.size * 2, strict=True)
        )
        assert len(shown.crop(box).getcolors(10_000)) > 5


def test_a_change_to_a_locked_value_breaks_the_signature_of_its_signer(tools, authority, tmp_path):
    file, _ = sign_all(tools, authority, tmp_path)
    writer = IncrementalPdfFileWriter(io.BytesIO(file.read_bytes()))
    fields = writer.root["/AcroForm"]["/Fields"]
    by_name = {str(fields[place]["/T"]): fields[place] for place in range(len(fields))}
    field = by_name[f"Value-{signers()[0].values[0].field_id.hex}"]
    field[generic.pdf_name("/V")] = generic.TextStringObject("Another value")
    writer.update_container(field)
    target = io.BytesIO()
    writer.write(target)
    changed = [one for one in judge(target.getvalue(), authority) if not one.docmdp_ok]
    assert changed


def test_the_end_proves_every_signer_and_is_stamped(tmp_path):
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import read_certification_data

    from config.clock import SystemClock
    from config.settings_sealing import SealLevel
    from engine.sealing.timestamps import HttpAuthority, Timestamps

    with served_authority(tmp_path / "authority") as (url, authority):
        stamps = Timestamps(
            [HttpAuthority(f"{url}/tsa", timeout_s=5)], SystemClock(), rest_s=1, roots=[root_of(authority)]
        )
        tools = SealTools(
            faces=local_tools(authority).faces,
            timestamps=stamps,
            level=SealLevel.AUTO,
            loopback=("127.0.0.1:*",),
        )
        file, _ = sign_all(tools, authority, tmp_path)
        before = file.read_bytes()
        asyncio.run(finish(tools, file))
        content = file.read_bytes()
    assert content.startswith(before)
    verdicts = judge(content, authority)
    assert all(one.intact and one.trusted and one.docmdp_ok for one in verdicts)
    reader = PdfFileReader(io.BytesIO(content))
    assert len(reader.embedded_timestamp_signatures) == 1
    assert "/DSS" in reader.root
    assert read_certification_data(reader).permission.value == 2


def test_a_document_that_others_signed_is_not_prepared(tools, authority, tmp_path):
    file, _ = sign_all(tools, authority, tmp_path)
    with pytest.raises(SealingFailed) as caught:
        asyncio.run(prepare(tools, file, tmp_path / "again.pdf", signers(), seal_key(authority)))
    assert caught.value.trouble is SealTrouble.DOCUMENT_LOCKED
