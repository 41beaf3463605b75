"""Consent to electronic records: shown, given with the proof that PDF files open, refused, withdrawn.

A consent counts while it is not withdrawn and names the words that would be shown today: other words are asked
for anew (15 U.S.C. 7001(c)(1)(D)). A withdrawal is for the future; what was signed stays (7001(c)(4)).
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from config.database import Database, Transaction
from engine.ceremony.demonstration import hash_word, is_word, word_of
from engine.ceremony.disclosure import Disclosure
from engine.ceremony.evidence import ceremony_event
from engine.ceremony.reader import lock_reader, lock_turn
from engine.ceremony.refusals import FieldRefused
from engine.ceremony.sessions import Session, note_consent
from engine.engine import Engine
from engine.envelopes.act import view_recipient
from engine.envelopes.letters import write_to_sender
from engine.envelopes.turn import may_act
from engine.envelopes.visitor import Visitor
from engine.model import EngineEnvelope, EngineRecipient
from engine.notify.notice import NoticeKind
from engine.record import record
from normalizer.canonical import Json
from normalizer.events import ResourceType
from normalizer.vocabulary import LedgerType

_METHOD = "web_form"
_INSERT = """
INSERT INTO consents (tenant_id, id, engine_id, recipient_id, disclosure_id, version, sha256, language, shown_at,
    outcome, decided_at, method, demonstration, demonstration_sha256, ip_address, user_agent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
"""
_KEEP_WORDS = """
INSERT INTO disclosures (tenant_id, sha256, disclosure_id, version, language, paragraphs)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb) ON CONFLICT DO NOTHING
"""


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """`demonstration` is "passed" or "not_asked"."""

    id: UUID
    recipient_id: UUID
    disclosure_id: str
    version: str
    sha256: str
    language: str
    shown_at: datetime
    outcome: str
    decided_at: datetime
    method: str
    demonstration: str
    withdrawn_at: datetime | None = None
    ip_address: str = ""
    user_agent: str = ""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """That these bytes were put before the recipient, and when first. `kind`: "disclosure" or "document"."""

    kind: str
    item: str
    sha256: str
    first_at: datetime


class Ceremony(msgspec.Struct, frozen=True, kw_only=True):
    """What one recipient's pages need beyond the envelope, the last view first. `idempotency_key`: of the finish,
    when there was one.
    """

    consents: tuple[Consent, ...] = ()
    views: tuple[Shown, ...] = ()
    idempotency_key: str | None = None


_decoder = msgspec.json.Decoder(Ceremony)


async def load_ceremony(
    store: Database | Transaction, tenant_id: UUID, engine_id: UUID, recipient_id: UUID
) -> Ceremony:
    source = store.driver if isinstance(store, Transaction) else store
    text = await source.fetchval("SELECT load_ceremony($1, $2, $3)", tenant_id, engine_id, recipient_id)
    return _decoder.decode(text)


async def load_consents(tx: Transaction, tenant_id: UUID, engine_id: UUID) -> tuple[Consent, ...]:
    """Everybody's, in the order of deciding: for the certificate of completion."""
    rows = await tx.driver.fetch(
        "SELECT * FROM consents WHERE tenant_id = $1 AND engine_id = $2 ORDER BY decided_at, id",
        tenant_id,
        engine_id,
    )
    return tuple(
        msgspec.convert({name: row[name] for name in Consent.__struct_fields__}, Consent) for row in rows
    )


async def load_words(tx: Transaction, tenant_id: UUID, sha256: str) -> tuple[tuple[str, str], ...]:
    """The paragraphs of a disclosure that somebody was shown, (heading, text); () for an unknown hash."""
    text = await tx.driver.fetchval(
        "SELECT paragraphs::text FROM disclosures WHERE tenant_id = $1 AND sha256 = $2", tenant_id, sha256
    )
    return msgspec.json.decode(text, type=tuple[tuple[str, str], ...]) if text else ()


def is_consent_needed(recipient: EngineRecipient) -> bool:
    """Of everybody who acts; a carbon copy is only informed."""
    return recipient.role.acts


def current_consent(ceremony: Ceremony, disclosure: Disclosure) -> Consent | None:
    """The last decision, when it is a consent that still counts."""
    last = ceremony.consents[-1] if ceremony.consents else None
    if last is None or last.outcome != "accepted" or last.withdrawn_at is not None:
        return None
    return last if last.sha256 == disclosure.sha256 else None


def is_refused(ceremony: Ceremony) -> bool:
    """Whether the last word was no."""
    last = ceremony.consents[-1] if ceremony.consents else None
    return last is not None and (last.outcome == "refused" or last.withdrawn_at is not None)


async def note_shown(
    engine: Engine,
    envelope: EngineEnvelope,
    recipient_id: UUID,
    shown: Sequence[tuple[str, str, str]],
) -> None:
    """Keeps that these (kind, item, sha256) were put before this person; a second time changes nothing."""
    kinds, items, hashes = ([one[part] for one in shown] for part in range(3))
    async with engine.database.transaction(envelope.tenant_id) as tx:
        await tx.driver.execute(
            "INSERT INTO ceremony_views (tenant_id, engine_id, recipient_id, kind, item, sha256, first_at)"
            " SELECT $1, $2, $3, k, i, h, $7 FROM unnest($4::text[], $5::text[], $6::text[]) AS t(k, i, h)"
            " WHERE NOT EXISTS (SELECT FROM ceremony_views v WHERE v.tenant_id = $1 AND v.engine_id = $2"
            " AND v.recipient_id = $3 AND v.kind = k AND v.item = i AND v.sha256 = h"
            " AND ($8::timestamptz IS NULL OR v.first_at >= $8)) ON CONFLICT DO NOTHING",
            envelope.tenant_id,
            envelope.id,
            recipient_id,
            kinds,
            items,
            hashes,
            engine.clock.now(),
            envelope.recipient(recipient_id).sent_at,
        )
        await tx.commit()


