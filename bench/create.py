"""Creating and sending envelopes: the whole gateway against bare routes that make the same provider call.

POST /envelopes with a 100 KB PDF inside and `send`, 32 at a time, from aiohttp; the application under granian
with one worker; the provider is a responder of canned bytes in its own process, whose share of the time is
printed. `ratio` is to a bare route with one shared httpx.AsyncClient, as httpx documents its use;
`ratio_to_bare_pooled` to one with the gateway's own set-up of httpx, one transport per connection, which carries
twice as much. PostgreSQL runs durably on the same cores: what it costs is printed beside.
"""

import asyncio
import base64
import io
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pikepdf
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.kit import RUNS, interleave, median_ratio, report, start_stores
from config.embedded import EmbeddedStores
from config.processes import free_port
from config.settings_source import load_settings
from gateway.composition import open_services
from gateway.services import SYSTEM_TENANT, Caller
from gateway.tenants.connections import ConnectionInput, create_connection
from gateway.tenants.issue_keys import KeyInput, issue_key
from gateway.tenants.scopes import TENANT_SCOPES
from gateway.tenants.tenants import TenantInput, create_tenant
from normalizer.events import SYSTEM, Source, SourceKind

TARGET = 0.5
CLIENTS = 32
SECONDS = 2.5
PDF_BYTES = 100 * 1024
_ACCOUNT = "0d0e0f00-0000-4000-8000-000000000001"
_OPERATOR = Caller(
    tenant_id=SYSTEM_TENANT,
    key_id=SYSTEM_TENANT,
    scopes=frozenset(),
    actor=SYSTEM,
    source=Source(kind=SourceKind.CLI),
)


def make_pdf() -> bytes:
    document = pikepdf.new()
    document.add_blank_page(page_size=(595, 842))
    document.Root.Padding = document.make_stream(random.Random(1).randbytes(PDF_BYTES - 700))
    target = io.BytesIO()
    document.save(target, compress_streams=False)
    return target.getvalue()


def make_body(pdf: bytes) -> bytes:
    field = {"type": "signature", "page": 1, "x": 100, "y": 600}
    return json.dumps(
        {
            "name": "Contract",
            "send": True,
            "documents": [{"name": "contract.pdf", "content_base64": base64.b64encode(pdf).decode()}],
            "recipients": [{"name": "Ada Lovelace", "email": "ada@example.com", "fields": [field]}],
        }
    ).encode()


