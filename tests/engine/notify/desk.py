"""An engine with nothing but what notices need, on a test's own database."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from config.blobs import BlobStore, open_objects_at
from config.clock import FixedClock
from config.database import Transaction
from config.master_keys import LocalKeyWrapper
from config.settings import Settings
from config.vault import Vault
from engine.engine import Engine
from engine.notify.notice import Notice, NoticeKind
from engine.notify.outbox import put_notice
from ledger.personal import SubjectKeys
from normalizer.ids import Ids
from tests.fixtures.store import Store

TENANT = UUID(int=71)
ENGINE_ID = UUID(int=72)
ENVELOPE = UUID(int=73)
RECIPIENT = UUID(int=74)
LINK = "https://sign.example/sign/Zm9vYmFyLXRva2Vu" + "x" * 120
CODE = "481516"


@dataclass
class Desk:
    """`woken` keeps the kinds of jobs that were woken, `emitted` the engine's reports."""

    store: Store
    clock: FixedClock
    engine: Engine
    woken: list[str] = field(default_factory=list)
    emitted: list[bytes] = field(default_factory=list)

    async def put(self, notice: Notice) -> UUID:
        async with self.store.app.transaction(TENANT) as tx:
            own = await put_notice(self.engine, tx, notice)
            await tx.commit()
        return own

    async def row(self, own: UUID):
        return await self.store.hub.fetchrow("SELECT * FROM engine_notices WHERE id = $1", own)

    async def make_due(self) -> None:
        """As if the pause were over: the database's clock cannot be advanced."""
        await self.store.hub.execute("UPDATE engine_notices SET due_at = now() WHERE state = 'waiting'")


async def open_desk(store: Store, folder: Path, settings: Settings | None = None) -> Desk:
    await store.hub.execute("INSERT INTO tenants (id, name) VALUES ($1, 'Acme')", TENANT)
    clock = FixedClock()
    vault = Vault(LocalKeyWrapper([("test", os.urandom(32))]), clock)
    woken: list[str] = []
    emitted: list[bytes] = []

    async def emit(_: Transaction, __: UUID, body: bytes) -> None:
        emitted.append(body)

    engine = Engine(
        settings=settings or Settings(),
        clock=clock,
        ids=Ids(clock.now),
        database=store.app,
        hub=store.hub,
        vault=vault,
        blobs=BlobStore(open_objects_at("memory:"), vault, store.app),
        subjects=SubjectKeys(vault, clock.monotonic),
        emit=emit,
        wake=woken.append,
        pepper=b"p" * 32,
    )
    return Desk(store, clock, engine, woken, emitted)


def make_request(**given) -> Notice:
    values = {
        "subject": "Framework agreement",
        "sender_name": "Grace Hopper",
        "sender_email": "grace@sender.example",
        "organisation": "Acme Ltd",
        "message": "Please sign by Friday.",
        "link": LINK,
        "expires_at": "2026-02-14T12:00:00Z",
    }
    return Notice(
        **{
            "kind": NoticeKind.SIGNING_REQUEST,
            "tenant_id": TENANT,
            "engine_id": ENGINE_ID,
            "envelope_id": ENVELOPE,
            "recipient_id": RECIPIENT,
            "address": "ada@signer.example",
            "name": "Ada Lovelace",
            "language": "en",
            "values": values,
        }
        | given
    )


def make_code(**given) -> Notice:
    return make_request(
        **{"kind": NoticeKind.CODE, "values": {"code": CODE, "minutes": "10", "organisation": "Acme Ltd"}}
        | given
    )
