"""How to act in the built-in engine: in this process, on the test's own database, by the engine's functions."""

import asyncio
import dataclasses
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from uuid import UUID

import httpx
import msgspec

from adapters.kit.executor import Executor
from adapters.kit.outcome import Outcome
from adapters.kit.port import Adapter, Connection, InProcess, RawRequest
from config.database import Database, Transaction
from config.errors import StoreUnavailable
from config.secret import Secret
from config.settings import Settings
from engine.ceremony.embedding import EmbeddingLists, save_embedding
from engine.engine import Engine
from engine.envelopes.due import expire_due
from gateway.composition import open_services
from gateway.services import Services
from gateway.tenants.connections import ConnectionInput, create_connection
from gateway.tenants.tenants import TenantInput, create_tenant
from normalizer.document import Document
from normalizer.envelope import Envelope
from tests.conformance.envelopes import TENANT
from tests.conformance.stage import RETURN_URL, Receiver, Stage
from tests.engine.envelopes import people
from tests.engine.envelopes.remembering import RememberingExaminers
from tests.gateway.world import OPERATOR, World

_NO_WIRE = "there is no wire between the gateway and the engine"
_NO_TOKEN = "the engine gives no tokens and takes no credentials"
_NO_REGISTRATION = "the engine reports in its own transaction: there is no registration to switch off"
_NO_POST = "the engine's reports come inside its own transaction; every post is refused"


class ProviderHand:
    operations: ClassVar[dict[str, str]] = {"create": "create_envelope"}
    template_ref = ""
    template_roles: tuple[str, ...] = ()
    # What cannot be asked of a provider in this process, and why; tests/adapters/internal has what stands for it.
    unfit: ClassVar[dict[str, str]] = {
        "test_create_answered_by_a_proxys_page_is_unknown_and_never_repeated": _NO_WIRE,
        "test_read_answered_by_a_proxys_page_is_repeated": _NO_WIRE,
        "test_throttled_create_makes_nothing_and_says_how_long_to_wait": _NO_WIRE,
        "test_token_that_expires_before_the_create_costs_nothing_but_a_refresh": _NO_TOKEN,
        "test_token_that_expires_in_the_middle_is_refreshed_once_for_all": _NO_TOKEN,
        "test_refused_credentials_need_a_person": _NO_TOKEN,
        "test_credentials_that_are_incomplete_are_refused_without_showing_them": _NO_TOKEN,
        "test_secret_credentials_are_declared_as_secret": _NO_TOKEN,
        "test_forged_post_is_refused_and_not_acknowledged": _NO_POST,
        "test_webhooks_of_a_fresh_envelope_are_found_well": _NO_REGISTRATION,
        "test_webhook_that_is_switched_off_is_found_and_mended_and_brings_messages_again": _NO_REGISTRATION,
        "test_repair_of_what_is_well_by_now_does_no_harm": _NO_REGISTRATION,
        "test_look_at_webhooks_changes_nothing": _NO_REGISTRATION,
        "test_webhooks_that_lead_to_others_are_left_alone": _NO_REGISTRATION,
        "test_signed_post_with_any_byte_changed_is_refused": _NO_POST,
    }

    def __init__(self, _: str) -> None:
        self.engine: Engine | None = None
        self.faults: list[tuple[str, str, float]] = []
        self.is_store_lost = False
        self.is_told_twice = False

    @property
    def _engine(self) -> Engine:
        assert self.engine is not None
        return self.engine

    async def view(self, ref: str, email: str) -> None:
        await people.view(self._engine, TENANT, UUID(ref), email)

    async def sign(self, ref: str, email: str) -> None:
        await people.sign(self._engine, TENANT, UUID(ref), email)
        await people.seal(self._engine, TENANT, UUID(ref))

    async def decline(self, ref: str, email: str, reason: str) -> None:
        await people.decline(self._engine, TENANT, UUID(ref), email, reason)

    async def break_webhooks(self, url: str, ref: str) -> None:
        raise NotImplementedError(_NO_REGISTRATION)

    async def expire(self, ref: str) -> None:
        await self._engine.hub.execute(
            "UPDATE engine_envelopes SET expires_at = now() - interval '1 second' WHERE id = $1", UUID(ref)
        )
        assert await expire_due(self._engine) == 1

    async def break_next(self, kind: str, operation: str, *, seconds: float = 0, count: int = 1) -> None:
        if kind == "duplicate_webhook":
            self.is_told_twice = True
        elif operation in self.operations:
            self.faults += [(kind, self.operations[operation], seconds)] * count
        else:  # what other providers ask before they are asked for anything: here it is the store
            self.is_store_lost = True

    async def heal(self) -> None:
        self.faults.clear()
        self.is_store_lost = self.is_told_twice = False

    def spoil_credentials(self, credentials: dict[str, Any]) -> dict[str, Any]:
        return credentials

    def forgeries(self, post: RawRequest) -> list[RawRequest]:
        return [post]


