"""The blob store goes away and comes back: what is held, what is refused, and that nothing is lost or doubled."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from config.blob_objects import Objects
from config.blob_spool import Spool, SpoolFull
from config.blobs import BlobStore, open_blobs, open_objects_at
from config.breaker import BreakerOptions, Breakers, State
from config.clock import FixedClock
from config.errors import BlobNotFound, StoreUnavailable
from config.master_keys import LocalKeyWrapper
from config.settings import GeneralSettings, Mode, Settings
from config.settings_spool import SpoolSettings
from config.vault import Vault
from tests.config.object_server import CREDENTIALS, ObjectServer
from tests.fixtures.store import Store

TENANT = UUID(int=78)
SMALL, LARGE = 10_000, 3_000_000


@pytest.fixture
def server():
    """Away, until it is started."""
    made = ObjectServer()
    yield made
    made.kill()


class Desk:
    def __init__(
        self, store: Store, url: str, folder: Path, *, most_files: int = 10, most_bytes: int = 50_000_000
    ):
        self.clock = FixedClock()
        options = BreakerOptions(window_s=60, minimum_calls=4, open_s=30, longest_open_s=30)
        self.breakers = Breakers(self.clock, options)
        config = {
            **CREDENTIALS,
            "endpoint": url,
            "region": "us-east-1",
            "virtual_hosted_style_request": False,
        }
        opened = open_objects_at("s3://spooled", config, allow_http=True)
        self.objects = Objects(opened, breakers=self.breakers, timeout_s=2.0)
        self.spool = Spool(folder, most_bytes=most_bytes, most_files=most_files)
        vault = Vault(LocalKeyWrapper([("test", os.urandom(32))]), self.clock)
        self.blobs = BlobStore(self.objects, vault, store.app, spool=self.spool)
        self.bare = BlobStore(self.objects, vault, store.app)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def desk(store: Store, server: ObjectServer, folder: Path) -> Desk:
    return Desk(store, server.url, folder)


async def parts(content: bytes, size: int = 50_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_document_is_taken_while_the_store_is_away_and_moved_when_it_is_back(
    desk: Desk, server: ObjectServer, folder: Path, size: int
) -> None:
    content = os.urandom(size)
    stored = await desk.blobs.put(TENANT, parts(content))
    assert stored.size == size
    assert await desk.blobs.read(TENANT, stored.key) == content
    tail = b"".join([frame async for frame in desk.blobs.open(TENANT, stored.key, size - 100)])
    assert tail == content[-100:]
    (held,) = files(folder)
    assert content[:100] not in held.read_bytes()
    assert held.stat().st_mode & 0o777 == 0o600
    assert await desk.blobs.move_spooled() == 0
    server.start()
    desk.clock.advance(30)
    assert await desk.blobs.move_spooled() == 1
    assert files(folder) == []
    assert server.held() == [stored.key]
    assert await desk.blobs.read(TENANT, stored.key) == content


async def test_file_that_cannot_be_read_keeps_no_other_in_the_spool(
    desk: Desk, server: ObjectServer, folder: Path, caplog
) -> None:
    unreadable = folder / f"{TENANT}_00_{'0' * 30}"
    unreadable.mkdir(parents=True)
    os.utime(unreadable, (0, 0))  # the oldest: its turn comes first
    stored = await desk.blobs.put(TENANT, parts(os.urandom(SMALL)))
    server.start()
    desk.clock.advance(30)
    assert await desk.blobs.move_spooled() == 1
    assert server.held() == [stored.key]
    assert files(folder) == [unreadable]
    assert unreadable.name.replace("_", "/") in caplog.text


async def test_healthy_store_leaves_nothing_in_the_spool(
    desk: Desk, server: ObjectServer, folder: Path
) -> None:
    server.start()
    for size in (SMALL, LARGE):
        await desk.blobs.put(TENANT, parts(os.urandom(size)))
    assert files(folder) == []
    assert len(server.held()) == 2


async def test_store_that_is_killed_in_the_middle_of_an_upload_costs_no_document(
    desk: Desk, server: ObjectServer
) -> None:
    server.start()
    content = os.urandom(20_000_000)

    async def cut() -> AsyncIterator[bytes]:
        async for part in parts(content[:10_000_000], 1_000_000):
            yield part
        await asyncio.to_thread(server.kill)
        async for part in parts(content[10_000_000:], 1_000_000):
            yield part

    stored = await desk.blobs.put(TENANT, cut())
    assert await desk.blobs.read(TENANT, stored.key) == content
    server.start()
    desk.clock.advance(30)
    assert await desk.blobs.move_spooled() == 1
    assert await desk.bare.read(TENANT, stored.key) == content


async def test_document_is_refused_when_the_spool_is_full(
    store: Store, server: ObjectServer, folder: Path
) -> None:
    desk = Desk(store, server.url, folder, most_files=2)
    for _ in range(2):
        await desk.blobs.put(TENANT, parts(os.urandom(SMALL)))
    for size in (SMALL, LARGE):
        with pytest.raises(StoreUnavailable):
            await desk.blobs.put(TENANT, parts(os.urandom(size)))
    assert len(files(folder)) == 2


async def test_document_that_does_not_fit_into_the_spools_bytes_is_refused_and_leaves_nothing(
    store: Store, server: ObjectServer, folder: Path
) -> None:
    desk = Desk(store, server.url, folder, most_bytes=1_000_000)
    for size in (LARGE, 12_000_000):
        with pytest.raises(StoreUnavailable):
            await desk.blobs.put(TENANT, parts(os.urandom(size)))
    assert files(folder) == []


async def test_document_is_refused_without_a_spool(desk: Desk, server: ObjectServer) -> None:
    with pytest.raises(StoreUnavailable):
        await desk.bare.put(TENANT, parts(os.urandom(SMALL)))


async def test_stream_that_fails_leaves_nothing_in_the_spool(
    desk: Desk, server: ObjectServer, folder: Path
) -> None:

    async def broken() -> AsyncIterator[bytes]:
        yield os.urandom(LARGE)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await desk.blobs.put(TENANT, broken())
    assert files(folder) == []


async def test_store_that_fails_opens_the_breaker_and_is_asked_again_after_its_pause(
    desk: Desk, server: ObjectServer
) -> None:
    states: list[State] = []
    desk.breakers.listen(lambda _, state: states.append(state))
    for _ in range(4):
        with pytest.raises(StoreUnavailable):
            await desk.bare.read(TENANT, f"{TENANT}/00/{'0' * 30}")
    assert states == [State.OPEN]
    with pytest.raises(StoreUnavailable, match="given a rest"):
        await desk.bare.put(TENANT, parts(b"x"))
    server.start()
    desk.clock.advance(29)
    with pytest.raises(StoreUnavailable, match="given a rest"):
        await desk.bare.put(TENANT, parts(b"x"))
    desk.clock.advance(1)
    for _ in range(2):
        await desk.bare.put(TENANT, parts(b"x"))
    assert states == [State.OPEN, State.HALF_OPEN, State.CLOSED]


async def test_object_that_is_not_there_is_no_failure_of_the_store(desk: Desk, server: ObjectServer) -> None:
    server.start()
    for _ in range(6):
        with pytest.raises(BlobNotFound):
            await desk.blobs.read(TENANT, f"{TENANT}/00/{'0' * 30}")
    assert desk.breakers.state("blobs") is State.CLOSED


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Takes connections, and never says a word."""
    writers = []

    async def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in writers:
        writer.transport.abort()
    await server.wait_closed()


