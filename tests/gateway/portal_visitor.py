"""A browser without scripts in the portal: follows links, fills forms with what stands in them, keeps its cookies."""

import re
from html import unescape
from typing import Any

import httpx

from tests.gateway.world import ADMIN, Tenant, World

_HIDDEN = re.compile(r'<input type="hidden" name="(csrf|form_id)" value="([^"]*)">')


async def portal_link(tenant: Tenant, **wanted: Any) -> str:
    """The path of a link to the portal."""
    made = await tenant.made(wanted, "/webhooks/portal-link")
    return "/portal/" + str(made["url"]).rpartition("/")[2]


async def allow_origins(world: World, tenant: Tenant, *origins: str) -> None:
    administrator = await world.administrator()
    body = {"origins": list(origins)}
    answer = await administrator.put(f"{ADMIN}/tenants/{tenant.printed}/embedding", json=body)
    assert answer.status_code == 200, answer.text


class Visitor:
    """`base`: where the session's pages begin."""

    def __init__(self, client: httpx.AsyncClient, base: str) -> None:
        self.client = client
        self.base = base

    @property
    def handle(self) -> str:
        return self.base.rpartition("/")[2]

    async def get(self, path: str, *, status: int = 200) -> str:
        answer = await self.client.get(self.base + path)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.text

    async def hidden(self, path: str) -> dict[str, str]:
        """The token and the id of the forms of a page."""
        return dict(_HIDDEN.findall(await self.get(path)))

    async def post(
        self, path: str, form: dict[str, str] | None = None, *, seen_at: str = ""
    ) -> httpx.Response:
        """Sends a form that stands on the page `seen_at` (the endpoints unless said otherwise)."""
        hidden = await self.hidden(seen_at or "/endpoints")
        return await self.client.post(self.base + path, data=hidden | (form or {}))

    async def done(self, path: str, form: dict[str, str] | None = None, *, seen_at: str = "") -> str:
        """Sends a form, and the page to which it leads."""
        answer = await self.post(path, form, seen_at=seen_at)
        assert answer.status_code == 303, (answer.status_code, text_of(answer.text))
        return await self.get(answer.headers["location"].removeprefix(self.base))


async def open_portal(tenant: Tenant, **wanted: Any) -> Visitor:
    """A session, begun as a person does: a look at the link, and its button."""
    client = tenant.world.client()
    path = await portal_link(tenant, **wanted)
    assert (await client.get(path)).status_code == 200
    started = await client.post(path)
    assert started.status_code == 303, started.text
    return Visitor(client, started.headers["location"].rpartition("/")[0])


def text_of(page: str) -> str:
    """What a reader sees."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.partition("<body")[2])).split())


FORM = {
    "url": "http://127.0.0.1:9/hooks",
    "all_events": "yes",
    "payload": "full",
    "ordering": "skip",
    "retry_profile": "design",
    "signature_profile": "both",
    "sink": "http",
    "timeout_seconds": "30",
    "max_in_flight": "8",
}


async def add_endpoint(visitor: Visitor, **fields: str) -> str:
    """The id of an endpoint that was made by the form."""
    answer = await visitor.post(
        "/endpoints/new",
        {name: value for name, value in (FORM | fields).items() if value},
        seen_at="/endpoints/new",
    )
    assert answer.status_code == 200, text_of(answer.text)
    found = re.search(r"/endpoints/(ep_[a-z0-9]+)", answer.text)
    assert found is not None
    return found[1]


async def rows_of(world: World) -> dict[str, int]:
    """A digest of every table's rows, but for when a session was last seen."""
    tables = await world.services.hub.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        " AND has_table_privilege('countersign_hub', oid, 'SELECT') ORDER BY 1"
    )
    digests = {}
    for row in tables:
        name = row["relname"]
        digests[name] = await world.services.hub.fetchval(
            f"SELECT coalesce(sum(hashtextextended((to_jsonb(t) - 'seen_at')::text, 0)), 0)::text FROM {name} t"
        )
    return digests
