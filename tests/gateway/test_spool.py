"""Uploads while the blob store is away: taken and given back as if nothing were missing, or refused with 503."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from config.settings import GeneralSettings
from config.settings_spool import SpoolSettings
from gateway.spool_mover import moving_spooled
from tests.config.object_server import BUCKET, CREDENTIALS, ObjectServer
from tests.gateway import papers
from tests.gateway.fake_provider import FakeProvider
from tests.gateway.world import API, World, make_settings, open_world


@pytest.fixture
def server(monkeypatch):
    made = ObjectServer()
    for name, value in (*CREDENTIALS.items(), ("aws_endpoint", made.url), ("aws_region", "us-east-1")):
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    yield made
    made.kill()


@pytest.fixture
def spool() -> SpoolSettings:
    return SpoolSettings(most_files=1, store_timeout_s=5.0, store_pause_s=0.05)


@pytest_asyncio.fixture
async def world(store, redis_url, gateway_folder: Path, tmp_path: Path, server: ObjectServer, spool):
    settings = make_settings(
        store,
        redis_url,
        gateway_folder,
        countersign=GeneralSettings(data_dir=gateway_folder, blob_url=f"s3://{BUCKET}"),
        spool=msgspec.structs.replace(spool, folder=tmp_path / "spool"),
    )
    async with open_world(settings, FakeProvider("alpha")) as world:
        yield world


async def test_upload_while_the_blob_store_is_away_is_taken_read_and_moved_later(
    world: World, server: ObjectServer
):
    tenant = await world.tenant("Acme")
    content = papers.pdf()
    answer = await tenant.client.post(f"{API}/documents", content=content)
    assert answer.status_code == 201, answer.text
    document = answer.json()
    assert (await tenant.get(f"/documents/{document['id']}/content")).content == content
    refused = await tenant.client.post(f"{API}/documents", content=content)  # the spool holds one
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(30):
        while world.services.blobs.spooled():  # by the process's own mover, or here
            await world.services.blobs.move_spooled()
            await asyncio.sleep(0.05)  # the breaker's pause
    assert len(await asyncio.to_thread(server.held)) == 1
    assert (await tenant.get(f"/documents/{document['id']}/content")).content == content


class Faulty:
    """A store with a spool, at which the first move meets a fault that nobody foresaw."""

    has_spool = True

    def __init__(self) -> None:
        self.moves = 0
        self.moved = asyncio.Event()

    async def move_spooled(self) -> int:
        self.moves += 1
        if self.moves == 1:
            raise LookupError("a fault of ours")
        self.moved.set()
        return 1

    def spooled(self) -> int:
        return 0


async def test_mover_that_met_a_fault_goes_on_and_tells_it(caplog) -> None:
    faulty: Any = Faulty()
    async with moving_spooled(faulty, every_s=0.01):
        await faulty.moved.wait()
    assert "a fault of ours" in caplog.text