@contextmanager
def start_responder() -> Iterator[int]:
    command = [sys.executable, "-m", "bench._provider"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


@contextmanager
def start_server(factory: str, environment: dict[str, str]) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--no-ws"]
    command += ["--port", str(port), "--workers", "1", "--log-level", "warning", f"bench._gateways:{factory}"]
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(30)


def settings_of(stores: EmbeddedStores, folder: Path) -> dict[str, str]:
    assert stores.redis_url is not None
    return {
        "DATABASE_URL": stores.database_url.reveal(),
        "DATABASE_OWNER_URL": stores.database_owner_url.reveal(),
        "DATABASE_HUB_URL": stores.database_hub_url.reveal(),
        "REDIS_URL": stores.redis_url.reveal(),
        "COUNTERSIGN_DATA_DIR": str(folder),
        "COUNTERSIGN_LOOPBACK_ALLOW_LIST": "127.0.0.1:*",
        "COUNTERSIGN_LOG_LEVEL": "warning",
        "COUNTERSIGN_LIMIT_REQUESTS_PER_MINUTE": "1000000",
        "COUNTERSIGN_LIMIT_REQUESTS_BURST": "1000000",
    }


async def make_tenant(environment: dict[str, str], responder: int) -> str:
    """A tenant connected to the responder; its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    url = f"http://127.0.0.1:{responder}"
    credentials = {
        "integration_key": _ACCOUNT,
        "user_id": _ACCOUNT,
        "account_id": _ACCOUNT,
        "private_key_pem": pem,
        "oauth_base": url,
        "api_base": url,
    }
    async with open_services(load_settings(environ=environment)) as services:
        tenant = await create_tenant(services, _OPERATOR, TenantInput(name="Bench"))
        given = ConnectionInput(provider="docusign", credentials=credentials, receive_webhooks=False)
        await create_connection(services, _OPERATOR, tenant.id, given)
        issued = await issue_key(
            services, _OPERATOR, tenant.id, KeyInput(label="b", scopes=tuple(TENANT_SCOPES))
        )
        return issued.secret.reveal()


class Load:
    """Posts to one server; how many were answered, and what that cost there."""

    def __init__(self, session: aiohttp.ClientSession, port: int, body: bytes, key: str) -> None:
        self._session = session
        self._url = f"http://127.0.0.1:{port}"
        self._body = body
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self.answered = 0
        self.spent: dict[str, float] = {}

    async def until_ready(self) -> None:
        for _ in range(200):
            try:
                await self.ask()
                await self._post()
                return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
        raise TimeoutError(f"{self._url} does not answer")

    async def ask(self) -> dict[str, float]:
        async with self._session.get(f"{self._url}/spent") as answer:
            figures: dict[str, float] = await answer.json()
            return figures

    async def measure(self) -> float:
        before, answered = await self.ask(), self.answered
        loop = asyncio.get_running_loop()
        begin = loop.time()

        async def client() -> None:
            while loop.time() - begin < SECONDS:
                await self._post()

        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        seconds = loop.time() - begin
        for name, value in (await self.ask()).items():
            self.spent[name] = self.spent.get(name, 0.0) + value - before[name]
        self.spent["seconds"] = self.spent.get("seconds", 0.0) + seconds
        self.spent["envelopes"] = self.spent.get("envelopes", 0.0) + self.answered - answered
        return (self.answered - answered) / seconds

    async def _post(self) -> None:
        url = f"{self._url}/api/v1/signatures/envelopes"
        async with self._session.post(url, data=self._body, headers=self._headers) as answer:
            text = await answer.read()
            if answer.status != 201:
                raise RuntimeError(f"{answer.status} {text[:300]!r}")
        self.answered += 1


def cpu_seconds_of(name: str) -> float:
    """What all processes of this name have used; 0 where the kernel does not tell it in /proc."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # a process that ended meanwhile
            text = path.read_text()
            fields = text[text.rindex(")") + 2 :].split()
            if text[text.index("(") + 1 : text.rindex(")")] == name:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def compare(ports: dict[str, int], responder: int, body: bytes, key: str) -> dict[str, Any]:
    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(connector=connector) as session:
        loads = {name: Load(session, port, body, key) for name, port in ports.items()}
        for load in loads.values():
            await load.until_ready()
            await load.measure()  # warm
            load.spent.clear()
        canned = Load(session, responder, b"", "")
        before, postgres = await canned.ask(), cpu_seconds_of("postgres")
        rates = await interleave({name: load.measure for name, load in loads.items()}, runs=RUNS)
        after, postgres = await canned.ask(), cpu_seconds_of("postgres") - postgres
    seconds = sum(load.spent["seconds"] for load in loads.values())
    used = {name: load.spent for name, load in loads.items()}
    envelopes = used["gateway"]["envelopes"]
    return {
        "rates": rates,
        "raw": {
            "client": f"gateway: one httpx transport per connection; bare: one httpx.AsyncClient; bare_pooled: as the"
            f" gateway; load by aiohttp, {CLIENTS} at a time",
            "envelopes_per_s": [round(rate, 1) for rate in rates["gateway"]],
            "bare_per_s": [round(rate, 1) for rate in rates["bare"]],
            "bare_pooled_per_s": [round(rate, 1) for rate in rates["bare_pooled"]],
            "ratio_to_bare_pooled": round(median_ratio(rates["gateway"], rates["bare_pooled"]), 3),
            "sql_statements_per_envelope": round(used["gateway"]["statements"] / envelopes, 2),
            "sql_round_trips_per_envelope": round(used["gateway"]["round_trips"] / envelopes, 2),
            "cpu_ms_per_envelope": round(1000 * used["gateway"]["cpu_s"] / envelopes, 2),
            "postgres_cpu_ms_per_envelope": round(1000 * postgres / envelopes, 2),
            "cpu_ms_per_bare_call": round(1000 * used["bare"]["cpu_s"] / used["bare"]["envelopes"], 2),
            "cpu_ms_per_bare_pooled_call": round(
                1000 * used["bare_pooled"]["cpu_s"] / used["bare_pooled"]["envelopes"], 2
            ),
            "responder_share_of_time": round((after["cpu_s"] - before["cpu_s"]) / seconds, 3),
        },
    }


def main() -> int:
    pdf = make_pdf()
    with ExitStack() as stack:
        stores = stack.enter_context(start_stores(valkey=True))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="countersign-bench-")))
        responder = stack.enter_context(start_responder())
        environment = settings_of(stores, folder)
        key = asyncio.run(make_tenant(environment, responder))
        environment["BENCH_PROVIDER_URL"] = (
            f"http://127.0.0.1:{responder}/restapi/v2.1/accounts/{_ACCOUNT}/envelopes"
        )
        ports = {
            name: stack.enter_context(start_server(factory, environment))
            for name, factory in (("gateway", "real"), ("bare", "bare"), ("bare_pooled", "bare_pooled"))
        }
        result = asyncio.run(compare(ports, responder, make_body(pdf), key))
    rates = result["rates"]
    ratio = median_ratio(rates["gateway"], rates["bare"])
    return report("create", ratio=ratio, target=TARGET, raw=result["raw"])


if __name__ == "__main__":
    sys.exit(main())
