"""How a recipient's secrets are kept; which methods are asked for is engine/ceremony/methods.py's.

Must never keep an access code or an answer: their hashes are kept, sealed by the vault.
"""

from uuid import UUID

from engine.ceremony.access_code import seal_access_code
from engine.ceremony.knowledge import seal_knowledge
from engine.engine import Engine
from normalizer.recipient import Recipient


async def seal_secrets(
    engine: Engine, tenant_id: UUID, recipient: Recipient
) -> tuple[bytes | None, bytes | None]:
    """(access code, knowledge) as they are stored for this recipient; None for what was not given."""
    code = knowledge = None
    if recipient.access_code is not None:
        code = await seal_access_code(engine, engine.database, tenant_id, recipient.id, recipient.access_code)
    if recipient.knowledge:
        knowledge = await seal_knowledge(
            engine, engine.database, tenant_id, recipient.id, recipient.knowledge
        )
    return code, knowledge
