"""How a tenant's mails look, and where answers to them go: its colours, its logo, its own address for answers.

Without any of it a mail goes out all the same: an appearance never holds a notice back.
"""

import asyncio
from collections.abc import Iterable
from uuid import UUID

import msgspec

from config.errors import BlobDamaged, BlobNotFound, StoreUnavailable, VaultError
from engine.engine import Engine

_LARGEST_LOGO = 200_000  # bytes; it goes out with every mail


class Letterhead(msgspec.Struct, frozen=True, kw_only=True):
    """`colour` and the `ink` on it are #rrggbb. `logo` is a PNG, b"" for none; its size is in pixels. `reply_to`
    "": answers go to the sender.
    """

    colour: str = "#1f4fd1"
    ink: str = "#ffffff"
    reply_to: str = ""
    logo: bytes = b""
    logo_width: int = 0
    logo_height: int = 0


PLAIN = Letterhead()


async def load_letterheads(engine: Engine, tenants: Iterable[UUID]) -> dict[UUID, Letterhead]:
    """Raises StoreUnavailable."""
    wanted = tuple(dict.fromkeys(tenants))
    heads = await asyncio.gather(*(_load(engine, tenant_id) for tenant_id in wanted))
    return dict(zip(wanted, heads, strict=True))


async def _load(engine: Engine, tenant_id: UUID) -> Letterhead:
    row = await engine.hub.fetchrow(
        "SELECT colour, ink, reply_to, logo_blob_key, logo_width, logo_height FROM tenant_branding"
        " WHERE tenant_id = $1",
        tenant_id,
    )
    if row is None:
        return PLAIN
    logo = await _read_logo(engine, tenant_id, row["logo_blob_key"])
    return Letterhead(
        colour=row["colour"] or PLAIN.colour,
        ink=row["ink"] or PLAIN.ink,
        reply_to=row["reply_to"],
        logo=logo,
        logo_width=row["logo_width"],
        logo_height=row["logo_height"],
    )


async def _read_logo(engine: Engine, tenant_id: UUID, key: str) -> bytes:
    """b"" as well where it cannot be read now: the organisation's name takes its place."""
    if not key:
        return b""
    try:
        logo = await engine.blobs.read(tenant_id, key)
    except (StoreUnavailable, VaultError, BlobNotFound, BlobDamaged):
        return b""
    return logo if len(logo) <= _LARGEST_LOGO else b""
