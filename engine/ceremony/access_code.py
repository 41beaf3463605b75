"""The access code: what the sender tells a recipient by another way, kept as a hash in the vault."""

from uuid import UUID

from config.database import Database, Transaction
from config.vault import Place
from engine.ceremony.hashed_answer import hash_text, is_text, normalise_code
from engine.engine import Engine
from engine.model import EngineRecipient
from normalizer.recipient import AccessCode


async def seal_access_code(
    engine: Engine, store: Database | Transaction, tenant_id: UUID, recipient_id: UUID, code: AccessCode
) -> bytes:
    """What engine_recipients.access_code holds: the vault's ciphertext of the hash. Opens for this recipient only."""
    hashed = await hash_text(normalise_code(code.value))
    return await engine.vault.encrypt(store, tenant_id, _place(recipient_id), hashed.encode())


async def is_access_code(
    engine: Engine, store: Database | Transaction, tenant_id: UUID, recipient: EngineRecipient, given: str
) -> bool:
    """Never, when the recipient has no access code."""
    if recipient.access_code is None:
        return False
    hashed = await engine.vault.decrypt(store, tenant_id, _place(recipient.id), recipient.access_code)
    return await is_text(hashed.decode(), normalise_code(given))


def _place(recipient_id: UUID) -> Place:
    return Place("engine_recipients", "access_code", recipient_id)
