"""`bench`: an engine on the test's stores with one tenant, its examiners, and a way to put documents in."""

import asyncio
import dataclasses
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest_asyncio

from config.settings import Settings
from engine.documents.examine import Examination, examine_document
from engine.documents.examiners import Examiners
from engine.documents.messages import Answer, Task
from engine.engine import Engine
from gateway.composition import open_services
from gateway.services import Services
from gateway.tenants.tenants import TenantInput, create_tenant
from tests.gateway.world import OPERATOR


@dataclasses.dataclass
class Bench:
    services: Services
    engine: Engine
    tenant_id: UUID

    async def store(self, content: bytes) -> str:
        async def once() -> AsyncIterator[bytes]:
            yield content

        return (await self.engine.blobs.put(self.tenant_id, once())).key

    async def examine(self, content: bytes, **given: Any) -> Examination:
        key = await self.store(content)
        digest = hashlib.sha256(content).hexdigest()
        return await examine_document(self.engine, self.tenant_id, key, digest, **given)

    async def bytes_of(self, examined: Examination) -> bytes:
        return await self.engine.blobs.read(self.tenant_id, examined.blob_key)


class Watched(Examiners):
    """Remembers what each examination took."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Answer] = []

    async def run(self, task: Task) -> Answer:
        answer = await super().run(task)
        self.answers.append(answer)
        return answer


async def _emit(*_: object) -> None:
    raise AssertionError("an examination reports nothing to the gateway")


def build_engine(services: Services, examiners: Examiners) -> Engine:
    return Engine(
        settings=services.settings,
        clock=services.clock,
        ids=services.ids,
        database=services.database,
        hub=services.hub,
        vault=services.vault,
        blobs=services.blobs,
        subjects=services.subjects,
        emit=_emit,
        wake=lambda _: None,
        pepper=b"a pepper of the tests",
        examiners=examiners,
    )


@asynccontextmanager
async def open_bench(settings: Settings) -> AsyncIterator[Bench]:
    async with open_services(settings, name="test") as services:
        tenant = await create_tenant(services, OPERATOR, TenantInput(name="Acme"))
        examiners = Watched()
        try:
            yield Bench(services, build_engine(services, examiners), tenant.id)
        finally:
            await asyncio.shield(examiners.aclose())


@pytest_asyncio.fixture
async def bench(gateway_settings: Settings) -> AsyncIterator[Bench]:
    async with open_bench(gateway_settings) as opened:
        yield opened
