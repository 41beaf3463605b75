"""Who may enter a ceremony, over HTTP: unlocking a recipient, and where a tenant embeds the ceremony."""

from typing import Any

import msgspec
from litestar import get, post, put
from litestar.params import FromPath, JSONBody

from engine.ceremony.embedding import EmbeddingLists
from gateway.envelopes.unlock import unlock as unlock_recipient
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.openapi import problems
from gateway.tenants.embedding import read_embedding, set_embedding
from gateway.tenants.scopes import Scope
from normalizer.ids import Kind, read_id

_ADMIN: dict[str, Any] = {"opt": {"scope": Scope.ADMIN}, "responses": problems(404, 422)}


class Unlocked(msgspec.Struct, frozen=True):
    """`was_locked` False: there was nothing to do, and nothing was recorded."""

    was_locked: bool


class EmbeddingInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`origins` as https://host, exactly; `return_urls` letter by letter. Both replace what was there."""

    origins: tuple[str, ...] = ()
    return_urls: tuple[str, ...] = ()


class EmbeddingView(msgspec.Struct, frozen=True):
    origins: tuple[str, ...]
    return_urls: tuple[str, ...]


@post(
    "/envelopes/{envelope_id:str}/recipients/{recipient_id:str}/unlock",
    opt={"scope": Scope.ENVELOPES_WRITE},
    status_code=200,
    responses=problems(404, 422),
)
async def unlock(
    services: TheServices, caller: TheCaller, envelope_id: FromPath[str], recipient_id: FromPath[str]
) -> Unlocked:
    """Let a recipient who failed to authenticate too often try again at once."""
    own, recipient = read_id(Kind.ENVELOPE, envelope_id), read_id(Kind.RECIPIENT, recipient_id)
    return Unlocked(await unlock_recipient(services, caller, own, recipient))


@get("/tenants/{tenant_id:str}/embedding", **_ADMIN)
async def read_lists(services: TheServices, tenant_id: FromPath[str]) -> EmbeddingView:
    """Where a tenant may embed the ceremony, and where it may lead back to."""
    return _view(await read_embedding(services, read_id(Kind.TENANT, tenant_id)))


@put("/tenants/{tenant_id:str}/embedding", **_ADMIN)
async def set_lists(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], data: JSONBody[EmbeddingInput]
) -> EmbeddingView:
    """Set both lists. Links that were made already keep what they were made with."""
    lists = EmbeddingLists(data.origins, data.return_urls)
    return _view(await set_embedding(services, caller, read_id(Kind.TENANT, tenant_id), lists))


def _view(lists: EmbeddingLists) -> EmbeddingView:
    return EmbeddingView(lists.origins, lists.return_urls)
