"""Encrypted objects in a folder, in memory and on a server that speaks S3."""

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from config.blobs import FRAME_BYTES, BlobStore, StoredBlob, open_objects_at
from config.clock import FixedClock
from config.errors import BlobDamaged, BlobNotFound, ConfigError, StoreUnavailable
from config.master_keys import LocalKeyWrapper
from config.vault import Vault
from tests.fixtures.store import Store

TENANT = UUID(int=77)


def make_blobs(store: Store, url: str, **options) -> BlobStore:
    vault = Vault(LocalKeyWrapper([("test", os.urandom(32))]), FixedClock())
    return BlobStore(open_objects_at(url, **options), vault, store.app)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def blobs(store: Store, folder: Path) -> BlobStore:
    return make_blobs(store, folder.as_uri())


async def parts(content: bytes, size: int = 50_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def stored_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 6_000_000])
async def test_blob_of_any_size_is_read_back_with_its_digest(
    blobs: BlobStore, folder: Path, size: int
) -> None:
    content = os.urandom(size)
    stored = await blobs.put(TENANT, parts(content))
    assert stored == StoredBlob(stored.key, hashlib.sha256(content).hexdigest(), size)
    assert await blobs.read(TENANT, stored.key) == content
    (path,) = stored_files(folder)
    assert size < 100 or content[:100] not in path.read_bytes()


