"""An engine on the test's stores with one tenant and one connection, and what can be seen of its doings."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from config.clock import FixedClock
from config.settings import Settings
from config.vault import Place
from engine.engine import Engine
from engine.envelopes.create import create_envelope
from engine.envelopes.report import Message
from engine.model import EngineEnvelope
from engine.notify.notice import Notice
from engine.notify.outbox import content_place
from engine.store import load_envelope
from gateway.composition import open_services
from gateway.services import Services
from gateway.tenants.connections import ConnectionInput, create_connection
from gateway.tenants.tenants import TenantInput, create_tenant
from normalizer.document import Document
from normalizer.envelope import Envelope
from normalizer.recipient import Recipient
from tests.adapters.kit.fake_provider import MemoryBlobs
from tests.conformance.envelopes import contract
from tests.engine.envelopes.remembering import RememberingExaminers
from tests.gateway.world import OPERATOR


@dataclasses.dataclass
class Desk:
    services: Services
    engine: Engine
    tenant_id: UUID
    connection_id: UUID
    clock: FixedClock
    woken: list[str]

    async def envelope(self, *people: Recipient, **changes: Any) -> Envelope:
        """As the gateway hands it over: its documents are stored."""
        memory = MemoryBlobs()
        made = contract(memory, *people, tenant_id=self.tenant_id, **changes)
        documents = [
            await self.stored(one, memory) if one.blob_key in memory.stored else one for one in made.documents
        ]
        return msgspec.structs.replace(made, documents=tuple(documents))

    async def stored(self, document: Document, memory: MemoryBlobs) -> Document:
        content = memory.stored[document.blob_key]

        async def chunks() -> AsyncIterator[bytes]:
            yield content

        kept = await self.engine.blobs.put(self.tenant_id, chunks())
        return msgspec.structs.replace(document, blob_key=kept.key)

    async def sent(self, *people: Recipient, **changes: Any) -> UUID:
        return await self.create(await self.envelope(*people, **changes))

    async def create(self, envelope: Envelope, *, send: bool = True) -> UUID:
        return await create_envelope(self.engine, self.connection_id, envelope, send=send)

    async def load(self, own: UUID) -> EngineEnvelope:
        return await load_envelope(self.engine.database, self.tenant_id, own)

    async def letters(self) -> list[Notice]:
        """Everything that waits to be sent, in order."""
        rows = await self.services.hub.fetch(
            "SELECT id, content FROM engine_notices WHERE state = 'waiting' ORDER BY id"
        )
        return [
            msgspec.json.decode(await self._open(content_place(row["id"]), row["content"]), type=Notice)
            for row in rows
        ]

    async def mailed(self) -> list[tuple[str, str]]:
        return [(one.kind.value, one.address) for one in await self.letters()]

    async def token(self, address: str) -> str:
        """Of the newest link that was sent there."""
        links = [one.values["link"] for one in await self.letters() if one.address == address]
        return links[-1].rpartition("/")[2]

    async def reports(self) -> list[Message]:
        rows = await self.services.hub.fetch("SELECT id, body FROM inbox_messages ORDER BY id")
        return [
            msgspec.json.decode(
                await self._open(Place("inbox_messages", "body", row["id"]), row["body"]), type=Message
            )
            for row in rows
        ]

    async def words(self) -> list[str]:
        return [str(one.word) for message in await self.reports() for one in message.happenings]

    async def _open(self, place: Place, sealed: bytes) -> bytes:
        return await self.services.vault.decrypt(self.services.hub, self.tenant_id, place, sealed)


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    async with open_services(settings, name="test") as services:
        tenant = await create_tenant(services, OPERATOR, TenantInput(name="Acme"))
        made = await create_connection(
            services, OPERATOR, tenant.id, ConnectionInput(provider="internal", credentials={})
        )
        woken: list[str] = []
        clock = FixedClock(datetime.now(UTC))
        examiners = RememberingExaminers()
        engine = dataclasses.replace(services.engine, clock=clock, wake=woken.append, examiners=examiners)
        try:
            yield Desk(services, engine, tenant.id, made.id, clock, woken)
        finally:
            await examiners.aclose()