@pytest.mark.parametrize("size", [SMALL, 12_000_000])
async def test_silent_store_is_given_up_and_the_document_held(store: Store, folder: Path, size: int) -> None:
    async with silent_server() as url:
        desk = Desk(store, url, folder)
        desk.objects._timeout_s = 0.3
        content = os.urandom(size)
        stored = await desk.blobs.put(TENANT, parts(content))
        assert await desk.blobs.read(TENANT, stored.key) == content
    assert len(files(folder)) == 1


async def test_document_that_is_held_can_be_deleted_while_the_store_is_away(
    desk: Desk, server: ObjectServer, folder: Path
) -> None:
    stored = await desk.blobs.put(TENANT, parts(os.urandom(SMALL)))
    await desk.blobs.delete(TENANT, stored.key)
    assert files(folder) == []
    with pytest.raises(StoreUnavailable):
        await desk.blobs.read(TENANT, stored.key)


async def test_two_movers_on_one_folder_move_each_document_once(
    desk: Desk, server: ObjectServer, store: Store, folder: Path
) -> None:
    for _ in range(4):
        await desk.blobs.put(TENANT, parts(os.urandom(SMALL)))
    server.start()
    other = Desk(store, server.url, folder)
    desk.clock.advance(30)
    counts = await asyncio.gather(desk.blobs.move_spooled(), other.blobs.move_spooled())
    assert sum(counts) == 4
    assert len(server.held()) == 4


