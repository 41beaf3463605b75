"""How a tenant's pages look to its signers: name, two colours, a logo, and whom to ask.

Colours are taken only where text on them can be read. A logo is decoded within limits and encoded anew, so that
nothing of the file survives but its pixels; it is public under an id that is new with every picture.
"""

import asyncio
import io
import secrets
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from PIL import Image, UnidentifiedImageError

from config.database import Transaction
from engine.ceremony.pages.colours import CONTRAST, contrast, is_colour
from engine.ceremony.view import Brand
from gateway.envelopes.draft import is_email
from gateway.services import Caller, Services
from gateway.tenants.facts import tenant_event
from gateway.tenants.tenants import read_tenant
from normalizer.errors import Finding, ValidationFailed
from normalizer.events import ResourceType
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

LOGO_BYTES = 1_000_000
_MOST_PIXELS = 16_000_000
_LARGEST = (720, 216)
_MAGIC = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}
_INKS = ("#ffffff", "#1b2330")
Text200 = Annotated[str, msgspec.Meta(max_length=200)]


class BrandingInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything but the logo; what is left empty is the house's own. `colour` is the accent and `ink` the text on
    it, #rrggbb; without `ink` white or black is chosen, whichever can be read.
    """

    organisation: Text200 = ""
    colour: Annotated[str, msgspec.Meta(max_length=7)] = ""
    ink: Annotated[str, msgspec.Meta(max_length=7)] = ""
    support_email: Text200 = ""
    reply_to: Text200 = ""


class Branding(msgspec.Struct, frozen=True, kw_only=True):
    organisation: str = ""
    colour: str = ""
    ink: str = ""
    support_email: str = ""
    reply_to: str = ""
    logo_public_id: str | None = None
    logo_width: int = 0
    logo_height: int = 0
    updated_at: datetime | None = None


class _StoredBrand(msgspec.Struct, frozen=True):
    organisation: str
    colour: str
    ink: str
    support_email: str
    logo_public_id: str


_brand_decoder = msgspec.json.Decoder(_StoredBrand)
_COLUMNS = ", ".join(Branding.__struct_fields__)


async def brand_of(services: Services, tenant_id: UUID) -> Brand:
    """What a page is given. One statement, so that a change is seen on the next page."""
    row = await services.database.fetchval("SELECT tenant_brand($1)", tenant_id)
    if row is None:
        return Brand(organisation="Countersign")
    stored = _brand_decoder.decode(row)
    colours = {"colour": stored.colour, "ink": stored.ink} if stored.colour else {}
    return Brand(
        organisation=stored.organisation,
        logo_url=logo_address(stored.logo_public_id) if stored.logo_public_id else "",
        support_email=stored.support_email,
        **colours,
    )


def logo_address(public_id: str) -> str:
    return f"/sign/brand/{public_id}"


async def read_branding(services: Services, tenant_id: UUID) -> Branding:
    """What was set. Raises NotFound for a tenant that there is not."""
    await read_tenant(services, tenant_id)
    row = await services.hub.fetchrow(
        f"SELECT {_COLUMNS} FROM tenant_branding WHERE tenant_id = $1", tenant_id
    )
    return msgspec.convert(dict(row), Branding) if row else Branding()


async def set_branding(services: Services, caller: Caller, tenant_id: UUID, given: BrandingInput) -> Branding:
    """Raises ValidationFailed with every fault, NotFound."""
    await read_tenant(services, tenant_id)
    given = _with_ink(given)
    faults = tuple(_faults(given))
    if faults:
        raise ValidationFailed("The appearance cannot be taken as it is.", faults)
    async with services.hub.transaction() as tx:
        await tx.driver.execute(
            "INSERT INTO tenant_branding AS b (tenant_id, organisation, colour, ink, support_email, reply_to)"
            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id) DO UPDATE SET"
            " organisation = EXCLUDED.organisation, colour = EXCLUDED.colour, ink = EXCLUDED.ink,"
            " support_email = EXCLUDED.support_email, reply_to = EXCLUDED.reply_to, updated_at = now()",
            tenant_id,
            given.organisation.strip(),
            given.colour,
            given.ink,
            given.support_email,
            given.reply_to,
        )
        await _record(services, tx, caller, tenant_id, "texts and colours")
        await tx.commit()
    return await read_branding(services, tenant_id)


async def set_logo(services: Services, caller: Caller, tenant_id: UUID, content: bytes) -> Branding:
    """Raises ValidationFailed for what is no PNG or JPEG picture within the limits, NotFound."""
    await read_tenant(services, tenant_id)
    png, width, height = await asyncio.to_thread(_encode_anew, content)
    stored = await services.blobs.put(tenant_id, _once(png))
    before = await _put_logo(services, caller, tenant_id, stored.key, width, height)
    if before:
        await services.blobs.delete(tenant_id, before)
    return await read_branding(services, tenant_id)


async def remove_logo(services: Services, caller: Caller, tenant_id: UUID) -> Branding:
    """The organisation's name takes its place."""
    await read_tenant(services, tenant_id)
    before = await _put_logo(services, caller, tenant_id, "", 0, 0)
    if before:
        await services.blobs.delete(tenant_id, before)
    return await read_branding(services, tenant_id)


