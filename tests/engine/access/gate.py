"""An engine on a test's own database, an envelope in flight, and the visitors who come to it."""

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from config.blobs import BlobStore, open_objects_at
from config.clock import FixedClock
from config.database import Transaction
from config.master_keys import LocalKeyWrapper
from config.settings import Settings
from config.settings_access import AccessSettings
from config.vault import Vault
from engine.ceremony.links import Link, find_link, make_link, start_session
from engine.ceremony.sessions import Session, StartedSession, find_session
from engine.engine import Engine
from engine.envelopes.visitor import Visitor
from engine.model import EngineEnvelope, EngineRecipient
from engine.store import load_envelope, lock_envelope
from ledger.personal import SubjectKeys
from normalizer.ids import Ids
from normalizer.recipient import AuthenticationMethod
from tests.fixtures.store import Store

TENANT = UUID(int=81)
OTHER_TENANT = UUID(int=91)
ENGINE_ID = UUID(int=82)
ENVELOPE = UUID(int=83)
ADA = UUID(int=84)
BEN = UUID(int=85)
LAPTOP = Visitor(ip_address="203.0.113.7", user_agent="Laptop/1.0")
PHONE = Visitor(ip_address="2001:db8:1:2::9", user_agent="Phone/2.0")


@dataclass
class Gate:
    """`emitted` keeps the engine's reports, `woken` the kinds of jobs that were woken."""

    store: Store
    clock: FixedClock
    engine: Engine
    emitted: list[bytes] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)

    async def envelope(self, engine_id: UUID = ENGINE_ID) -> EngineEnvelope:
        return await load_envelope(self.store.app, TENANT, engine_id)

    async def recipient(self, recipient_id: UUID = ADA) -> EngineRecipient:
        return (await self.envelope()).recipient(recipient_id)

    async def link(self, recipient_id: UUID = ADA) -> str:
        """The token of a fresh link."""
        async with self.store.app.transaction(TENANT) as tx:
            envelope = await lock_envelope(tx, TENANT, ENGINE_ID)
            url = await make_link(self.engine, tx, envelope, envelope.recipient(recipient_id))
            await tx.commit()
        return url.rpartition("/")[2]

    async def found(self, token: str, visitor: Visitor = LAPTOP) -> Link:
        link = await find_link(self.engine, token, visitor)
        assert link is not None
        return link

    async def started(self, visitor: Visitor = LAPTOP, recipient_id: UUID = ADA) -> StartedSession:
        return await start_session(
            self.engine, await self.found(await self.link(recipient_id), visitor), visitor
        )

    async def session(self, visitor: Visitor = LAPTOP, recipient_id: UUID = ADA) -> Session:
        return await self.again(await self.started(visitor, recipient_id), visitor)

    async def again(self, started: StartedSession, visitor: Visitor = LAPTOP) -> Session:
        session = await find_session(self.engine, started.handle, started.secret, visitor)
        assert session is not None
        return session

    async def set_envelope(self, **columns: Any) -> None:
        await self._set("engine_envelopes", "id", ENGINE_ID, columns)

    async def set_recipient(self, recipient_id: UUID = ADA, **columns: Any) -> None:
        await self._set("engine_recipients", "id", recipient_id, columns)

    async def methods(self, *methods: AuthenticationMethod, recipient_id: UUID = ADA) -> None:
        await self.set_recipient(
            recipient_id, authentication=[AuthenticationMethod.EMAIL.value, *(one.value for one in methods)]
        )

    def with_settings(self, **changes: Any) -> None:
        """The access settings with these changes, from now on."""
        settings = self.engine.settings
        access = msgspec.structs.replace(settings.access, **changes)
        self.engine = dataclasses.replace(
            self.engine, settings=msgspec.structs.replace(settings, access=access)
        )

    async def ledger(self) -> list[str]:
        rows = await self.store.hub.fetch("SELECT event_type FROM ledger_entries ORDER BY chain_id, seq")
        return [row["event_type"] for row in rows]

    async def _set(self, table: str, key: str, value: UUID, columns: dict[str, Any]) -> None:
        assigned = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, start=2))
        await self.store.hub.execute(
            f"UPDATE {table} SET {assigned} WHERE {key} = $1", value, *columns.values()
        )


async def open_gate(store: Store, folder: Path, **access: Any) -> Gate:
    clock = FixedClock()
    vault = Vault(LocalKeyWrapper([("test-1", os.urandom(32))]), clock)
    gate = Gate(store, clock, None)  # type: ignore[arg-type]

    async def emit(tx: Transaction, connection_id: UUID, body: bytes) -> None:
        gate.emitted.append(body)

    gate.engine = Engine(
        settings=Settings(access=AccessSettings(**access)),
        clock=clock,
        ids=Ids(clock.now),
        database=store.app,
        hub=store.hub,
        vault=vault,
        blobs=BlobStore(open_objects_at("memory:"), vault, store.app),
        subjects=SubjectKeys(vault, clock.monotonic),
        emit=emit,
        wake=gate.woken.append,
        pepper=os.urandom(32),
    )
    await _fill(store)
    return gate


async def _fill(store: Store) -> None:
    for tenant in (TENANT, OTHER_TENANT):
        await store.hub.execute("INSERT INTO tenants (id, name) VALUES ($1, 'Acme')", tenant)
    await store.hub.execute(
        "INSERT INTO engine_envelopes (tenant_id, id, connection_id, envelope_id, reference, status, subject,"
        " sender_name, sender_email, verification_code) VALUES ($1, $2, $3, $4, 'ref', 'sent', 'Lease', 'Sam',"
        " 'sam@acme.example', 'code-1')",
        TENANT,
        ENGINE_ID,
        UUID(int=86),
        ENVELOPE,
    )
    for number, (own, name) in enumerate(((ADA, "Ada"), (BEN, "Ben")), start=1):
        await store.hub.execute(
            "INSERT INTO engine_recipients (tenant_id, engine_id, id, position, name, email, role, routing_order,"
            " status, authentication, phone_country_code, phone_number) VALUES ($1, $2, $3, $4, $5, $6, 'signer', 1,"
            " 'sent', '{email}', '49', '1701234567')",
            TENANT,
            ENGINE_ID,
            own,
            number,
            name,
            f"{name.lower()}@client.example",
        )
