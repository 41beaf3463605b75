"""Questions that the sender gives, to be answered by the recipient: all of them, rightly, at once.

Answers are hashed where they come in and never kept; the questions with the hashes lie in the vault. Which of
several answers was wrong is not told.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from config.database import Database, Transaction
from config.vault import Place
from engine.ceremony.hashed_answer import hash_text, is_text, normalise_answer
from engine.engine import Engine
from engine.model import EngineRecipient
from normalizer.recipient import KnowledgeQuestion

_decoder = msgspec.json.Decoder(tuple[KnowledgeQuestion, ...])


async def make_question(question: str, answer: str) -> KnowledgeQuestion:
    """The question with the hash of its normalised answer."""
    return KnowledgeQuestion(" ".join(question.split()), await hash_text(normalise_answer(answer)))


def encode_questions(questions: Sequence[KnowledgeQuestion]) -> bytes:
    """For the vault only."""
    return msgspec.json.encode(questions)


def decode_questions(plain: bytes) -> tuple[KnowledgeQuestion, ...]:
    return _decoder.decode(plain)


async def seal_knowledge(
    engine: Engine,
    store: Database | Transaction,
    tenant_id: UUID,
    recipient_id: UUID,
    questions: Sequence[KnowledgeQuestion],
) -> bytes:
    """What engine_recipients.knowledge holds. Opens for this recipient only."""
    return await engine.vault.encrypt(store, tenant_id, _place(recipient_id), encode_questions(questions))


async def read_questions(
    engine: Engine, store: Database | Transaction, tenant_id: UUID, recipient: EngineRecipient
) -> tuple[str, ...]:
    """The questions for the page, in order; () when there are none."""
    return tuple(one.question for one in await _open(engine, store, tenant_id, recipient))


async def are_answers(
    engine: Engine,
    store: Database | Transaction,
    tenant_id: UUID,
    recipient: EngineRecipient,
    answers: Mapping[str, str],
) -> bool:
    """Whether `answer_0`, `answer_1` .. are all right. Never, when the recipient has no questions."""
    questions = await _open(engine, store, tenant_id, recipient)
    # Each is compared, also after a wrong one: the time must not tell which it was.
    right = [
        await is_text(one.answer_hash, normalise_answer(answers.get(f"answer_{number}", "")))
        for number, one in enumerate(questions)
    ]
    return bool(right) and all(right)


async def _open(
    engine: Engine, store: Database | Transaction, tenant_id: UUID, recipient: EngineRecipient
) -> tuple[KnowledgeQuestion, ...]:
    if recipient.knowledge is None:
        return ()
    return decode_questions(
        await engine.vault.decrypt(store, tenant_id, _place(recipient.id), recipient.knowledge)
    )


def _place(recipient_id: UUID) -> Place:
    return Place("engine_recipients", "knowledge", recipient_id)
