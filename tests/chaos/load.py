"""Clients as a document system would write them: every envelope under a key of its own, repeated until a
definite answer, and signers who act at the sandboxes meanwhile.
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import pytest

from gateway.cli.demo.people import PEOPLE, Signer
from gateway.cli.demo.timeline import DemoFailed
from tests.chaos.house import PATIENCE_S, ChaosHouse
from tests.gateway import bodies

SIGNER = Signer(name="Ada First", email="ada@example.com")

PROVIDERS = ("docusign", "adobe_sign")
ACCESS_CODE = "canary-4711-access-code"
_AGAIN_S = 0.15
_LONGEST_PAUSE_S = 3.0


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is what the gateway answered with 201; `body` is its exact bytes."""

    key: str
    envelope_id: str
    provider: str
    status: str
    body: bytes


class Load:
    """`answers` counts what clients saw by status; `broken` are connections that ended without an answer."""

    def __init__(self, house: ChaosHouse) -> None:
        self.house = house
        self.acknowledged: dict[str, Acknowledged] = {}
        self.answers: Counter[int] = Counter()
        self.broken = 0
        self.unclean: list[str] = []
        self.signed = 0
        self.replayed = 0

    async def create(self, provider: str) -> Acknowledged:
        """One envelope, sent, however often it takes."""
        key = f"key-{uuid.uuid4()}"
        body = request_body(key, provider)
        answer = await self.post_until("/envelopes", body, key)
        told = msgspec.json.decode(answer.content)
        done = Acknowledged(
            key=key,
            envelope_id=told["id"],
            provider=told["provider"],
            status=told["status"],
            body=answer.content,
        )
        self.acknowledged[key] = done
        return done

    async def post_until(self, path: str, body: dict[str, Any], key: str) -> httpx.Response:
        """The first answer that is neither 202 nor a passing trouble."""
        content = msgspec.json.encode(body)
        ends_at = time.monotonic() + PATIENCE_S
        last = "nothing"
        while time.monotonic() < ends_at:
            answer = await self._once(path, content, key)
            if answer is not None:
                if answer.status_code in {200, 201}:
                    return answer
                last = f"{answer.status_code} {answer.text[:300]}"
            # Retry-After is honoured as far as a test can wait: whoever knocks on regardless only burns tries.
            asked = float(answer.headers.get("retry-after", "0")) if answer is not None else 0.0
            await asyncio.sleep(max(_AGAIN_S, min(asked, _LONGEST_PAUSE_S)))
        known = await self.house.explain(key)
        pytest.fail(f"{path} {key}: no definite answer in {PATIENCE_S:.0f} s, the last was {last}; {known}")

    async def _once(self, path: str, content: bytes, key: str) -> httpx.Response | None:
        headers = {
            **self.house.headers,
            "idempotency-key": key,
            "content-type": "application/json",
        }
        try:
            answer = await self.house.client.post(f"{self.house.api}{path}", headers=headers, content=content)
        except httpx.TransportError:
            self.broken += 1
            return None
        status = answer.status_code
        self.answers[status] += 1
        passing = {202, 409, 503, 504, 502}
        if status not in passing | {200, 201} or (status == 503 and "retry-after" not in answer.headers):
            self.unclean.append(f"{status} {answer.text[:300]}")
        return answer

    async def probe(self) -> httpx.Response:
        """One plain read."""
        return await self.house.client.get(f"{self.house.api}/envelopes", headers=self.house.headers)

    async def create_many(self, count: int, at_once: int = 6, provider: str = "") -> list[Acknowledged]:
        """`provider` empty: both, in turn."""
        gate = asyncio.Semaphore(at_once)

        async def one(number: int) -> Acknowledged:
            async with gate:
                return await self.create(provider or PROVIDERS[number % len(PROVIDERS)])

        return list(await asyncio.gather(*(one(number) for number in range(count))))

    async def sign(self, acknowledged: Sequence[Acknowledged]) -> None:
        """The signer of each envelope signs at its provider, which then sends its webhooks."""
        for one in acknowledged:
            rows = await self.house.sql(
                "SELECT provider, provider_ref FROM envelopes WHERE external_reference = $1", one.key
            )
            provider, ref = rows[0]["provider"], rows[0]["provider_ref"]
            person = PEOPLE[provider](self.house.client, self.house.house.sandboxes[provider].url)
            ends_at = time.monotonic() + PATIENCE_S
            while True:  # a provider prepares the documents before anybody can sign them
                try:
                    await person.sign(ref, SIGNER)
                    break
                except DemoFailed:
                    if time.monotonic() > ends_at:
                        raise
                    await asyncio.sleep(0.2)
            self.signed += 1

    async def replay(self, acknowledged: Sequence[Acknowledged]) -> None:
        """Repeats answered requests: the same bytes come back, and say that they are a replay."""
        for one in acknowledged:
            content = msgspec.json.encode(request_body(one.key, one.provider))
            answer = await self._once("/envelopes", content, one.key)
            assert answer is not None
            assert answer.status_code == 201
            assert answer.content == one.body
            assert answer.headers["idempotency-replayed"] == "true"
            self.replayed += 1

    async def subscribe(self, url: str, **changes: Any) -> dict[str, Any]:
        answer = await self.house.client.post(
            f"{self.house.api}/webhooks", headers=self.house.headers, json={"url": url} | changes
        )
        assert answer.status_code == 201, answer.text
        return answer.json()


def request_body(key: str, provider: str) -> dict[str, Any]:
    return bodies.envelope(
        name="Chaos",
        send=True,
        reference=key,
        document_type=provider,
        recipients=[bodies.signer(authentication="access_code", access_code=ACCESS_CODE)],
    )


class Faults:
    """The providers' sandboxes, as somebody who wants to break them sees them."""

    def __init__(self, house: ChaosHouse) -> None:
        self._house = house

    async def arm(
        self, provider: str, kind: str, operation: str, count: int = 1, seconds: float = 5.0
    ) -> None:
        url = f"{self._house.house.sandboxes[provider].url}/sandbox/faults"
        body: dict[str, Any] = {"kind": kind, "match": operation, "count": count, "seconds": seconds}
        if provider == "adobe_sign":
            match = {"operation": operation, "count": count, "seconds": seconds}
            body = {"kind": kind, "match": match}
        elif kind == "http_429":
            # The burst's form. The hourly one tells the gateway to be silent until the hour is over, and it is.
            body |= {"has_headers": False, "code": "BURST_APIINVOCATION_LIMIT_EXCEEDED"}
        answer = await self._house.client.post(url, json=body)
        assert answer.status_code == 201, answer.text

    async def is_used_up(self, provider: str) -> bool:
        answer = await self._house.client.get(f"{self._house.house.sandboxes[provider].url}/sandbox/faults")
        told = answer.json()
        return not told["faults"] if isinstance(told, dict) else all(one["remaining"] == 0 for one in told)

    async def clear(self, provider: str) -> None:
        answer = await self._house.client.delete(
            f"{self._house.house.sandboxes[provider].url}/sandbox/faults"
        )
        assert answer.is_success, answer.text
