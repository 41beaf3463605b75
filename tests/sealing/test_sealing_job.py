"""What keeps an envelope in sealing: nothing is completed without its seals, and it is tried again, for ever."""

import dataclasses
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest_asyncio

from config.secret import Secret
from engine.development.authority_keys import Authority, open_authority
from engine.model import EngineStatus
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.job import seal_due
from engine.sealing.sealer import Sealer
from engine.sealing.signer import LocalKey, SealingKey
from tests.engine.envelopes.desk import Desk, open_desk
from tests.engine.envelopes.people import sign, view
from tests.gateway.world import make_settings
from tests.sealing.authority import local_tools, seal_key
from tests.sealing.papers import scribble
from tests.sealing.unanswered import Unanswered

ANN = "ann@people.example"


class Keys:
    """One key, and how often it was asked for."""

    def __init__(self, key: SealingKey) -> None:
        self.key = key

    async def key_for_seal(self, tenant_id: uuid.UUID) -> SealingKey:
        return self.key

    async def key_for_signer(self, *_: uuid.UUID) -> SealingKey:
        raise SealingFailed(SealTrouble.CERTIFICATE_MISSING, "none")


class Stubborn:
    """An authority that is away until it is told to come back."""

    name = "stubborn"

    def __init__(self, authority: Authority) -> None:
        from engine.sealing.sealer import OwnStamps

        self.inner = OwnStamps(authority)
        self.trouble: SealTrouble | None = SealTrouble.TIMESTAMP_UNAVAILABLE
        self.tasks = 0

    async def ask(self, query: bytes) -> bytes:
        if self.trouble is not None:
            raise SealingFailed(self.trouble, "the test says so")
        return await self.inner.ask(query)


