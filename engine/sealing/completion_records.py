"""Reads what a certificate of completion needs beside the envelope: consents with their texts, the chain, files."""

from uuid import UUID

import msgspec

from config.database import Transaction
from engine.ceremony.attach import Attachment, load_attachments
from engine.engine import Engine
from engine.model import EngineEnvelope, EngineRecipient
from engine.sealing.completion_facts import ConsentFacts, DisclosureFacts
from engine.sealing.own_signatures import OwnSignature, load_signatures
from ledger.read import ReadEntry, read_chain

_PAGE = 500


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in other tables and in the ledger."""

    organisation: str
    consents: dict[UUID, tuple[ConsentFacts, ...]]
    disclosures: tuple[DisclosureFacts, ...]
    entries: tuple[ReadEntry, ...]
    attachments: tuple[Attachment, ...] = ()
    own_signatures: dict[UUID, OwnSignature] = {}


async def read_records(engine: Engine, tx: Transaction, envelope: EngineEnvelope) -> Records:
    tenant_id = envelope.tenant_id
    organisation = await tx.driver.fetchval("SELECT engine_organisation($1)", tenant_id)
    rows = await tx.driver.fetch(
        "SELECT * FROM consents WHERE tenant_id = $1 AND engine_id = $2 ORDER BY decided_at, id",
        tenant_id,
        envelope.id,
    )
    consents: dict[UUID, tuple[ConsentFacts, ...]] = {}
    for row in rows:
        facts = ConsentFacts(**{name: row[name] for name in ConsentFacts.__struct_fields__})
        consents[row["recipient_id"]] = (*consents.get(row["recipient_id"], ()), facts)
    shown = await tx.driver.fetch(
        "SELECT disclosure_id, version, language, sha256, paragraphs::text AS paragraphs FROM disclosures"
        " WHERE tenant_id = $1 AND sha256 = ANY ($2) ORDER BY disclosure_id, version, language",
        tenant_id,
        [row["sha256"] for row in rows],
    )
    return Records(
        organisation=organisation or "",
        consents=consents,
        disclosures=tuple(
            DisclosureFacts(
                id=row["disclosure_id"],
                version=row["version"],
                language=row["language"],
                sha256=row["sha256"],
                paragraphs=msgspec.json.decode(row["paragraphs"], type=tuple[tuple[str, str], ...]),
            )
            for row in shown
        ),
        entries=await read_entries(engine, tx, envelope),
        attachments=await load_attachments(tx, tenant_id, envelope.id),
        own_signatures=await load_signatures(tx, tenant_id, envelope.id),
    )


async def read_entries(engine: Engine, tx: Transaction, envelope: EngineEnvelope) -> tuple[ReadEntry, ...]:
    """The envelope's audit chain."""
    found: list[ReadEntry] = []
    while True:
        page = await read_chain(
            tx,
            engine.subjects,
            envelope.tenant_id,
            f"env:{envelope.envelope_id}",
            after=found[-1].seq if found else 0,
            limit=_PAGE,
        )
        found += page
        if len(page) < _PAGE:
            return tuple(found)


def consents_of(one: EngineRecipient, records: Records) -> tuple[ConsentFacts, ...]:
    """The signer's own: what was decided before a correction of the address stands in the events only."""
    found = records.consents.get(one.id, ())
    return tuple(consent for consent in found if one.sent_at is None or consent.decided_at >= one.sent_at)
