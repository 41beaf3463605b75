"""The same story on the other supported stores: PostgreSQL 15 and Redis 7 as the distribution ships them.

Where a machine has none, the test says so by name; continuous integration installs both.
"""

import contextlib
import io
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pikepdf
import pytest
import redis

from config.processes import free_port
from config.roles import APP, HUB, LOGIN_ROLES, OWNER, roles_script
from config.secret import Secret
from config.settings import DatabaseSettings, GeneralSettings, RedisSettings, Settings
from gateway.composition import open_services
from gateway.envelopes.create import create_envelope
from gateway.envelopes.draft import DocumentInput, EnvelopeInput, RecipientInput
from gateway.envelopes.store import load_envelope
from gateway.http.rate_limit import RateLimiter
from gateway.migrations.run import migrate
from gateway.services import Caller
from gateway.tenants.tenants import TenantInput, create_tenant
from ledger.check import check_tenant
from normalizer.events import SYSTEM, Source, SourceKind
from normalizer.status import EnvelopeStatus
from webhooks.outbound.endpoint import NewEndpoint

_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
_POSTGRES = next((folder for folder in _FOLDERS if int(folder.parent.name) >= 15), None)
_REDIS = shutil.which("redis-server")


@pytest.fixture
def postgres_urls() -> Iterator[dict[str, Secret]]:
    if _POSTGRES is None:
        pytest.skip(
            "no PostgreSQL 15 or later of the distribution: test_the_story_on_other_stores did not run"
        )
    folder = Path(tempfile.mkdtemp(prefix="countersign-pg-"))
    as_postgres = _user() if os.geteuid() == 0 else None
    if as_postgres is not None:
        os.chown(folder, as_postgres, -1)
    port = free_port()
    data = folder / "data"

    def run(*command: str, **options: object) -> None:
        subprocess.run(command, check=True, user=as_postgres, capture_output=True, **options)  # type: ignore[call-overload]

    run(f"{_POSTGRES}/initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
    server = subprocess.Popen(
        [
            f"{_POSTGRES}/postgres",
            "-D",
            str(data),
            "-p",
            str(port),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            f"unix_socket_directories={folder}",
            "-c",
            "fsync=off",
        ],
        user=as_postgres,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        psql = [
            f"{_POSTGRES}/psql",
            "-h",
            str(folder),
            "-p",
            str(port),
            "-U",
            "postgres",
            "-v",
            "ON_ERROR_STOP=1",
        ]
        deadline = time.monotonic() + 30
        while subprocess.run([*psql, "-c", "SELECT 1"], capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.1)
        passwords = {role: Secret(f"pw-{role}") for role in LOGIN_ROLES}
        subprocess.run(psql, input=roles_script(passwords).encode(), check=True, capture_output=True)
        subprocess.run(
            [*psql, "-c", f"CREATE DATABASE countersign OWNER {OWNER}"], check=True, capture_output=True
        )
        yield {
            role: Secret(f"postgresql://{role}:{passwords[role].reveal()}@127.0.0.1:{port}/countersign")
            for role in LOGIN_ROLES
        }
    finally:
        server.terminate()
        server.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def redis_seven_url() -> Iterator[Secret]:
    if _REDIS is None:
        pytest.skip("no Redis of the distribution: test_the_story_on_other_stores did not run")
    port = free_port()
    server = subprocess.Popen(
        [_REDIS, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    url = f"redis://127.0.0.1:{port}/0"
    try:
        deadline = time.monotonic() + 20
        with redis.Redis.from_url(url) as client:
            while True:
                with contextlib.suppress(redis.exceptions.ConnectionError):
                    client.ping()
                    break
                assert time.monotonic() < deadline, "Redis did not start"
                time.sleep(0.05)
        yield Secret(url)
    finally:
        server.terminate()
        server.wait(timeout=10)


async def test_the_story_on_other_stores_ends_with_a_whole_ledger(
    postgres_urls: dict[str, Secret], redis_seven_url: Secret, tmp_path: Path
) -> None:
    await migrate(postgres_urls[OWNER])
    settings = Settings(
        countersign=GeneralSettings(data_dir=tmp_path, loopback_allow_list=("127.0.0.1:9",)),
        database=DatabaseSettings(
            url=postgres_urls[APP], owner_url=postgres_urls[OWNER], hub_url=postgres_urls[HUB]
        ),
        redis=RedisSettings(url=redis_seven_url),
    )
    async with open_services(settings) as services:
        admin = _caller(UUID(int=0))
        tenant = await create_tenant(services, admin, TenantInput(name="Acme"))
        caller = _caller(tenant.id)
        endpoint = await services.endpoints.create(
            tenant.id, NewEndpoint(url="http://127.0.0.1:9/hook"), SYSTEM, caller.source
        )
        created = await create_envelope(
            services,
            caller,
            EnvelopeInput(
                name="Contract",
                documents=(DocumentInput(name="a.pdf", content_base64=_pdf()),),
                recipients=(RecipientInput(name="Ada", email="ada@example.com", access_code="4711"),),
            ),
        )
        seen = await load_envelope(services.database, tenant.id, created.envelope.id)
        assert seen.status is EnvelopeStatus.DRAFT
        assert [recipient.name for recipient in seen.recipients] == ["Ada"]

        fanned = await services.hub.fetchrow("SELECT * FROM fan_out(100)")
        assert fanned is not None
        assert (fanned["events"], fanned["deliveries"]) == (1, 1)
        claimed = await services.hub.fetch(
            "SELECT id, type FROM claim_deliveries($1, $2, 8, 8, '60 s', $3)",
            [endpoint.endpoint.id],
            [8],
            services.ids.new(),
        )
        assert [row["type"] for row in claimed] == ["envelope.created"]

        verdict = await check_tenant(services.database, tenant.id)
        assert verdict.valid
        assert verdict.events_verified >= 4

        limiter = RateLimiter(services.redis, services.clock, per_minute=60, burst=2)
        taken = [(await limiter.take("key")).allowed for _ in range(3)]
        assert taken == [True, True, False]


def _caller(tenant_id: UUID) -> Caller:
    return Caller(
        tenant_id=tenant_id,
        key_id=UUID(int=1),
        scopes=frozenset(),
        actor=SYSTEM,
        source=Source(kind=SourceKind.CLI),
    )


def _pdf() -> bytes:
    with pikepdf.new() as pdf:
        pdf.add_blank_page(page_size=(595, 842))
        target = io.BytesIO()
        pdf.save(target)
    return target.getvalue()


def _user() -> int:
    return pwd.getpwnam("nobody").pw_uid
