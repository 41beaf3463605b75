"""A tenant's own templates over HTTP: make, list, read, change, delete. Envelopes use them by `template_id`."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from gateway.envelopes.draft import RemindersInput
from gateway.envelopes.view import DocumentView, view_bytes
from gateway.http import examples
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.examples import with_examples
from gateway.http.openapi import problems
from gateway.templates.content import RoleInput, TemplateInput
from gateway.templates.edit import change_template, create_template, delete_template
from gateway.templates.store import StoredTemplate, list_templates, load_template
from gateway.tenants.scopes import Scope
from normalizer.ids import Kind, print_id, read_id
from normalizer.recipient import AuthenticationLevel

READ = {"scope": Scope.TEMPLATES_READ}
WRITE = {"scope": Scope.TEMPLATES_WRITE}


class TemplateView(msgspec.Struct, frozen=True, kw_only=True):
    """`version` counts changes: send it along with the next one."""

    id: str
    name: str
    description: str
    version: int
    documents: tuple[DocumentView, ...]
    roles: tuple[RoleInput, ...]
    message: str
    document_type: str
    authentication_level: AuthenticationLevel
    reminders: RemindersInput | None
    language: str
    created_at: datetime
    updated_at: datetime


class TemplatePageView(msgspec.Struct, frozen=True):
    """`next_cursor` is empty on the last page."""

    templates: tuple[TemplateView, ...]
    next_cursor: str


@post(
    "/templates",
    opt=WRITE,
    status_code=201,
    responses=problems(404, 409, 413),
    operation_class=with_examples(examples.TEMPLATE),
)
async def create(services: TheServices, caller: TheCaller, data: JSONBody[TemplateInput]) -> TemplateView:
    """Make a template of documents, roles and the fields that each role fills."""
    return view_template(await create_template(services, caller, data))


@get("/templates", opt=READ, responses=problems())
async def find(
    services: TheServices,
    caller: TheCaller,
    cursor: FromQuery[str] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> TemplatePageView:
    """Templates, newest first."""
    page = await list_templates(services.database, caller.tenant_id, cursor, limit)
    return TemplatePageView(tuple(view_template(one) for one in page.templates), page.next_cursor)


@get("/templates/{template_id:str}", opt=READ, responses=problems(404))
async def read(services: TheServices, caller: TheCaller, template_id: FromPath[str]) -> TemplateView:
    """One template."""
    own = read_id(Kind.TEMPLATE, template_id)
    return view_template(await load_template(services.database, caller.tenant_id, own))


@put(
    "/templates/{template_id:str}",
    opt=WRITE,
    responses=problems(404, 409, 413),
    operation_class=with_examples(examples.TEMPLATE_CHANGE),
)
async def change(
    services: TheServices, caller: TheCaller, template_id: FromPath[str], data: JSONBody[TemplateInput]
) -> TemplateView:
    """Set all of a template; `version` is the one that was read. Without `documents` they stay."""
    own = read_id(Kind.TEMPLATE, template_id)
    return view_template(await change_template(services, caller, own, data))


@delete("/templates/{template_id:str}", opt=WRITE, responses=problems(404))
async def remove(services: TheServices, caller: TheCaller, template_id: FromPath[str]) -> None:
    """Delete a template; envelopes that were made of it go on."""
    await delete_template(services, caller, read_id(Kind.TEMPLATE, template_id))


def view_template(template: StoredTemplate) -> TemplateView:
    content = template.content
    return TemplateView(
        id=print_id(Kind.TEMPLATE, template.id),
        name=template.name,
        description=template.description,
        version=template.version,
        documents=tuple(view_bytes(one) for one in template.documents),
        roles=content.roles,
        message=content.message,
        document_type=content.document_type,
        authentication_level=content.authentication_level,
        reminders=content.reminders,
        language=content.language,
        created_at=template.created_at,
        updated_at=template.updated_at,
    )
