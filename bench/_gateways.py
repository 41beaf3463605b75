"""The two servers that bench/create compares, as factories for granian: the real application, and a bare route.

The bare route decodes the same body, makes the same provider call through the same HTTP client set-up, with the
body that a person would write by hand, and stores nothing. Both answer `GET /spent` with what they have used so far.
"""

import os
import time
from typing import Any

import httpx
import msgspec
from litestar import Litestar, post
from litestar.params import JSONBody
from litestar.types import ASGIApp

from adapters.kit.exchange import Effect, ProviderRequest
from adapters.kit.transmit import Parcel, Transmitter
from config.settings_source import load_settings
from gateway.app import create_app
from gateway.composition import executor_options, open_services
from gateway.envelopes.draft import EnvelopeInput


class _NoBlobs:
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
    settings = load_settings()
    url = httpx.URL(os.environ["BENCH_PROVIDER_URL"])
    transmitter = Transmitter(executor_options(settings.provider))

    @post("/api/v1/signatures/envelopes", status_code=201)
    async def create(data: JSONBody[EnvelopeInput]) -> dict[str, Any]:
        request = ProviderRequest(
            operation="create",
            method="POST",
            path="",
            effect=Effect.CREATES,
            content=(msgspec.json.encode(_provider_body(data)),),
            accept=frozenset({201}),
        )
        parcel = Parcel(
            request=request, url=url, headers=(("authorization", "Bearer canned"),), on_sent=lambda: None
        )
        answer = await transmitter.send(parcel, _NoBlobs())
        provider: dict[str, Any] = msgspec.json.decode(answer.body)
        return {"name": data.name, "status": provider["status"], "provider_ref": provider["envelopeId"]}

    litestar = Litestar([create], openapi_config=None, logging_config=None)

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
