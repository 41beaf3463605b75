"""The bare route that the inbound door is compared with: reads, verifies and answers, and keeps nothing."""

import os

from litestar import Litestar, Request, Response, post
from litestar.params import FromPath

from adapters.docusign import ADAPTER
from adapters.kit.port import Connection, RawRequest
from config.secret import Secret


def build() -> Litestar:
    connection = Connection(
        id="bench",
        tenant_id="bench",
        credentials=ADAPTER.decode_credentials(os.environ["BENCH_CREDENTIALS"].encode()),
        webhook_keys=(Secret(os.environ["BENCH_KEY"]),),
    )

    @post("/webhooks/signatures/{provider:str}/{key:str}", status_code=200, request_max_body_size=None)
    async def receive(
        request: Request,  # type: ignore[type-arg]
        provider: FromPath[str],  # noqa: ARG001 - the same path as the gateway's
        key: FromPath[str],  # noqa: ARG001
    ) -> Response[bytes]:
        raw = RawRequest(
            method="POST",
            headers=tuple(
                (name.decode("latin-1").lower(), value.decode("latin-1"))
                for name, value in request.scope["headers"]
            ),
            body=await request.body(),
        )
        verdict = ADAPTER.verify(raw, connection)
        reply = ADAPTER.acknowledge(raw, connection, verdict)
        return Response(reply.body, status_code=reply.status)

    return Litestar([receive], openapi_config=None, logging_config=None)
