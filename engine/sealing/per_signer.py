"""Each signer's own signature with their own key (for advanced signatures), on fields that are all there first.

Order: `prepare` makes every field of every signer and the platform certifies the file, permitting that forms are
filled and signed (DocMDP P=2); `sign_as` fills one signer's fields and signs with that signer's key, which locks
those fields (FieldMDP INCLUDE); `finish` appends every proof and a document timestamp. After the first signature
no page is drawn on: what must be seen is in the fields. Each step is one incremental revision and runs apart.
Source: ISO 32000-2 sections 12.7.4, 12.7.5.5, 12.8.2.4; Regulation (EU) 910/2014 article 26.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import msgspec
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import (
    FieldMDPAction,
    FieldMDPSpec,
    MDPPerm,
    SigFieldSpec,
    append_signature_field,
    enumerate_sig_fields,
)
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers import PdfTimeStamper
from pyhanko.sign.validation import DocumentSecurityStore
from pyhanko_certvalidator import CertificateValidator
from pyhanko_certvalidator.errors import PathBuildingError, PathValidationError

from config.settings_sealing import SealLevel
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.fetching import open_fetcher
from engine.sealing.geometry import entry, read_frame
from engine.sealing.overlay import Drawn, Overlay
from engine.sealing.seal import SealedFile
from engine.sealing.signer import SealingKey
from engine.sealing.signing import (
    SealTools,
    SignOrder,
    choose_level_of,
    digest_of,
    revocation_context,
    sign_open,
)
from engine.sealing.stamps import PictureStamp, Stamp, TextStamp
from engine.sealing.timestamps import Stamper
from engine.sealing.tokens import TokenFacts

_name = generic.pdf_name
_READ_ONLY = 1


class SignerFields(msgspec.Struct, frozen=True, kw_only=True):
    """`signature` is the place of the one visible signature; `values` are the signer's other places. Fields are named
    after the envelope's: they stay the same when another person takes the signer's place.
    """

    recipient_id: UUID
    signature: Stamp
    values: Sequence[Stamp] = ()

    @property
    def name(self) -> str:
        return f"Signature-{self.signature.field_id.hex}"


class SignedStep(msgspec.Struct, frozen=True):
    sha256: str
    size_bytes: int
    token: TokenFacts
    drawn: Drawn = Drawn()


async def prepare(
    tools: SealTools, source: Path, target: Path, signers: Sequence[SignerFields], key: SealingKey
) -> SignedStep:
    """Makes all fields, empty, and certifies with the platform's key. Raises SealingFailed."""
    stamper = Stamper(tools.timestamps)
    order = SignOrder(
        key=key,
        field_name="Platform",
        level=SealLevel.B_T,
        reason="Prepared for signature",
        certify=True,
        permissions=MDPPerm.FILL_FORMS,
    )
    with source.open("rb") as before, target.open("w+b") as after:
        try:
            writer = IncrementalPdfFileWriter(before, strict=False)
            if writer.prev.embedded_signatures:
                raise SealingFailed(
                    SealTrouble.DOCUMENT_LOCKED,
                    "a document that others signed cannot be prepared for signers",
                )
            for signer in signers:
                _add_fields(writer, signer)
            await sign_open(tools, order, writer, stamper, after)
        except (PdfError, SigningError, RecursionError, ValueError, KeyError) as error:
            raise _damaged(error) from error
        return SignedStep(*digest_of(after), stamper.tokens[-1])


async def sign_as(
    tools: SealTools,
    file: Path,
    signer: SignerFields,
    key: SealingKey,
    pictures: Mapping[UUID, bytes],
    *,
    name: str,
    reason: str,
    location: str = "",
) -> SignedStep:
    """Fills the signer's fields and signs with the signer's own key, in place. Raises SealingFailed.

    `reason` is what the signature means. The file keeps every earlier byte.
    """
    stamper = Stamper(tools.timestamps)
    order = SignOrder(
        key=key, field_name=signer.name, level=SealLevel.B_T, reason=reason, location=location, name=name
    )
    with file.open("r+b") as opened:
        try:
            writer = IncrementalPdfFileWriter(opened, strict=False)
            fields = _fields_by_name(writer)
            drawn = [
                _fill(tools, writer, fields[_value_name(stamp)], stamp, pictures) for stamp in signer.values
            ]
            drawn.append(_show(tools, writer, fields[signer.name], signer.signature, pictures))
            await sign_open(tools, order, writer, stamper, None)
        except (PdfError, SigningError, RecursionError, ValueError, KeyError) as error:
            raise _damaged(error) from error
        return SignedStep(*digest_of(opened), stamper.tokens[-1], _sum(drawn))


async def finish(tools: SealTools, file: Path) -> SealedFile:
    """Appends a document timestamp over all of it, in place; before it the proofs of every signature's certificate,
    where every one says who tells its status. The signers' keys are not needed any more. Raises SealingFailed.
    """
    stamper = Stamper(tools.timestamps)
    with file.open("r+b") as opened:
        try:
            signatures = PdfFileReader(opened, strict=False).embedded_regular_signatures
            chains = [[one.signer_cert, *one.other_embedded_certs] for one in signatures]
            levels = {await choose_level_of(tools, chain) for chain in chains}
            is_archived = levels == {SealLevel.B_LTA}
            if is_archived:
                await _archive(tools, opened, stamper, signatures, chains)
            else:
                writer = IncrementalPdfFileWriter(opened, strict=False)
                await PdfTimeStamper(stamper).async_timestamp_pdf(writer, "sha256", in_place=True)
        except (PathBuildingError, PathValidationError) as error:
            raise SealingFailed(
                SealTrouble.REVOCATION_UNAVAILABLE, f"the status of a certificate is not known: {error}"
            ) from error
        except (PdfError, SigningError, ValueError) as error:
            raise _damaged(error) from error
        size = opened.seek(0, os.SEEK_END)
    token = stamper.tokens[-1]
    return SealedFile(
        size_bytes=size,
        level=SealLevel.B_LTA if is_archived else SealLevel.B_T,
        token=token,
        archive=token if is_archived else None,
        drawn=Drawn(),
    )