@pytest_asyncio.fixture
async def desk(store, redis_url: Secret, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(make_settings(store, redis_url, tmp_path)) as opened:
        yield opened


def sealer_with(desk: Desk, authority: Authority, *, stamps=None, key: LocalKey | None = None) -> Sealer:
    tools = local_tools(authority, clock=desk.clock)
    if stamps is not None:
        from engine.sealing.timestamps import Timestamps

        tools = msgspec.structs.replace(
            tools, timestamps=Timestamps([stamps], desk.clock, rest_s=0.001, roots=tools.timestamps.roots)
        )
    return Sealer(tools, Keys(key or seal_key(authority)), most_at_once=2)


async def waiting(desk: Desk) -> uuid.UUID:
    """An envelope that its only signer has finished, with a drawn signature in its field."""
    from tests.conformance.envelopes import person

    engine_id = await desk.sent(person("ann", 1))
    await view(desk.engine, desk.tenant_id, engine_id, ANN)
    envelope = await desk.load(engine_id)
    picture = scribble()

    async def chunks() -> AsyncIterator[bytes]:
        yield picture

    blob = await desk.engine.blobs.put(desk.tenant_id, chunks())
    signature = desk.engine.ids.new()
    async with desk.engine.database.transaction(desk.tenant_id) as tx:
        await tx.driver.execute(
            "INSERT INTO signatures (tenant_id, id, engine_id, recipient_id, type, blob_key, sha256, width, height,"
            " text) VALUES ($1, $2, $3, $4, 'draw', $5, $6, 300, 90, '')",
            desk.tenant_id, signature, engine_id, envelope.recipients[0].id, blob.key, blob.sha256,
        )  # fmt: skip
        await tx.driver.execute(
            "UPDATE engine_fields SET signature_id = $3, completed_at = now() WHERE tenant_id = $1 AND engine_id = $2",
            desk.tenant_id, engine_id, signature,
        )  # fmt: skip
        await tx.commit()
    await sign(desk.engine, desk.tenant_id, engine_id, ANN)
    return engine_id


async def make_due(desk: Desk) -> None:
    await desk.services.hub.execute(
        "UPDATE engine_envelopes SET seal_due_at = now() WHERE status = 'sealing'"
    )


async def test_an_envelope_whose_timestamps_are_away_stays_in_sealing_and_completes_when_they_are_back(
    desk, authority
):
    engine_id = await waiting(desk)
    stamps = Stubborn(authority)
    sealer = sealer_with(desk, authority, stamps=stamps)
    for attempt in range(1, 4):
        assert await seal_due(desk.engine, sealer) == 0
        stays = await desk.load(engine_id)
        assert (stays.status, stays.seal_error, stays.seal_attempts) == (
            EngineStatus.SEALING,
            "timestamp_unavailable",
            attempt,
        )
        assert stays.seal_due_at is not None
        assert all(one.sealed_blob_key == "" for one in stays.documents)
        assert await seal_due(desk.engine, sealer) == 0, "it is not due yet"
        await make_due(desk)
        desk.clock.advance(timedelta(seconds=1))
    assert "envelope.completed" not in await desk.words()
    assert [kind for kind, _ in await desk.mailed()].count("sealing_delayed") == 1
    stamps.trouble = None
    assert await seal_due(desk.engine, sealer) == 1
    done = await desk.load(engine_id)
    assert (done.status, done.seal_error) == (EngineStatus.COMPLETED, "")
    assert [one.startswith("envelope") and one.endswith("completed") for one in await desk.words()].count(
        True
    ) == 1


async def test_a_pause_grows_with_the_attempts_and_its_last_length_repeats(desk, authority):
    engine_id = await waiting(desk)
    sealer = sealer_with(desk, authority, stamps=Stubborn(authority))
    pauses = []
    for _ in range(7):
        await seal_due(desk.engine, sealer)
        pauses.append(
            await desk.services.hub.fetchval(
                "SELECT round(extract(epoch FROM seal_due_at - updated_at))::int FROM engine_envelopes WHERE id = $1",
                engine_id,
            )
        )
        await make_due(desk)
        desk.clock.advance(timedelta(seconds=1))
    assert pauses == [10, 60, 300, 900, 3600, 3600, 3600]


async def test_a_rejected_token_never_becomes_a_seal_without_one(desk, authority):
    engine_id = await waiting(desk)
    stamps = Stubborn(authority)
    stamps.trouble = SealTrouble.TIMESTAMP_REJECTED
    assert await seal_due(desk.engine, sealer_with(desk, authority, stamps=stamps)) == 0
    stays = await desk.load(engine_id)
    assert (stays.status, stays.seal_error) == (EngineStatus.SEALING, "timestamp_rejected")


async def test_an_expired_certificate_leaves_the_envelope_in_sealing(desk, authority):
    engine_id = await waiting(desk)
    expired = authority.issue("Countersign DEVELOPMENT expired", days=-10)
    key = LocalKey(expired.certificate, (authority.issuing.certificate,), expired.key)
    assert await seal_due(desk.engine, sealer_with(desk, authority, key=key)) == 0
    stays = await desk.load(engine_id)
    assert (stays.status, stays.seal_error) == (EngineStatus.SEALING, "certificate_expired")


async def test_a_document_that_is_not_the_one_shown_is_not_sealed(desk, authority):
    engine_id = await waiting(desk)
    await desk.services.hub.execute(
        "UPDATE engine_documents SET sha256 = repeat('0', 64) WHERE engine_id = $1", engine_id
    )
    assert await seal_due(desk.engine, sealer_with(desk, authority)) == 0
    assert (await desk.load(engine_id)).seal_error == "document_changed"


async def test_a_blob_store_that_is_away_leaves_the_envelope_in_sealing_and_no_file_behind(desk, authority):
    from config.errors import StoreUnavailable

    class Away:
        """Reads, and refuses the second file that is put."""

        def __init__(self, blobs) -> None:
            self.blobs, self.kept, self.deleted = blobs, [], []

        def open(self, *given):
            return self.blobs.open(*given)

        async def put(self, tenant_id, chunks):
            if self.kept:
                raise StoreUnavailable("away")
            blob = await self.blobs.put(tenant_id, chunks)
            self.kept.append(blob.key)
            return blob

        async def delete(self, tenant_id, key):
            self.deleted.append(key)
            await self.blobs.delete(tenant_id, key)

    engine_id = await waiting(desk)
    away = Away(desk.engine.blobs)
    engine = dataclasses.replace(desk.engine, blobs=away)
    assert await seal_due(engine, sealer_with(desk, authority)) == 0
    stays = await desk.load(engine_id)
    assert (stays.status, stays.seal_error) == (EngineStatus.SEALING, "store_unavailable")
    assert away.deleted == away.kept != []


async def test_a_worker_whose_lease_ran_out_completes_nothing(desk, authority):
    """Another worker takes the envelope while the first one waits for its timestamp."""
    engine_id = await waiting(desk)

    class Slow(Stubborn):
        async def ask(self, query: bytes) -> bytes:
            self.tasks += 1
            return await self.inner.ask(query)

    slow = Slow(authority)
    sealer = sealer_with(desk, authority, stamps=slow)
    inner = sealer.keys.key_for_seal

    async def taken_over(tenant_id: uuid.UUID) -> SealingKey:
        await desk.services.hub.execute("UPDATE engine_envelopes SET seal_attempts = seal_attempts + 1")
        return await inner(tenant_id)

    sealer.keys.key_for_seal = taken_over
    assert await seal_due(desk.engine, sealer) == 0
    stays = await desk.load(engine_id)
    assert stays.status is EngineStatus.SEALING
    assert await desk.services.hub.fetchval("SELECT count(*) FROM engine_seals") == 0
    sealer.keys.key_for_seal = inner
    await make_due(desk)
    assert await seal_due(desk.engine, sealer) == 1


async def test_two_workers_seal_one_envelope_once(desk, authority):
    import asyncio

    engine_id = await waiting(desk)
    sealer = sealer_with(desk, authority)
    assert sum(await asyncio.gather(*(seal_due(desk.engine, sealer) for _ in range(3)))) == 1
    rows = await desk.services.hub.fetch(
        "SELECT part FROM engine_seals WHERE engine_id = $1 ORDER BY part", engine_id
    )
    assert [row["part"] for row in rows] == ["certificate", "document"]


async def test_sealing_leaves_no_document_in_clear_on_the_disk(desk, authority, tmp_path, monkeypatch):
    import tempfile

    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    await waiting(desk)
    assert await seal_due(desk.engine, sealer_with(desk, authority)) == 1
    assert list(folder.rglob("*")) == []


async def test_a_sealed_archive_is_renewed_before_its_proof_expires_and_every_version_stays_known(
    desk, tmp_path
):
    from config.settings_sealing import SealLevel
    from engine.sealing.renew import renew_due
    from engine.sealing.timestamps import HttpAuthority, Timestamps
    from tests.sealing.authority import root_of, served_authority

    with served_authority(tmp_path / "live") as (url, live):
        tools = local_tools(live, level=SealLevel.AUTO, clock=desk.clock)
        stamps = Timestamps(
            [HttpAuthority(f"{url}/tsa", timeout_s=5)], desk.clock, rest_s=1, roots=[root_of(live)]
        )
        sealer = Sealer(
            msgspec.structs.replace(tools, timestamps=stamps),
            Keys(seal_key(open_authority(live.folder))),
            most_at_once=1,
        )
        engine_id = await waiting(desk)
        assert await seal_due(desk.engine, sealer) == 1
        before = await desk.load(engine_id)
        hub = desk.services.hub
        assert {row["level"] for row in await hub.fetch("SELECT level FROM engine_seals")} == {"B-LTA"}
        assert await renew_due(desk.engine, sealer) == 0
        await hub.execute("UPDATE engine_seals SET renew_at = now() - interval '1 minute'")
        assert await renew_due(desk.engine, sealer) == 2
        assert await renew_due(desk.engine, sealer) == 0
    after = await desk.load(engine_id)
    assert after.documents[0].sealed_sha256 != before.documents[0].sealed_sha256
    assert after.certificate_sha256 != before.certificate_sha256
    assert after.combined_sha256 == after.documents[0].sealed_sha256
    old = await desk.engine.blobs.read(desk.tenant_id, before.documents[0].sealed_blob_key)
    new = await desk.engine.blobs.read(desk.tenant_id, after.documents[0].sealed_blob_key)
    assert new.startswith(old)
    known = {row["sha256"] for row in await hub.fetch("SELECT sha256 FROM engine_seals")}
    assert {before.documents[0].sealed_sha256, after.documents[0].sealed_sha256} <= known
    assert (
        await hub.fetchval(
            "SELECT count(*) FROM ledger_entries WHERE event_type = 'archive_timestamp_renewed'"
        )
        == 2
    )


async def test_a_file_that_cannot_be_renewed_for_whatever_reason_keeps_no_other_from_it(
    desk, authority, tmp_path, caplog
):
    from engine.sealing.renew import renew_due

    await waiting(desk)
    sealer = sealer_with(desk, authority)
    assert await seal_due(desk.engine, sealer) == 1
    hub = desk.services.hub
    await hub.execute("UPDATE engine_seals SET renew_at = now() - interval '1 minute'")
    asked: list[uuid.UUID] = []

    class Faulty:
        """Stands before the store, whose blobs it cannot find, in a way that nobody foresaw."""

        def open(self, tenant_id: uuid.UUID, key: str) -> AsyncIterator[bytes]:
            asked.append(tenant_id)
            raise LookupError("a fault of ours")

    engine = dataclasses.replace(desk.engine, blobs=Faulty())
    assert await renew_due(engine, sealer) == 0
    assert len(asked) == await hub.fetchval("SELECT count(*) FROM engine_seals") > 1
    assert "a fault of ours" in caplog.text


async def test_files_whose_completion_was_written_without_an_answer_are_kept(desk, authority):
    """The connection is lost while COMMIT is answered: the envelope is completed, and nobody knows it yet."""
    engine_id = await waiting(desk)
    engine = dataclasses.replace(desk.engine, database=Unanswered(desk.engine.database))
    assert await seal_due(engine, sealer_with(desk, authority)) == 0
    done = await desk.load(engine_id)
    assert done.status is EngineStatus.COMPLETED
    for key in (done.documents[0].sealed_blob_key, done.certificate_blob_key):
        assert (await desk.engine.blobs.read(desk.tenant_id, key)).startswith(b"%PDF")
