"""A tenant's appearance over HTTP: administrators set it, and everybody may see a logo."""

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, Response, delete, get, put
from litestar.exceptions import NotFoundException
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath, JSONBody

from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.open_routes import OPEN
from gateway.http.openapi import problems
from gateway.services import Services
from gateway.tenants import branding
from gateway.tenants.branding import Branding, BrandingInput
from gateway.tenants.scopes import Scope
from normalizer.ids import Kind, read_id

_ADMIN: dict[str, Any] = {"opt": {"scope": Scope.ADMIN}, "responses": problems(404)}


class BrandingView(msgspec.Struct, frozen=True, kw_only=True):
    """`logo_url` is empty where there is no logo, and new with every picture."""

    organisation: str
    colour: str
    ink: str
    support_email: str
    reply_to: str
    logo_url: str
    logo_width: int
    logo_height: int


@dataclass
class LogoOperation(Operation):
    """An operation whose body is a picture."""

    def __post_init__(self) -> None:
        file = OpenAPIMediaType(
            schema=Schema(type=OpenAPIType.STRING, content_media_type="application/octet-stream")
        )
        self.request_body = RequestBody(
            content=dict.fromkeys(("image/png", "image/jpeg"), file), required=True
        )


@get("/tenants/{tenant_id:str}/branding", **_ADMIN)
async def read_branding(services: TheServices, tenant_id: FromPath[str]) -> BrandingView:
    """How the tenant's signing pages look."""
    return _view(services, await branding.read_branding(services, read_id(Kind.TENANT, tenant_id)))


@put("/tenants/{tenant_id:str}/branding", **_ADMIN)
async def set_branding(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], data: JSONBody[BrandingInput]
) -> BrandingView:
    """Set name, colours and addresses; the logo stays. Colours that cannot be read together are refused."""
    own = read_id(Kind.TENANT, tenant_id)
    return _view(services, await branding.set_branding(services, caller, own, data))


@put("/tenants/{tenant_id:str}/branding/logo", **_ADMIN, operation_class=LogoOperation)
async def set_logo(
    request: Request[Any, Any, Any], services: TheServices, caller: TheCaller, tenant_id: FromPath[str]
) -> BrandingView:
    """Set the logo: the body is a PNG or JPEG picture. It is encoded anew and made small enough for the pages."""
    own = read_id(Kind.TENANT, tenant_id)
    return _view(services, await branding.set_logo(services, caller, own, await request.body()))


@delete("/tenants/{tenant_id:str}/branding/logo", **_ADMIN)
async def remove_logo(services: TheServices, caller: TheCaller, tenant_id: FromPath[str]) -> None:
    """Remove the logo; the organisation's name takes its place."""
    await branding.remove_logo(services, caller, read_id(Kind.TENANT, tenant_id))


@get("/sign/brand/{public_id:str}", **OPEN)
async def logo(services: TheServices, public_id: FromPath[str]) -> Response[bytes]:
    """A logo, for pages and mails. Its id is its picture's: it may be kept for ever."""
    png = await branding.find_logo(services, public_id)
    if png is None:
        raise NotFoundException
    headers = {
        "cache-control": "public, max-age=31536000, immutable",
        "content-security-policy": "default-src 'none'",
        "cross-origin-resource-policy": "cross-origin",
    }
    return Response(png, media_type="image/png", headers=headers)


def _view(services: Services, stored: Branding) -> BrandingView:
    base = services.settings.countersign.public_base_url.rstrip("/")
    public_id = stored.logo_public_id
    return BrandingView(
        organisation=stored.organisation,
        colour=stored.colour,
        ink=stored.ink,
        support_email=stored.support_email,
        reply_to=stored.reply_to,
        logo_url=f"{base}{branding.logo_address(public_id)}" if public_id else "",
        logo_width=stored.logo_width,
        logo_height=stored.logo_height,
    )
