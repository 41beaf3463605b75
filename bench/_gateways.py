"""The servers that bench/create compares, as factories for granian: the real application, and bare routes.

A bare route decodes the same body, makes the same provider call with the body that a person would write by hand,
and stores nothing. All answer `GET /spent` with what they have used so far.
"""

import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
from litestar import Litestar, post
from litestar.params import JSONBody
from litestar.types import ASGIApp

from adapters.kit.exchange import Effect, ProviderRequest
from adapters.kit.transmit import Parcel, Transmitter
from config.garbage import calm_garbage_collector
from config.settings_source import load_settings
from gateway.app import create_app
from gateway.composition import executor_options, open_services
from gateway.envelopes.draft import EnvelopeInput

_HEADERS = (("authorization", "Bearer canned"), ("content-type", "application/json"))


class _NoBlobs:
    """For calls whose documents are at hand: to fetch or keep one would be a mistake of the bench."""

    def read(self, key: str, offset: int = 0) -> Any:
        raise NotImplementedError

    async def write(self, chunks: Any) -> Any:
        raise NotImplementedError


def real() -> ASGIApp:
    settings = load_settings()
    made: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            async with open_services(settings, name="bench") as services:
                for adapter in services.adapters.values():
                    # What an account may call in an hour is not what is measured here.
                    adapter.limits = msgspec.structs.replace(
                        adapter.limits, calls_per_hour=10**9, burst_calls=10**6
                    )
                made["services"], made["app"] = services, create_app(services)
                calm_garbage_collector()  # as the gateway's process does
                await made["app"](scope, receive, send)
            return
        if scope.get("path") == "/spent":
            services = made["services"]
            databases = (services.database, services.hub)
            await _tell(
                send,
                statements=sum(one.statements for one in databases),
                round_trips=sum(one.round_trips for one in databases),
            )
            return
        await made["app"](scope, receive, send)

    return app


def bare() -> ASGIApp:
    """With one shared httpx.AsyncClient, as its documentation shows it."""
    client = httpx.AsyncClient(trust_env=False, timeout=30.0)
    url = os.environ["BENCH_PROVIDER_URL"]

    async def ask(body: bytes) -> bytes:
        answer = await client.post(url, content=body, headers=dict(_HEADERS))
        answer.raise_for_status()
        return answer.content

    return _bare(ask)


def bare_pooled() -> ASGIApp:
    """With the gateway's own set-up of httpx: one transport per connection."""
    transmitter = Transmitter(executor_options(load_settings().provider))
    url = httpx.URL(os.environ["BENCH_PROVIDER_URL"])

    async def ask(body: bytes) -> bytes:
        request = ProviderRequest(
            operation="create",
            method="POST",
            path="",
            effect=Effect.CREATES,
            content=(body,),
            accept=frozenset({201}),
        )
        parcel = Parcel(request=request, url=url, headers=_HEADERS[:1], on_sent=lambda: None)
        return (await transmitter.send(parcel, _NoBlobs())).body

    return _bare(ask)


def _bare(ask: Callable[[bytes], Awaitable[bytes]]) -> ASGIApp:
    @post("/api/v1/signatures/envelopes", status_code=201)
    async def create(data: JSONBody[EnvelopeInput]) -> dict[str, Any]:
        provider: dict[str, Any] = msgspec.json.decode(await ask(msgspec.json.encode(_provider_body(data))))
        return {"name": data.name, "status": provider["status"], "provider_ref": provider["envelopeId"]}

    litestar = Litestar([create], openapi_config=None, logging_config=None)

    calm_garbage_collector()  # the bare route profits too

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == "/spent":
            await _tell(send)
            return
        await litestar(scope, receive, send)

    return app


def _provider_body(data: EnvelopeInput) -> dict[str, Any]:
    """The provider's request for this envelope, by hand: the same documents, recipients and places."""
    documents = [
        {"documentId": str(number), "name": one.name, "documentBase64": one.content_base64}
        for number, one in enumerate(data.documents, start=1)
    ]
    signers = [
        {
            "recipientId": str(number),
            "routingOrder": str(one.routing_order),
            "name": one.name,
            "email": one.email,
            "tabs": {
                "signHereTabs": [
                    {
                        "documentId": str(field.document),
                        "pageNumber": str(field.page),
                        "xPosition": str(round(field.x)),
                        "yPosition": str(round(field.y)),
                    }
                    for field in one.fields
                ]
            },
        }
        for number, one in enumerate(data.recipients, start=1)
    ]
    return {
        "status": "sent",
        "emailSubject": data.name,
        "documents": documents,
        "recipients": {"signers": signers},
    }


async def _tell(send: Any, **figures: int) -> None:
    body = msgspec.json.encode({"cpu_s": time.process_time(), **figures})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
