"""Which key seals for a tenant and which signs for a recipient, out of the store.

A tenant that has put a certificate for seals into the store is sealed for with that and nothing else: one that has
ended or was revoked stops the sealing and is not replaced by the installation's in silence.
"""

from uuid import UUID

from engine.certificates.model import Purpose
from engine.certificates.open_key import get_signing_certificate, open_key
from engine.engine import Engine
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.keys import SealingKeys
from engine.sealing.signer import SealingKey
from engine.store import load_envelope


class StoreKeys:
    """Implements SealingKeys. `installation` has the key of tenants without one of their own."""

    def __init__(self, engine: Engine, installation: SealingKeys) -> None:
        self._engine = engine
        self._installation = installation

    async def key_for_seal(self, tenant_id: UUID) -> SealingKey:
        try:
            stored = await get_signing_certificate(self._engine, tenant_id, purpose=Purpose.SEAL)
        except SealingFailed as failed:
            if failed.trouble is SealTrouble.CERTIFICATE_MISSING:
                return await self._installation.key_for_seal(tenant_id)
            raise
        return await open_key(self._engine, stored)

    async def key_for_signer(self, tenant_id: UUID, engine_id: UUID, recipient_id: UUID) -> SealingKey:
        envelope = await load_envelope(self._engine.database, tenant_id, engine_id)
        owner = envelope.recipient(recipient_id).email.lower()
        stored = await get_signing_certificate(self._engine, tenant_id, owner)
        return await open_key(self._engine, stored)
