"""One signature on what is open in a writer: PAdES with a timestamp, and with every proof where that is asked.

Everything here takes processor time: MUST run in a thread with a loop of its own (`run_apart`).
Source: ETSI EN 319 142-1 (PAdES B-T, B-LTA); ISO 32000-2 sections 12.8.2.2, 12.8.3.4.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from typing import IO, Any, TypeVar

import msgspec
from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner
from pyhanko.stamp import BaseStampStyle
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.errors import PathBuildingError, PathError, PathValidationError, ValidationError

from config.settings_sealing import SealLevel
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.fetching import open_fetcher
from engine.sealing.geometry import entry
from engine.sealing.keys import chain_of, tells_its_status
from engine.sealing.signer import KeySigner, SealingKey, reserved_size
from engine.sealing.timestamps import Stamper, Timestamps, certificates_of
from engine.sealing.typefaces import Typefaces

CHUNK = 256 * 1024
_T = TypeVar("_T")


class SealTools(msgspec.Struct, frozen=True, kw_only=True):
    """What outlives one seal. `loopback`: whom of this machine certificates' status may be asked of (development)."""

    faces: Typefaces
    timestamps: Timestamps
    level: SealLevel
    loopback: tuple[str, ...] = ()


class SignOrder(msgspec.Struct, frozen=True, kw_only=True):
    """`certify`: the first signature of a file, which says what may be changed later (`permissions`).

    `field` describes a field that is to be made (pyHanko's SigFieldSpec); without it one of that name is
    filled, or an invisible one is made.
    """

    key: SealingKey
    field_name: str
    level: SealLevel
    reason: str = ""
    location: str = ""
    name: str = ""
    certify: bool = False
    permissions: Any = MDPPerm.NO_CHANGES
    field: Any = None


class _NoAppearance(BaseStampStyle):  # type: ignore[misc]  # the library's types are not followed
    """Leaves the appearance that the field has."""

    def create_stamp(self, writer: Any, box: Any, text_params: Any) -> None:
        return None


async def run_apart(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Runs the coroutine in a thread and a loop of its own, away from the caller's."""
    return await asyncio.to_thread(lambda: asyncio.run(work()))


async def choose_level(tools: SealTools, key: SealingKey) -> SealLevel:
    """AUTO: B-LTA where seal and timestamp certificates all say who tells their status, else B-T. What was
    chosen is never lowered afterwards because somebody did not answer.
    """
    return await choose_level_of(tools, chain_of(key))


async def choose_level_of(tools: SealTools, certificates: Sequence[Any]) -> SealLevel:
    """The same for certificates that have signed (asn1crypto's)."""
    if tools.level is not SealLevel.AUTO:
        return tools.level
    if not tools.timestamps.roots or not tells_its_status(certificates):
        return SealLevel.B_T
    known = await tools.timestamps.known_token()
    return SealLevel.B_LTA if tells_its_status(certificates_of(known.token)) else SealLevel.B_T


async def sign_open(
    tools: SealTools, order: SignOrder, writer: Any, stamper: Stamper, target: IO[bytes] | None
) -> None:
    """Writes the signed file to `target`; None: appends to the file that the writer reads.

    Raises SealingFailed, and pyHanko's own errors for documents that cannot be signed.
    """
    if order.level is not SealLevel.B_LTA:
        await _sign(tools, order, writer, stamper, target, None)
        return
    async with open_fetcher(tools.loopback) as backend:
        context = revocation_context(tools.timestamps.roots, chain_of(order.key), backend)
        await _sign(tools, order, writer, stamper, target, context)


async def _sign(
    tools: SealTools, order: SignOrder, writer: Any, stamper: Stamper, target: IO[bytes] | None, context: Any
) -> None:
    metadata = PdfSignatureMetadata(
        field_name=order.field_name,
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        reason=order.reason or None,
        location=order.location or None,
        name=order.name or None,
        certify=order.certify,
        docmdp_permissions=order.permissions,
        validation_context=context,
        embed_validation_info=context is not None,
        use_pades_lta=context is not None,
        signer_key_usage=set(),
    )
    signer = PdfSigner(
        metadata,
        KeySigner(order.key),
        timestamper=stamper,
        stamp_style=_NoAppearance(),
        new_field_spec=order.field,
    )
    try:
        await signer.async_sign_pdf(
            writer,
            output=target,
            in_place=target is None,
            bytes_reserved=reserved_size(order.key, tools.timestamps.token_room),
            chunk_size=CHUNK,
        )
    except (PathBuildingError, PathValidationError) as error:
        raise SealingFailed(
            SealTrouble.REVOCATION_UNAVAILABLE, f"the status of a certificate is not known: {error}"
        ) from error
    except SigningError as error:
        if context is None or not isinstance(error.__cause__, ValidationError | PathError | OSError):
            raise
        raise SealingFailed(
            SealTrouble.REVOCATION_UNAVAILABLE, f"{error}: {error.__cause__}"[:500]
        ) from error


def revocation_context(roots: Sequence[Any], others: Sequence[Any], backend: Any) -> Any:
    """Asks for the status of every certificate on the way to a root and takes no silence for an answer."""
    return ValidationContext(
        trust_roots=list(roots),
        other_certs=list(others),
        allow_fetching=True,
        revocation_mode="require",
        fetcher_backend=backend,
    )


def free_name(writer: Any, wanted: str) -> str:
    """A name that no form field of the document has yet."""
    form = entry(writer.root, "/AcroForm")
    fields = entry(form, "/Fields") if form is not None else ()
    taken = {str(entry(fields[place], "/T")) for place in range(len(fields or ()))}
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}{number}"
    return name


def digest_of(file: IO[bytes]) -> tuple[str, int]:
    """SHA-256 and size of an open file."""
    file.seek(0)
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size