async def find_logo(services: Services, public_id: str) -> bytes | None:
    """The PNG under its public id; None for one that there is not, or not any more."""
    row = await services.hub.fetchrow(
        "SELECT tenant_id, logo_blob_key FROM tenant_branding WHERE logo_public_id = $1", public_id[:40]
    )
    return await services.blobs.read(row["tenant_id"], row["logo_blob_key"]) if row else None


async def _put_logo(
    services: Services, caller: Caller, tenant_id: UUID, blob_key: str, width: int, height: int
) -> str:
    """Where the logo before it lies, "" for none."""
    public_id = secrets.token_urlsafe(18) if blob_key else None
    async with services.hub.transaction() as tx:
        await tx.driver.execute(
            "INSERT INTO tenant_branding (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING", tenant_id
        )
        before: str = await tx.driver.fetchval(
            "SELECT logo_blob_key FROM tenant_branding WHERE tenant_id = $1 FOR UPDATE", tenant_id
        )
        await tx.driver.execute(
            "UPDATE tenant_branding SET logo_public_id = $2, logo_blob_key = $3, logo_width = $4,"
            " logo_height = $5, updated_at = now() WHERE tenant_id = $1",
            tenant_id,
            public_id,
            blob_key,
            width,
            height,
        )
        await _record(services, tx, caller, tenant_id, "logo" if blob_key else "logo removed")
        await tx.commit()
    return before


async def _record(services: Services, tx: Transaction, caller: Caller, tenant_id: UUID, what: str) -> None:
    event = tenant_event(
        services,
        caller,
        LedgerType.BRANDING_CHANGED,
        tenant_id,
        ResourceType.TENANT,
        print_id(Kind.TENANT, tenant_id),
        {"changed": what},
    )
    await services.recorder.record(tx, [event])


def _with_ink(given: BrandingInput) -> BrandingInput:
    colour, ink = given.colour.lower(), given.ink.lower()
    if is_colour(colour) and not ink:
        ink = max(_INKS, key=lambda one: contrast(colour, one))
    return msgspec.structs.replace(given, colour=colour, ink=ink)


def _faults(given: BrandingInput) -> list[Finding]:
    faults = [
        Finding(f"/{name}", "This is not a colour.", "Write it as #rrggbb, for example #0b6e4f.")
        for name, value in (("colour", given.colour), ("ink", given.ink))
        if value and not is_colour(value)
    ]
    if given.ink and not given.colour:
        faults.append(Finding("/ink", "A text colour needs the colour behind it.", "Give `colour` as well."))
    if not faults and given.colour and contrast(given.colour, given.ink) < CONTRAST:
        measured = f"{contrast(given.colour, given.ink):.2f}"
        faults.append(
            Finding(
                "/ink",
                f"Text in {given.ink} on {given.colour} has a contrast of {measured}; {CONTRAST} can be read.",
                "Choose a darker or lighter colour, or leave `ink` out.",
            )
        )
    faults += [
        Finding(f"/{name}", "This is not an e-mail address.", "Write it as name@host.")
        for name, value in (("support_email", given.support_email), ("reply_to", given.reply_to))
        if value and not is_email(value)
    ]
    if any(ord(letter) < 32 for letter in given.organisation):
        faults.append(Finding("/organisation", "A name has no control characters."))
    return faults


def _encode_anew(content: bytes) -> tuple[bytes, int, int]:
    """CPU-bound: call it in a thread. Must never be given a picture that is a program (SVG)."""
    kind = next((name for magic, name in _MAGIC.items() if content.startswith(magic)), None)
    if kind is None:
        raise _refused("The file is neither a PNG nor a JPEG picture.")
    if len(content) > LOGO_BYTES:
        raise _refused(f"The picture has {len(content)} bytes; {LOGO_BYTES} can be sent.")
    try:
        with Image.open(io.BytesIO(content), formats=(kind,)) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise _refused(f"The picture has more than {_MOST_PIXELS} pixels.")
            pixels = opened.convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise _refused("The picture cannot be read.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _refused("The picture has too many pixels.") from error
    pixels.thumbnail(_LARGEST, Image.Resampling.LANCZOS)
    pixels.info.clear()
    out = io.BytesIO()
    pixels.save(out, "PNG", optimize=True)
    return out.getvalue(), pixels.width, pixels.height


def _refused(problem: str) -> ValidationFailed:
    return ValidationFailed(
        "The logo cannot be taken.",
        (Finding("/", problem, f"Send a PNG or JPEG picture of at most {LOGO_BYTES // 1000} KB."),),
    )


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
