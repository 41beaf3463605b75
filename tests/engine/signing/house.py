"""A gateway with one envelope in the built-in engine, and the people who open it in their browsers."""

import html
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from config.secret import Secret
from config.settings import SignatureSettings
from config.settings_signing import SigningSettings
from engine.ceremony.demonstration import word_of
from engine.ceremony.links import make_link
from engine.engine import Engine
from engine.model import EngineEnvelope, EngineRecipient
from engine.store import load_envelope, lock_envelope
from normalizer.ids import Kind, print_id, read_id
from tests.fixtures.store import Store
from tests.gateway.world import Tenant, World, make_settings, open_world

_NOT_YET = UUID(int=0)
AGENT = "Firefox/130"


@dataclass
class House:
    world: World
    tenant: Tenant
    made: dict[str, Any] = field(default_factory=dict)
    engine_id: UUID = _NOT_YET

    @property
    def engine(self) -> Engine:
        return self.world.services.engine

    async def send(self, body: dict[str, Any]) -> dict[str, Any]:
        """The envelope as the API shows it; the engine's id is known from here on."""
        self.made = await self.tenant.made(body | {"send": True})
        ref = await self.world.services.hub.fetchval(
            "SELECT provider_ref FROM envelopes WHERE id = $1", read_id(Kind.ENVELOPE, self.made["id"])
        )
        self.engine_id = UUID(ref)
        return self.made

    async def envelope(self) -> EngineEnvelope:
        return await load_envelope(self.engine.database, self.tenant.id, self.engine_id)

    async def recipient(self, email: str) -> EngineRecipient:
        envelope = await self.envelope()
        return next(one for one in reversed(envelope.recipients) if one.email == email)

    async def link(self, email: str) -> str:
        """The path of a fresh link."""
        async with self.engine.database.transaction(self.tenant.id) as tx:
            envelope = await lock_envelope(tx, self.tenant.id, self.engine_id)
            recipient = next(one for one in reversed(envelope.recipients) if one.email == email)
            url = await make_link(self.engine, tx, envelope, recipient)
            await tx.commit()
        return "/sign/" + url.rpartition("/")[2]

    async def browser(self, email: str, **headers: str) -> "Browser":
        """Somebody who has opened the link and pressed the button."""
        browser = Browser(self, self.world.client(**{"user-agent": AGENT, **headers}))
        await browser.start(await self.link(email))
        return browser

    async def reader(self, email: str) -> "Browser":
        """Somebody who has consented and looks at the document."""
        browser = await self.browser(email)
        await browser.consent()
        return browser

    async def ledger(self, kind: str = "") -> list[dict[str, Any]]:
        answer = await self.tenant.get(f"/envelopes/{self.made['id']}/audit-trail")
        trail = answer.json()
        assert trail["integrity"]["valid"], trail["integrity"]
        return [one for one in trail["entries"] if not kind or one["event_type"] == kind]

    async def dump(self) -> dict[str, list[str]]:
        """Every row of every table, but for what looking may write: when a session was seen, and what was shown."""
        hub = self.world.services.hub
        names = await hub.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND relname NOT IN ('ceremony_views', 'system_secrets', 'alembic_version') ORDER BY 1"
        )
        rows: dict[str, list[str]] = {}
        for row in names:
            table = row["relname"]
            try:
                found = await hub.fetch(f"SELECT to_jsonb(t) - 'seen_at' AS one FROM {table} t")
            except Exception:  # noqa: BLE001 - a table that the hub may not read holds nothing of a ceremony's
                continue
            rows[table] = sorted(str(one["one"]) for one in found)
        return rows