async def _archive(
    tools: SealTools,
    opened: IO[bytes],
    stamper: Stamper,
    signatures: Sequence[Any],
    chains: Sequence[Sequence[Any]],
) -> None:
    others = [one for chain in chains for one in chain]
    async with open_fetcher(tools.loopback) as backend:
        context = revocation_context(tools.timestamps.roots, others, backend)
        paths = [
            await CertificateValidator(
                chain[0], intermediate_certs=others, validation_context=context
            ).async_validate_path()
            for chain in chains
        ]
        for signature in signatures:
            DocumentSecurityStore.add_dss(
                opened, signature.pkcs7_content, paths=paths, validation_context=context, strict=False
            )
        writer = IncrementalPdfFileWriter(opened, strict=False)
        await PdfTimeStamper(stamper).async_timestamp_pdf(
            writer, "sha256", validation_context=context, in_place=True
        )


def _add_fields(writer: Any, signer: SignerFields) -> None:
    names = [_value_name(stamp) for stamp in signer.values]
    place = signer.signature
    box = _box(writer, place)
    lock = FieldMDPSpec(FieldMDPAction.INCLUDE, fields=names) if names else None
    spec = SigFieldSpec(
        signer.name, on_page=place.page - 1, box=box, field_mdp_spec=lock, doc_mdp_update_value=None
    )
    append_signature_field(writer, spec)
    for name, stamp in zip(names, signer.values, strict=True):
        _add_text_field(writer, name, stamp)


def _add_text_field(writer: Any, name: str, stamp: Stamp) -> None:
    page, _ = writer.find_page_for_modification(stamp.page - 1)
    field = generic.DictionaryObject(
        {
            _name("/Type"): _name("/Annot"),
            _name("/Subtype"): _name("/Widget"),
            _name("/FT"): _name("/Tx"),
            _name("/T"): generic.TextStringObject(name),
            _name("/F"): generic.NumberObject(4),
            _name("/Rect"): _numbers(*_box(writer, stamp)),
            _name("/P"): page,
        }
    )
    reference = writer.add_object(field)
    writer.register_annotation(page, reference)
    form = writer.root["/AcroForm"]
    form["/Fields"].append(reference)
    writer.update_container(form["/Fields"])


def _fill(tools: SealTools, writer: Any, field: Any, stamp: Stamp, pictures: Mapping[UUID, bytes]) -> Drawn:
    value = stamp.content.text if isinstance(stamp.content, TextStamp) else "yes"
    field[_name("/V")] = generic.TextStringObject(value)
    field[_name("/Ff")] = generic.NumberObject(_READ_ONLY)
    return _show(tools, writer, field, stamp, pictures)


def _show(tools: SealTools, writer: Any, field: Any, stamp: Stamp, pictures: Mapping[UUID, bytes]) -> Drawn:
    """The field's appearance: what would have been stamped on the page."""
    overlay = Overlay(writer, tools.faces, pictures)
    page = writer.find_page_for_modification(stamp.page - 1)[0].get_object()
    form, frame, _ = overlay.draw_form(page, [_inside(stamp)])
    drawn = overlay.finish()
    appearance = form.get_object()
    appearance[_name("/BBox")] = _numbers(*frame.place(stamp.x, stamp.y, stamp.width, stamp.height))
    appearance[_name("/Matrix")] = _numbers(*frame.matrix)
    field[_name("/AP")] = generic.DictionaryObject({_name("/N"): form})
    writer.update_container(field)
    return drawn


def _sum(drawn: Sequence[Drawn]) -> Drawn:
    cut = tuple(one for part in drawn for one in part.cut_fields)
    return Drawn(cut, sum(part.escaped for part in drawn))


def _inside(stamp: Stamp) -> Stamp:
    """A caption that would stand below its field is not seen there: the field's appearance ends at its box."""
    if isinstance(stamp.content, PictureStamp) and len(stamp.content.caption) > 2:
        content = msgspec.structs.replace(stamp.content, caption=stamp.content.caption[:2])
        return msgspec.structs.replace(stamp, content=content)
    return stamp


def _fields_by_name(writer: Any) -> dict[str, Any]:
    found = {name: reference.get_object() for name, _, reference in enumerate_sig_fields(writer)}
    fields = writer.root["/AcroForm"]["/Fields"]
    for place in range(len(fields)):
        field = fields[place]
        found.setdefault(str(entry(field, "/T")), field)
    return found


def _value_name(stamp: Stamp) -> str:
    return f"Value-{stamp.field_id.hex}"


def _box(writer: Any, stamp: Stamp) -> tuple[float, float, float, float]:
    page = writer.find_page_for_modification(stamp.page - 1)[0].get_object()
    frame = read_frame(page)
    return frame.to_page(frame.place(stamp.x, stamp.y, stamp.width, stamp.height))


def _damaged(error: Exception) -> SealingFailed:
    return SealingFailed(
        SealTrouble.DOCUMENT_DAMAGED, f"the document cannot be signed ({type(error).__name__}: {error})"
    )


def _numbers(*values: float) -> Any:
    return generic.ArrayObject([generic.FloatObject(round(one, 4)) for one in values])