def test_file_that_a_dead_process_left_unfinished_is_swept_and_a_living_ones_is_not(folder: Path) -> None:
    spool = Spool(folder, most_bytes=1000, most_files=10)
    keeping = spool.begin(f"{TENANT}/00/{'1' * 30}")
    keeping.write(b"half")
    (dead,) = files(folder)
    left = dead.with_name(dead.name.replace(".part", "0.part"))
    left.write_bytes(b"half of another")
    assert spool.waiting() == []
    assert files(folder) == [dead]
    keeping.finish()
    assert spool.waiting() == [f"{TENANT}/00/{'1' * 30}"]


def test_remover_waits_for_the_mover_and_finds_the_file_gone(folder: Path) -> None:
    spool = Spool(folder, most_bytes=1000, most_files=10)
    key = f"{TENANT}/00/{'2' * 30}"
    spool.begin(key).finish()
    found: list[bool] = []
    with spool.hold(key, wait=False) as path:
        remover = threading.Thread(target=lambda: found.append(spool.remove(key)))
        remover.start()
        assert path is not None
        path.unlink()
    remover.join()
    assert found == [False]


def test_spool_counts_what_is_being_written(folder: Path) -> None:
    spool = Spool(folder, most_bytes=100, most_files=10)
    keeping = spool.begin(f"{TENANT}/00/{'3' * 30}")
    keeping.write(b"x" * 200)
    with pytest.raises(SpoolFull):
        spool.begin(f"{TENANT}/00/{'4' * 30}")
    with pytest.raises(SpoolFull):
        keeping.finish()
    keeping.discard()
    assert spool.measure() == (0, 0)


@pytest.mark.parametrize(
    ("mode", "given", "url", "spooled"),
    [
        (Mode.DEVELOPMENT, SpoolSettings(), "s3://x", True),
        (Mode.DEVELOPMENT, SpoolSettings(most_files=0), "s3://x", False),
        (Mode.DEVELOPMENT, SpoolSettings(), "memory:", False),
        (Mode.PRODUCTION, SpoolSettings(), "s3://x", False),
        (Mode.PRODUCTION, SpoolSettings(folder=Path("/var/spool/x")), "s3://x", True),
    ],
)
def test_spool_is_on_in_development_and_in_production_when_its_folder_is_named(
    store: Store, tmp_path: Path, monkeypatch, mode: Mode, given: SpoolSettings, url: str, spooled: bool
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    settings = Settings(countersign=GeneralSettings(mode=mode, blob_url=url, data_dir=tmp_path), spool=given)
    vault = Vault(LocalKeyWrapper([("test", os.urandom(32))]), FixedClock())
    assert open_blobs(settings, vault, store.app, FixedClock()).has_spool is spooled