class Browser:
    """Keeps cookies and the token of its forms, follows what a person follows."""

    def __init__(self, house: House, client: httpx.AsyncClient) -> None:
        self.house = house
        self.client = client
        self.base = ""
        self.csrf = ""
        self.page = ""

    @property
    def handle(self) -> str:
        return self.base.rpartition("/")[2]

    async def start(self, path: str) -> httpx.Response:
        answer = await self.client.post(path)
        if answer.status_code == 303:
            self.base = answer.headers["location"]
            await self.get()
        return answer

    async def get(self, part: str = "", **given: Any) -> httpx.Response:
        """A page, after every redirect."""
        answer = await self.client.get(f"{self.base}/{part}".rstrip("/"), follow_redirects=True, **given)
        if "text/html" in answer.headers.get("content-type", ""):
            self._read(answer.text)
        return answer

    async def look(self, part: str, **given: Any) -> httpx.Response:
        return await self.client.get(f"{self.base}/{part}", **given)

    async def post(self, part: str, form: dict[str, str] | None = None, **given: Any) -> httpx.Response:
        """A form as a browser sends it; the answer before the redirect is followed."""
        fields = {"csrf": self.csrf, **(form or {})}
        answer = await self.client.post(f"{self.base}/{part}", data=fields, **given)
        if "text/html" in answer.headers.get("content-type", ""):
            self._read(answer.text)
        return answer

    async def consent(self) -> None:
        await self.get("consent")
        word = word_of(self.house.engine, self.handle)
        answer = await self.post("consent", {"agree": "yes", "demonstration": word})
        assert answer.status_code == 303, answer.text
        await self.get("document")

    async def call(self, method: str, part: str, body: Any = None, **headers: str) -> httpx.Response:
        """As a script of the page calls."""
        headers = {"x-csrf-token": self.csrf, "accept": "application/json", **headers}
        if body is not None and not isinstance(body, bytes):
            return await self.client.request(method, f"{self.base}/{part}", json=body, headers=headers)
        return await self.client.request(method, f"{self.base}/{part}", content=body, headers=headers)

    async def fill(self, field_id: str, value: str, version: int = 1) -> httpx.Response:
        return await self.call("PUT", f"fields/{field_id}", {"value": value}, **{"if-match": f'"{version}"'})

    async def adopt(self, **given: Any) -> str:
        """The signature's id."""
        answer = await self.call("POST", "signatures", {"type": "typed", "text": "Ada Lovelace"} | given)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    async def sign(self, field_id: str, signature_id: str, version: int = 1) -> httpx.Response:
        return await self.call(
            "PUT",
            f"fields/{field_id}/signature",
            {"signature_id": signature_id},
            **{"if-match": str(version)},
        )

    async def finish(self, key: str = "key-of-this-finish", **given: str) -> httpx.Response:
        return await self.post("finish", {"intent": "yes", "idempotency_key": key, **given})

    def island(self, name: str = "page") -> dict[str, Any]:
        found = re.search(
            rf'<script type="application/json" id="{name}">(.*?)</script>', self.page, re.DOTALL
        )
        assert found is not None, self.page[:2000]
        return json.loads(found[1])

    def fields(self) -> list[dict[str, Any]]:
        return self.island()["fields"]

    def field(self, kind: str) -> dict[str, Any]:
        return next(one for one in self.fields() if one["type"] == kind)

    def _read(self, page: str) -> None:
        self.page = page
        found = re.search(r'name="csrf" value="([^"]+)"', page)
        if found is not None:
            self.csrf = html.unescape(found[1])


@asynccontextmanager
async def open_house(world: World, name: str = "House") -> AsyncIterator[House]:
    tenant = await world.tenant(name)
    await tenant.route(await tenant.connect("internal", {}))
    yield House(world, tenant)


@asynccontextmanager
async def open_easy_house(store: Store, redis_url: Secret, folder: Path) -> AsyncIterator[House]:
    """Its signers need nothing but their link, and may come as often as they like."""
    settings = make_settings(
        store,
        redis_url,
        folder,
        signature=SignatureSettings(require_mfa_for_signatures=False),
        signing=SigningSettings(visits_per_minute=100_000, visits_burst=100_000),
    )
    async with open_world(settings) as world, open_house(world) as made:
        yield made


def printed_fields(envelope: EngineEnvelope, kind: str) -> list[str]:
    return [print_id(Kind.FIELD, one.id) for one in envelope.fields if one.type.value == kind]
