"""The API's side of the portal: a link for a person, made by whoever has a key."""

from typing import Annotated

import msgspec
from litestar import post
from litestar.params import JSONBody

from gateway.console.access import (
    FEWEST_MINUTES,
    MOST_MINUTES,
    USUAL_MINUTES,
    NewLink,
    PortalScope,
    make_portal_link,
)
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.openapi import problems
from gateway.tenants.scopes import Scope
from normalizer.ids import Kind, read_id


class PortalLinkInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`scope` manage needs webhooks:write. `endpoint_id`: the portal shows this endpoint alone. `embed_origins`, of the
    tenant's embedding list, may frame it. `return_url`: where leaving it leads. `minutes`: how long the link opens.
    `language` en or de; the reader's own without it.
    """

    scope: PortalScope = PortalScope.MANAGE
    endpoint_id: str = ""
    embed_origins: Annotated[tuple[str, ...], msgspec.Meta(max_length=20)] = ()
    return_url: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    minutes: Annotated[int, msgspec.Meta(ge=FEWEST_MINUTES, le=MOST_MINUTES)] = USUAL_MINUTES
    language: str = ""


class PortalLinkView(msgspec.Struct, frozen=True):
    """`url` opens once, until `expires_at`: treat it as a secret."""

    url: str
    expires_at: str


@post(
    "/webhooks/portal-link",
    status_code=201,
    opt={"scope": Scope.WEBHOOKS_READ},
    responses=problems(404),
)
async def portal_link(
    services: TheServices, caller: TheCaller, data: JSONBody[PortalLinkInput]
) -> PortalLinkView:
    """A link to the webhook portal: endpoints, deliveries, replays, signatures. It works once."""
    new = NewLink(
        scope=data.scope,
        endpoint_id=read_id(Kind.ENDPOINT, data.endpoint_id) if data.endpoint_id else None,
        origins=data.embed_origins,
        return_url=data.return_url,
        language=data.language,
        minutes=data.minutes,
    )
    link = await make_portal_link(services, caller, new)
    return PortalLinkView(link.url, link.expires_at.isoformat())