async def give_consent(
    engine: Engine, session: Session, visitor: Visitor, disclosure: Disclosure, *, agreed: bool, typed: str
) -> None:
    """Keeps the consent and opens the documents. Raises FieldRefused without the tick and for another word
    than the sample's, InvalidTransition out of turn.
    """
    asks = engine.settings.signing.demonstrate_access
    if not agreed:
        raise FieldRefused(
            "consent_missing", "The box for the consent is not ticked.", remedy="Tick the box, or decline."
        )
    if asks and not is_word(engine, session.handle, typed):
        raise FieldRefused(
            "demonstration_wrong",
            "This is not the word in the sample document.",
            remedy="Open the sample document and type the word that stands in it.",
        )
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope, recipient = await lock_turn(engine, tx, session, "consent")
        proof = hash_word(word_of(engine, session.handle)) if asks else ""
        facts = await _decide(engine, tx, envelope, recipient, visitor, disclosure, "accepted", proof)
        await note_consent(tx, session, consented=True)
        envelope = await view_recipient(engine, tx, envelope, recipient, visitor)
        fact = ceremony_event(
            engine,
            envelope,
            recipient,
            visitor,
            LedgerType.CONSENT_GIVEN,
            (ResourceType.RECIPIENT, recipient.id),
            facts=facts,
        )
        await record(engine, tx, [fact])
        await tx.commit()


async def refuse_consent(engine: Engine, session: Session, visitor: Visitor, disclosure: Disclosure) -> None:
    """Keeps the refusal and tells the sender. The envelope waits: the recipient may consent later, or the sender
    sends paper.
    """
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope, recipient = await lock_turn(engine, tx, session, "refuse consent")
        facts = await _decide(engine, tx, envelope, recipient, visitor, disclosure, "refused", "")
        await note_consent(tx, session, consented=False)
        await write_to_sender(engine, tx, envelope, NoticeKind.CONSENT_REFUSED, by=recipient.name)
        await _record_no(engine, tx, envelope, recipient, visitor, facts | {"before_consent": True})
        await tx.commit()


async def withdraw_consent(engine: Engine, session: Session, visitor: Visitor) -> None:
    """For the future: also after the envelope has ended. Nothing happens when none is in force."""
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope, recipient = await lock_reader(engine, tx, session)
        withdrawn = await tx.driver.fetch(
            "UPDATE consents SET withdrawn_at = $4 WHERE tenant_id = $1 AND engine_id = $2 AND recipient_id = $3"
            " AND outcome = 'accepted' AND withdrawn_at IS NULL RETURNING sha256, disclosure_id, version, language",
            session.tenant_id,
            session.engine_id,
            session.recipient_id,
            engine.clock.now(),
        )
        if not withdrawn:
            return
        await note_consent(tx, session, consented=False)
        if may_act(envelope, recipient):  # afterwards it changes nothing for the sender
            await write_to_sender(engine, tx, envelope, NoticeKind.CONSENT_REFUSED, by=recipient.name)
        facts = {name: withdrawn[-1][name] for name in ("disclosure_id", "version", "sha256", "language")}
        await _record_no(engine, tx, envelope, recipient, visitor, facts)
        await tx.commit()


async def _record_no(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    visitor: Visitor,
    facts: dict[str, Json],
) -> None:
    """One type of entry for a consent that was refused and for one that was taken back: the facts tell which."""
    about = (ResourceType.RECIPIENT, recipient.id)
    fact = ceremony_event(
        engine, envelope, recipient, visitor, LedgerType.CONSENT_WITHDRAWN, about, facts=facts
    )
    await record(engine, tx, [fact])


async def _decide(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    visitor: Visitor,
    disclosure: Disclosure,
    outcome: str,
    proof: str,
) -> dict[str, Json]:
    """The row, and what the ledger says of it. Shown at: the first time these words were put before them."""
    now = engine.clock.now()
    ceremony = await load_ceremony(tx, envelope.tenant_id, envelope.id, recipient.id)
    shown = [one.first_at for one in ceremony.views if one.sha256 == disclosure.sha256]
    shown_at = min(shown, default=now)
    demonstration = "passed" if proof else "not_asked"
    await tx.driver.execute(
        _KEEP_WORDS,
        envelope.tenant_id,
        disclosure.sha256,
        disclosure.id,
        disclosure.version,
        disclosure.language,
        msgspec.json.encode(disclosure.paragraphs).decode(),
    )
    await tx.driver.execute(
        _INSERT,
        envelope.tenant_id,
        engine.ids.new(),
        envelope.id,
        recipient.id,
        disclosure.id,
        disclosure.version,
        disclosure.sha256,
        disclosure.language,
        shown_at,
        outcome,
        now,
        _METHOD,
        demonstration,
        proof,
        visitor.ip_address[:50],
        visitor.user_agent[:512],
    )
    return {
        "disclosure_id": disclosure.id,
        "version": disclosure.version,
        "sha256": disclosure.sha256,
        "language": disclosure.language,
        "shown_at": shown_at.isoformat(),
        "method": _METHOD,
        "demonstration": demonstration,
    }
