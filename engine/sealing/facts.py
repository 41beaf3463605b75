"""What a seal tells the ledger: which certificate was used, what was sealed into which bytes, and the certificate.

Facts hold hashes, serials and levels; nothing about a person.
"""

from collections.abc import Sequence
from typing import Protocol

from config.blobs import StoredBlob
from engine.engine import Engine
from engine.model import EngineDocument, EngineEnvelope
from engine.sealing.completion_facts import Completion
from engine.sealing.seal import SealedFile
from engine.sealing.signer import SealingKey
from normalizer.canonical import Json
from normalizer.events import SYSTEM, Event, ResourceType, Source, SourceKind
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType


class SealedPart(Protocol):
    @property
    def part(self) -> str: ...

    @property
    def document(self) -> EngineDocument | None: ...

    @property
    def blob(self) -> StoredBlob: ...

    @property
    def sealed(self) -> SealedFile: ...


def seal_events(
    engine: Engine, envelope: EngineEnvelope, key: SealingKey, stored: Sequence[SealedPart], facts: Completion
) -> list[Event]:
    """In the order in which it happened: the certificate's use, each document, the certificate of completion."""
    used: dict[str, Json] = {
        "serial": facts.seal.serial,
        "sha256": facts.seal.sha256,
        "purpose": "seal",
        "signatures": len(stored),
    }
    own = key.certificate_id or facts.seal.sha256
    events = [
        _event(engine, envelope, LedgerType.CERTIFICATE_USED, ResourceType.CERTIFICATE, own, used),
    ]
    for one in stored:
        if one.document is not None:
            document = print_id(Kind.DOCUMENT, one.document.id)
            events.append(
                _event(
                    engine,
                    envelope,
                    LedgerType.DOCUMENT_SEALED,
                    ResourceType.DOCUMENT,
                    document,
                    _sealed_facts(one.document, one.blob, one.sealed),
                )
            )
    events.append(_certified(engine, envelope, stored, facts))
    return events


def renewal_event(engine: Engine, envelope: EngineEnvelope, resource: str, facts: dict[str, Json]) -> Event:
    kind = LedgerType.ARCHIVE_TIMESTAMP_RENEWED
    return _event(engine, envelope, kind, ResourceType.DOCUMENT, resource, facts)


def _sealed_facts(document: EngineDocument, blob: StoredBlob, sealed: SealedFile) -> dict[str, Json]:
    return {
        "original_sha256": document.source_sha256,
        "shown_sha256": document.sha256,
        "sealed_sha256": blob.sha256,
        "size_bytes": blob.size,
        "level": sealed.level.value,
        "timestamp_authority": sealed.token.authority,
        "timestamp_serial": sealed.token.serial,
        "shortened_values": len(sealed.drawn.cut_fields),
        "letters_without_font": sealed.drawn.escaped,
    }


def _certified(
    engine: Engine, envelope: EngineEnvelope, stored: Sequence[SealedPart], facts: Completion
) -> Event:
    certified: dict[str, Json] = {
        f"{one.part}_sha256": one.blob.sha256 for one in stored if one.document is None
    }
    if facts.chain is not None:
        certified |= {
            "head_seq": facts.chain.head_seq,
            "head_hash": facts.chain.head_hash,
            "head_timestamp_serial": facts.chain.token_serial,
            "head_timestamp_authority": facts.chain.authority,
        }
    own = print_id(Kind.ENVELOPE, envelope.envelope_id)
    return _event(engine, envelope, LedgerType.COMPLETION_CERTIFIED, ResourceType.ENVELOPE, own, certified)


def _event(
    engine: Engine,
    envelope: EngineEnvelope,
    kind: LedgerType,
    resource: ResourceType,
    own: str,
    facts: dict[str, Json],
) -> Event:
    return Event(
        id=engine.ids.new(),
        type=kind,
        tenant_id=envelope.tenant_id,
        envelope_id=envelope.envelope_id,
        resource_type=resource,
        resource_id=own,
        occurred_at=engine.clock.now(),
        actor=SYSTEM,
        source=Source(kind=SourceKind.JOB),
        facts=facts,
    )
