"""The demo's DMS: a plain client of the unified API, as any document system would have one."""

import asyncio
import hashlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from gateway.cli.demo.timeline import DemoFailed

# Generous: a slow machine is no failure. Nothing sleeps for it; it only bounds a wait.
PATIENCE_S = 90.0
_LOOK_AGAIN_S = 0.05


class Dms:
    """`key` of a tenant; `headers` say which of the DMS's users acts."""

    def __init__(self, client: httpx.AsyncClient, url: str, key: str) -> None:
        self._client = client
        self._api = f"{url}/api/v1/signatures"
        self._headers = {"authorization": f"Bearer {key}"}

    async def get(self, path: str, **parameters: str) -> Any:
        return _json(await self._client.get(f"{self._api}{path}", headers=self._headers, params=parameters))

    async def post(self, path: str, body: Any, *, once: str = "") -> Any:
        """`once`: the Idempotency-Key, by which the call may be repeated without a second effect."""
        headers = self._headers | ({"idempotency-key": once} if once else {})
        return _json(await self._client.post(f"{self._api}{path}", headers=headers, json=body))

    async def upload(self, document: bytes, name: str) -> Any:
        headers = self._headers | {"content-type": "application/pdf"}
        answer = await self._client.post(
            f"{self._api}/documents", headers=headers, params={"name": name}, content=document
        )
        return _json(answer)

    async def verify(self, document: bytes) -> Any:
        """The verdict on every signature of a file."""
        headers = self._headers | {"content-type": "application/pdf"}
        return _json(await self._client.post(f"{self._api}/verify", headers=headers, content=document))

    async def save(self, path: str, file: Path) -> str:
        """Downloads into `file`; the SHA-256 of what was written, which the gateway must have told too."""
        digest = hashlib.sha256()
        async with self._client.stream("GET", f"{self._api}{path}", headers=self._headers) as answer:
            if not answer.is_success:
                await answer.aread()
                _json(answer)
            with file.open("wb") as written:
                async for chunk in answer.aiter_bytes():
                    digest.update(chunk)
                    written.write(chunk)
        told = answer.headers.get("x-content-sha256", "")
        if told and told != digest.hexdigest():
            raise DemoFailed(f"{path}: the gateway announced {told}, {digest.hexdigest()} came")
        return digest.hexdigest()

    async def until_status(self, envelope_id: str, wanted: Iterable[str], what: str) -> Any:
        """The envelope when it has one of the statuses. Raises DemoFailed naming `what` after the patience."""
        wanted = set(wanted)
        ends_at = time.monotonic() + PATIENCE_S
        while True:
            envelope = await self.get(f"/envelopes/{envelope_id}")
            if envelope["status"] in wanted:
                return envelope
            if time.monotonic() > ends_at:
                raise DemoFailed(f"{what} did not come: {await self.explain(envelope_id)}")
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def explain(self, envelope_id: str) -> str:
        """What is known about an envelope that does not move."""
        envelope = await self.get(f"/envelopes/{envelope_id}")
        trail = await self.get(f"/envelopes/{envelope_id}/events")
        waiting = await self.get("/deliveries", state="undelivered", envelope_id=envelope_id)
        last = trail["entries"][-1]["event_type"] if trail["entries"] else "nothing"
        held = "; ".join(f"{one['event_type']}: {one['explanation']}" for one in waiting[:3])
        return (
            f"{envelope_id} is {envelope['status']} ({envelope['provider']} says"
            f" {envelope['provider_status'] or 'nothing'}), its last ledger entry is {last},"
            f" {len(waiting)} deliveries wait{': ' + held if held else ''}"
        )


class Administrator:
    def __init__(self, client: httpx.AsyncClient, url: str, key: str, tenant: str) -> None:
        self._client = client
        self._tenant = f"{url}/api/v1/admin/tenants/{tenant}"
        self._headers = {"authorization": f"Bearer {key}"}

    async def check(self, connection_id: str) -> Any:
        url = f"{self._tenant}/connections/{connection_id}/check"
        return _json(await self._client.post(url, headers=self._headers))

    async def switch(self, to_connection_id: str, reason: str) -> Any:
        body = {"to_connection_id": to_connection_id, "reason": reason}
        url = f"{self._tenant}/provider-switches"
        return _json(await self._client.post(url, headers=self._headers, json=body))


def _json(answer: httpx.Response) -> Any:
    if not answer.is_success:
        raise DemoFailed(
            f"{answer.request.method} {answer.request.url.path} answered {answer.status_code}: {answer.text[:600]}"
        )
    return answer.json()
