"""The HTTP application: routes, edge, problems and documentation around the services.

`create_app(services)` for tests and embedding; `from_environment()` is what the server process loads.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Router
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ASGIApp

from config.errors import StoreUnavailable
from config.garbage import calm_garbage_collector
from config.logging import configure_logging
from config.settings import Settings
from config.settings_source import load_settings
from gateway.composition import open_services
from gateway.http import routes
from gateway.http.background import drain
from gateway.http.edge import Edge, check_routes
from gateway.http.idempotency import Idempotency
from gateway.http.inbound import open_door
from gateway.http.openapi_webhooks import webhook_headers, webhook_items
from gateway.http.outermost import outermost
from gateway.http.portal.door import portal_router
from gateway.http.problems import (
    handle_domain_error,
    handle_framework_error,
    handle_store_loss,
    handle_unforeseen,
)
from gateway.http.rate_limit import RateLimiter
from gateway.http.requests import JsonRequest
from gateway.http.sign.door import limit_visits, sign_router
from gateway.http.verify_page import verify_router
from gateway.services import Caller, Services
from gateway.tenants.api_keys import KeyRing
from normalizer.errors import CountersignError

_DESCRIPTION = (
    "One envelope API in front of several e-signature providers. Errors are problem+json (RFC 9457) with a stable"
    " code; every POST and PATCH takes an Idempotency-Key. A body that is too large is refused before it has been"
    " read, which some clients report as a broken connection."
)
__all__ = ["create_app", "from_environment"]


def create_app(services: Services) -> ASGIApp:
    """The application on services that are open already; whoever opened them closes them."""
    settings = services.settings
    edge = Edge(
        KeyRing(services.hub, services.clock, services.pepper),
        RateLimiter(
            services.redis,
            services.clock,
            settings.limit.requests_per_minute,
            settings.limit.requests_burst,
        ),
        settings.http.trusted_proxies,
    )

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with open_door(services) as app.state.door:
            yield
            await drain(settings.http.grace_s)

    app = Litestar(
        route_handlers=[
            Router(routes.API, route_handlers=routes.TENANT_ROUTES, tags=["signatures"]),
            Router(routes.ADMIN, route_handlers=routes.ADMIN_ROUTES, tags=["admin"]),
            Router(routes.INBOUND, route_handlers=routes.INBOUND_ROUTES, include_in_schema=False),
            sign_router(services, routes.SIGN_ROUTES),
            verify_router(services, routes.VERIFY_ROUTES),
            portal_router(services, routes.PORTAL_ROUTES),
            Router("/", route_handlers=routes.PREPARE_ROUTES, before_request=limit_visits(services)),
            *routes.OPEN_ROUTES,
        ],
        dependencies={
            "services": Provide(lambda: services, sync_to_thread=False),
            "caller": Provide(_caller, sync_to_thread=False),
        },
        exception_handlers={
            CountersignError: handle_domain_error,
            StoreUnavailable: handle_store_loss,
            HTTPException: handle_framework_error,
            Exception: handle_unforeseen,
        },
        # Both pass by a route that names no scope, so the open routes stay open.
        middleware=[edge, Idempotency(services)],
        lifespan=[lifespan],
        request_class=JsonRequest,
        request_max_body_size=settings.http.body_bytes,
        openapi_config=_openapi(),
        state=State({"services": services}),
        # Litestar would add a logging configuration and a signal of its own; ours is set by the process.
        logging_config=None,
        debug=False,
    )
    check_routes(app, "/api/")
    return outermost(app)


def from_environment() -> ASGIApp:
    """The application of a server process: settings from the environment, services opened at start-up."""
    settings = load_settings()
    configure_logging(str(settings.countersign.log_level))
    return _Deferred(settings)


class _Deferred:
    """Opens the services inside the server's event loop, when it announces its start, and closes them after
    the application has drained.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            async with open_services(self._settings, name="countersign gateway") as services:
                self._app = create_app(services)
                calm_garbage_collector()
                await self._app(scope, receive, send)
            return
        if self._app is None:
            raise RuntimeError("the server did not announce its start: lifespan must be on")
        await self._app(scope, receive, send)


def _caller(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Caller:
    # It needs the services for nothing but their place before it: Litestar resolves what is independent in a task
    # group, with two tasks for every request.
    del services
    caller: Caller = request.scope["state"]["caller"]
    return caller


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Countersign",
        version="1.0.0",
        description=_DESCRIPTION,
        path="/docs",
        render_plugins=[JsonRenderPlugin(path="/openapi.json"), YamlRenderPlugin(path="/openapi.yaml")],
        components=Components(
            security_schemes={"apiKey": SecurityScheme(type="http", scheme="bearer", description="cs_...")},
            parameters=webhook_headers(),
        ),
        webhooks=webhook_items(),
        security=[{"apiKey": []}],
        use_handler_docstrings=True,
    )