@pytest.mark.parametrize(
    "pieces",
    [
        [3 * FRAME_BYTES],
        [10, FRAME_BYTES, 10],
        [FRAME_BYTES, 0, FRAME_BYTES],
        [FRAME_BYTES - 1, 1, 1],
        [1] * 40 + [2 * FRAME_BYTES + 1, 5],
        [FRAME_BYTES - 3, 3 * FRAME_BYTES, 3],
    ],
)
async def test_blob_is_read_back_whatever_pieces_it_came_in(
    blobs: BlobStore, folder: Path, pieces: list[int]
) -> None:
    content = [os.urandom(size) for size in pieces]

    async def chunks() -> AsyncIterator[bytes]:
        for chunk in content:
            yield chunk

    stored = await blobs.put(TENANT, chunks())
    assert await blobs.read(TENANT, stored.key) == b"".join(content)
    assert stored.size == sum(pieces)
    # Every frame but the last is full, whatever came: a reader finds its place in the object by arithmetic.
    (path,) = stored_files(folder)
    frames = max(1, -(-stored.size // FRAME_BYTES))
    assert path.stat().st_size == 52 + stored.size + 16 * frames


SIZE = 3 * FRAME_BYTES


@pytest.mark.parametrize("url", ["folder", "memory:"])
@pytest.mark.parametrize(
    "offset",
    [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES + 7, SIZE - 1, SIZE],
)
async def test_blob_is_read_from_any_byte_on(store: Store, folder: Path, url: str, offset: int) -> None:
    blobs = make_blobs(store, folder.as_uri() if url == "folder" else url)
    content = os.urandom(SIZE)
    stored = await blobs.put(TENANT, parts(content))
    assert b"".join([frame async for frame in blobs.open(TENANT, stored.key, offset)]) == content[offset:]


async def test_blob_read_from_its_middle_touches_nothing_before_and_checks_the_rest(
    blobs: BlobStore, folder: Path
) -> None:
    content = os.urandom(SIZE)
    stored = await blobs.put(TENANT, parts(content))
    (path,) = stored_files(folder)
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1  # in the first frame
    path.write_bytes(raw)
    assert (
        b"".join([f async for f in blobs.open(TENANT, stored.key, 2 * FRAME_BYTES)]) == content[-FRAME_BYTES:]
    )
    for damaged in (raw[:-1], raw[: 52 + 2 * (FRAME_BYTES + 16)], raw[:40]):
        path.write_bytes(damaged)
        with pytest.raises((BlobDamaged, StoreUnavailable)):
            _ = [frame async for frame in blobs.open(TENANT, stored.key, 2 * FRAME_BYTES)]


async def test_blob_that_is_altered_cut_or_reordered_is_found_damaged(blobs: BlobStore, folder: Path) -> None:
    stored = await blobs.put(TENANT, parts(os.urandom(3 * FRAME_BYTES + 10)))
    (path,) = stored_files(folder)
    whole = path.read_bytes()
    frame = FRAME_BYTES + 16
    head = len(whole) - 3 * frame - 26
    first, second, third, last = (
        whole[head:][:frame],
        whole[head + frame :][:frame],
        whole[head + 2 * frame :][:frame],
        whole[-26:],
    )
    damaged = [
        *(
            bytes([*whole[:at], whole[at] ^ 1, *whole[at + 1 :]])
            for at in (0, 5, 25, head, head + frame + 7, len(whole) - 1)
        ),
        whole[:-1],
        whole[:-26],  # cut at the border of a frame
        whole[: head + frame],
        whole[:head],
        whole[:10],
        b"",
        whole[:head] + second + first + third + last,
        whole[:head] + first + third + last,
        whole + whole[-26:],
    ]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(BlobDamaged):
            await blobs.read(TENANT, stored.key)
    path.write_bytes(whole)
    assert len(await blobs.read(TENANT, stored.key)) == stored.size


async def test_blob_moved_to_another_key_or_tenant_is_refused(blobs: BlobStore, folder: Path) -> None:
    first = await blobs.put(TENANT, parts(b"one"))
    other = uuid4()
    foreign = await blobs.put(other, parts(b"two"))
    with pytest.raises(BlobNotFound):
        await blobs.read(TENANT, foreign.key)
    (folder / foreign.key).write_bytes((folder / first.key).read_bytes())
    with pytest.raises(BlobDamaged):
        await blobs.read(other, foreign.key)
    second = await blobs.put(TENANT, parts(b"three"))
    (folder / second.key).write_bytes((folder / first.key).read_bytes())
    with pytest.raises(BlobDamaged):
        await blobs.read(TENANT, second.key)


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", f"{TENANT}/../x", f"{TENANT}/{'0' * 32}", f"{TENANT}/x"]
)
async def test_blob_that_is_not_there_is_not_found(blobs: BlobStore, key: str) -> None:
    with pytest.raises(BlobNotFound):
        await blobs.read(TENANT, key)


async def test_blob_stream_that_fails_leaves_no_object_and_passes_its_error(
    blobs: BlobStore, folder: Path
) -> None:
    class Hangup(Exception):
        pass

    async def broken() -> AsyncIterator[bytes]:
        yield os.urandom(7_000_000)
        raise Hangup

    with pytest.raises(Hangup):
        await blobs.put(TENANT, broken())
    assert stored_files(folder) == []


async def test_blob_put_that_is_cancelled_leaves_no_object(blobs: BlobStore, folder: Path) -> None:
    reached = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield os.urandom(7_000_000)
        reached.set()
        await asyncio.sleep(60)
        yield b"never"

    task = asyncio.create_task(blobs.put(TENANT, stalling()))
    await reached.wait()
    while not list(folder.rglob("*#*")):  # noqa: ASYNC110  # the part that obstore keeps beside the object until it is whole
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stored_files(folder) == []


async def test_blob_that_the_store_cannot_take_is_unavailable(blobs: BlobStore, folder: Path) -> None:
    (folder / str(TENANT)).write_text("a file where the folder should be")
    with pytest.raises(StoreUnavailable):
        await blobs.put(TENANT, parts(os.urandom(30_000_000), 1_000_000))


@pytest.mark.parametrize("size", [1_000, 6_000_000], ids=["at once", "in parts"])
async def test_blob_in_a_folder_is_on_the_disk_with_every_new_folder_when_put_returns(
    blobs: BlobStore, folder: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr("os.fsync", lambda held: flushed.append(Path(os.readlink(f"/proc/self/fd/{held}"))))
    await blobs.put(TENANT, parts(os.urandom(size)))
    (path,) = stored_files(folder)
    assert flushed == [path, path.parent, path.parent.parent, folder]
    flushed.clear()
    await blobs._objects.put(f"{TENANT}/{path.parent.name}/more", b"sealed")
    assert flushed == [path.with_name("more"), path.parent], "the other folders are there already"


@pytest.mark.parametrize("size", [1_000, 6_000_000], ids=["at once", "in parts"])
async def test_blob_that_the_disk_does_not_keep_is_unavailable_and_gone(
    blobs: BlobStore, folder: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(held: int) -> None:
        raise OSError(errno.EIO, "the disk fails")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StoreUnavailable):
        await blobs.put(TENANT, parts(os.urandom(size)))
    assert stored_files(folder) == []


async def test_blob_deleted_is_gone_and_deleting_again_is_no_error(blobs: BlobStore) -> None:
    stored = await blobs.put(TENANT, parts(b"gone"))
    await blobs.delete(TENANT, stored.key)
    await blobs.delete(TENANT, stored.key)
    with pytest.raises(BlobNotFound):
        await blobs.read(TENANT, stored.key)


async def test_blob_call_inside_a_transaction_is_refused(blobs: BlobStore, store: Store) -> None:
    async with store.app.transaction(TENANT):
        with pytest.raises(RuntimeError):
            await blobs.put(TENANT, parts(b"x"))


async def test_blob_of_a_retired_data_key_is_still_readable(store: Store, folder: Path) -> None:
    vault = Vault(LocalKeyWrapper([("test", os.urandom(32))]), FixedClock())
    blobs = BlobStore(open_objects_at(folder.as_uri()), vault, store.app)
    stored = await blobs.put(TENANT, parts(b"old"))
    await vault.rotate_data_key(store.hub, TENANT)
    vault.forget()
    newer = await blobs.put(TENANT, parts(b"new"))
    assert (await blobs.read(TENANT, stored.key), await blobs.read(TENANT, newer.key)) == (b"old", b"new")


async def test_memory_store_keeps_objects_and_unknown_url_is_refused(store: Store) -> None:
    blobs = make_blobs(store, "memory://")
    stored = await blobs.put(TENANT, parts(b"short"))
    assert await blobs.read(TENANT, stored.key) == b"short"
    with pytest.raises(ConfigError):
        open_objects_at("gopher://x")


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


async def test_blob_on_s3_is_kept_read_deleted_and_never_half_written(store: Store, s3_server: str) -> None:
    credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("s3", endpoint_url=s3_server, region_name="us-east-1", **credentials)
    await asyncio.to_thread(client.create_bucket, Bucket="documents")
    config = {
        **credentials,
        "endpoint": s3_server,
        "region": "us-east-1",
        "virtual_hosted_style_request": False,
    }
    blobs = make_blobs(store, "s3://documents/area", config=config, allow_http=True)
    content = os.urandom(12_000_000)
    stored = await blobs.put(TENANT, parts(content, 1_000_000))
    assert await blobs.read(TENANT, stored.key) == content
    tail = b"".join([frame async for frame in blobs.open(TENANT, stored.key, 11_000_000)])
    assert tail == content[11_000_000:]

    async def broken() -> AsyncIterator[bytes]:
        yield os.urandom(7_000_000)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.put(TENANT, broken())
    listing = await asyncio.to_thread(client.list_objects_v2, Bucket="documents")
    assert [entry["Key"] for entry in listing["Contents"]] == [f"area/{stored.key}"]
    uploads = await asyncio.to_thread(client.list_multipart_uploads, Bucket="documents")
    assert uploads.get("Uploads", []) == []
    await blobs.delete(TENANT, stored.key)
    with pytest.raises(BlobNotFound):
        await blobs.read(TENANT, stored.key)
