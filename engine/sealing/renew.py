"""Renews the archive timestamps of sealed files before the last one's certificate expires (PAdES B-LTA).

A renewal appends the last timestamp's proofs and a new timestamp; nothing before it changes, and every earlier
version stays known by its hash. What cannot be renewed now is tried again daily, long before it is too late.
Source: ETSI EN 319 142-1 section 5.5; ETSI TS 119 142-3.
"""

import logging
from datetime import timedelta
from pathlib import Path

import msgspec
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers import PdfTimeStamper
from pyhanko_certvalidator.errors import PathBuildingError, PathValidationError

from config.errors import StoreUnavailable
from engine.engine import Engine
from engine.record import record
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.facts import renewal_event
from engine.sealing.fetching import open_fetcher
from engine.sealing.files import fetch_file, private_folder, store_file
from engine.sealing.sealer import Sealer, sealer_of
from engine.sealing.signing import CHUNK, SealTools, digest_of, revocation_context, run_apart
from engine.sealing.store import SealRow, claim_renewals, insert_seals, load_seal
from engine.sealing.timestamps import Stamper
from engine.sealing.tokens import TokenFacts
from engine.store import lock_envelope
from normalizer.ids import Kind, print_id

logger = logging.getLogger("countersign.sealing")

_LEASE_S = 86_400.0


class Renewed(msgspec.Struct, frozen=True):
    sha256: str
    size_bytes: int
    token: TokenFacts


async def renew_due(engine: Engine, sealer: Sealer | None = None) -> int:
    """How many files got a new timestamp. One run takes a batch."""
    sealer = sealer or sealer_of(engine)
    claims = await claim_renewals(engine.hub, engine.settings.sealing.batch_size, _LEASE_S)
    done = 0
    for tenant_id, engine_id, own in claims:
        try:
            async with engine.database.transaction(tenant_id) as tx:
                row = await load_seal(tx, tenant_id, engine_id, own)
            if row is not None:
                await _renew_one(engine, sealer, row)
                done += 1
        except (SealingFailed, StoreUnavailable) as error:
            logger.warning("archive.renewal_failed engine_id=%s seal=%s reason=%s", engine_id, own, error)
        except Exception:  # one file must not keep the others, which are claimed with it, from being renewed
            logger.exception("archive.renewal_failed engine_id=%s seal=%s", engine_id, own)
    return done


async def renew_file(tools: SealTools, source: Path, target: Path) -> Renewed:
    """Writes the renewed file to `target`. Raises SealingFailed."""
    stamper = Stamper(tools.timestamps)
    try:
        async with open_fetcher(tools.loopback) as backend:
            context = revocation_context(tools.timestamps.roots, (), backend)
            with source.open("rb") as before, target.open("w+b") as after:
                await PdfTimeStamper(stamper).async_update_archival_timestamp_chain(
                    PdfFileReader(before, strict=False),
                    context,
                    in_place=False,
                    output=after,
                    chunk_size=CHUNK,
                )
                digest, size = digest_of(after)
    except (PathBuildingError, PathValidationError) as error:
        raise SealingFailed(
            SealTrouble.REVOCATION_UNAVAILABLE, f"the status of a certificate is not known: {error}"
        ) from error
    except (PdfError, SigningError, ValueError) as error:
        raise SealingFailed(
            SealTrouble.DOCUMENT_DAMAGED, f"the file cannot be renewed ({type(error).__name__})"
        ) from error
    return Renewed(digest, size, stamper.tokens[-1])


async def _renew_one(engine: Engine, sealer: Sealer, row: SealRow) -> None:
    async with private_folder() as folder:
        source, target = folder / "before.pdf", folder / "after.pdf"
        await fetch_file(engine.blobs, row.tenant_id, row.blob_key, row.sha256, source)
        renewed = await run_apart(lambda: renew_file(sealer.tools, source, target))
        blob = await store_file(engine.blobs, row.tenant_id, target)
    token = renewed.token
    following = msgspec.structs.replace(
        row,
        id=engine.ids.new(),
        revision=row.revision + 1,
        blob_key=blob.key,
        sha256=renewed.sha256,
        size_bytes=renewed.size_bytes,
        timestamp_authority=token.authority[:300],
        timestamp_serial=token.serial,
        stamped_at=token.moment,
        proof_until=token.certificate_until,
        renew_at=token.certificate_until - timedelta(days=engine.settings.sealing.renew_before_days),
    )
    is_ours = await _keep(engine, row, following)
    if not is_ours:
        await engine.blobs.delete(row.tenant_id, blob.key)


async def _keep(engine: Engine, row: SealRow, following: SealRow) -> bool:
    """False when another run was faster."""
    async with engine.database.transaction(row.tenant_id) as tx:
        envelope = await lock_envelope(tx, row.tenant_id, row.engine_id)
        done = await tx.driver.execute(
            "UPDATE engine_seals SET renew_at = NULL WHERE tenant_id = $1 AND engine_id = $2 AND id = $3"
            " AND renew_at IS NOT NULL",
            row.tenant_id,
            row.engine_id,
            row.id,
        )
        if done != "UPDATE 1":
            return False
        await insert_seals(tx, [following])
        # What had the old version has the new one: the document's file, the certificate, the combined file.
        for sql in _FOLLOW:
            await tx.driver.execute(
                sql,
                row.tenant_id,
                row.engine_id,
                row.blob_key,
                following.blob_key,
                following.sha256,
                following.size_bytes,
            )
        resource = print_id(Kind.DOCUMENT, row.document_id) if row.document_id is not None else row.part
        event = renewal_event(
            engine,
            envelope,
            resource,
            {
                "part": row.part,
                "revision": following.revision,
                "previous_sha256": row.sha256,
                "sha256": following.sha256,
                "timestamp_authority": following.timestamp_authority,
                "timestamp_serial": following.timestamp_serial,
            },
        )
        await record(engine, tx, [event])
        await tx.commit()
    return True


_FOLLOW = (
    (
        "UPDATE engine_documents SET sealed_blob_key = $4, sealed_sha256 = $5, sealed_size = $6"
        " WHERE tenant_id = $1 AND engine_id = $2 AND sealed_blob_key = $3"
    ),
    (
        "UPDATE engine_envelopes SET certificate_blob_key = $4, certificate_sha256 = $5, certificate_size = $6"
        " WHERE tenant_id = $1 AND id = $2 AND certificate_blob_key = $3"
    ),
    (
        "UPDATE engine_envelopes SET combined_blob_key = $4, combined_sha256 = $5, combined_size = $6"
        " WHERE tenant_id = $1 AND id = $2 AND combined_blob_key = $3"
    ),
)