class BreakableDatabase(Database):
    """Fails as the hand says: at the beginning of a transaction, or at the commit that makes an envelope."""

    hand: ProviderHand

    def transaction(self, tenant_id: UUID | None = None) -> Transaction:
        if self.hand.is_store_lost:
            raise StoreUnavailable("the store is away")
        transaction = BreakableTransaction(self._pool, tenant_id)
        transaction.hand = self.hand
        return transaction


class BreakableTransaction(Transaction):
    hand: ProviderHand

    async def commit(self) -> None:
        if not self.hand.faults or not await self._makes_envelope():
            await super().commit()
            return
        kind, _, seconds = self.hand.faults.pop(0)
        if kind == "reset_before":
            await self.rollback()
        else:
            await super().commit()
        if kind == "timeout_after_accept":
            await asyncio.sleep(seconds)
        raise StoreUnavailable("no answer to COMMIT", outcome_unknown=True)

    async def _makes_envelope(self) -> bool:
        makes: bool = await self.driver.fetchval(
            "SELECT EXISTS (SELECT FROM engine_envelopes WHERE tenant_id = $1 AND updated_at = now())",
            self.tenant_id,
        )
        return makes


class TellReceiver:
    """The engine's reports, to where other providers' posts arrive."""

    def __init__(self, receiver: Receiver, hand: ProviderHand) -> None:
        self._receiver = receiver
        self._hand = hand

    async def __call__(self, tx: Transaction, connection_id: UUID, body: bytes) -> None:
        post = RawRequest(method="POST", headers=(), body=body)
        is_end = b'"envelope_completed"' in body

        async def tell() -> None:
            await self._receiver.take([post, post] if is_end and self._hand.is_told_twice else [post])

        tx.on_commit(tell)


class InProcessStage(Stage):
    """Documents of a test lie in memory: they are put where the engine reads, and what comes down is taken back."""

    services: Services

    async def outcome(self, name: str, *arguments: Any, deadline_s: float = 20.0) -> Outcome[Any]:
        known = [await self._stored(one) if isinstance(one, Envelope) else one for one in arguments]
        ended = await super().outcome(name, *known, deadline_s=deadline_s)
        if name == "download" and (saved := getattr(ended, "value", None)) is not None:
            self.blobs.stored[saved.key] = await self.services.blobs.read(TENANT, saved.key)
        return ended

    async def open_page(self, url: str) -> httpx.Response:
        async with (
            World(self.services) as world,
            httpx.AsyncClient(transport=httpx.ASGITransport(world.app)) as client,
        ):
            return await client.get(url)

    async def _stored(self, envelope: Envelope) -> Envelope:
        documents = [await self._put(one) for one in envelope.documents]
        return msgspec.structs.replace(envelope, documents=tuple(documents))

    async def _put(self, document: Document) -> Document:
        content = self.blobs.stored[document.blob_key]

        async def chunks() -> AsyncIterator[bytes]:
            yield content

        kept = await self.services.blobs.put(TENANT, chunks())
        assert kept.sha256 == hashlib.sha256(content).hexdigest()
        return msgspec.structs.replace(document, blob_key=kept.key)


@asynccontextmanager
async def open_in_process(adapter: Adapter, settings: Settings, hand: ProviderHand) -> AsyncIterator[Stage]:
    receiver = Receiver(adapter)
    assert settings.database.url is not None
    breakable = BreakableDatabase.on_demand(Secret(settings.database.url.reveal()), pool_size=6)
    breakable.hand = hand
    async with open_services(settings, name="test") as services, breakable:
        examiners = RememberingExaminers()
        engine = dataclasses.replace(
            services.engine,
            database=breakable,
            emit=TellReceiver(receiver, hand),
            wake=lambda _: None,
            examiners=examiners,
        )
        hand.engine = engine
        assert isinstance(adapter, InProcess)
        stage = InProcessStage(
            adapter.bind(engine), await _connect(services, adapter), Executor(), hand, receiver
        )
        stage.services = services
        receiver.connection = stage.connection
        try:
            yield stage
        finally:
            await stage.executor.aclose()
            await examiners.aclose()


async def _connect(services: Services, adapter: Adapter) -> Connection:
    await create_tenant(services, OPERATOR, TenantInput(name="Conformance"), TENANT)
    made = await create_connection(
        services, OPERATOR, TENANT, ConnectionInput(provider=adapter.name, credentials={})
    )
    async with services.database.transaction(TENANT) as tx:
        await save_embedding(tx, TENANT, EmbeddingLists(origins=(), return_urls=(RETURN_URL,)))
        await tx.commit()
    return Connection(id=str(made.id), tenant_id=str(TENANT), credentials=adapter.decode_credentials(b"{}"))
