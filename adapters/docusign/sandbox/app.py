"""The whole surface on one screen, and how its refusals become answers."""

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from . import api_account, api_documents, api_envelopes, api_parts, api_views, control, oauth, pages
from .courier import Courier
from .exchange import Answer, HttpRequest, answer
from .gate import api_gate, page_gate
from .refusals import Refusal
from .world import World

_API: list[ControllerRouterHandler] = [
    api_envelopes.create, api_envelopes.show, api_envelopes.update, api_envelopes.list_changes,
    api_envelopes.list_by_ids, api_envelopes.audit_events, api_envelopes.move,
    api_parts.list_recipients, api_parts.add_recipients, api_parts.correct_recipients,
    api_parts.remove_recipients,
    api_parts.remove_recipient, api_parts.list_tabs, api_parts.add_tabs, api_parts.change_tabs,
    api_parts.remove_tabs,
    api_parts.list_fields, api_parts.add_fields, api_parts.change_fields, api_parts.remove_fields,
    api_parts.show_notification, api_parts.change_notification,
    api_parts.show_lock, api_parts.take_lock, api_parts.extend_lock, api_parts.release_lock,
    api_documents.list_documents, api_documents.put_documents, api_documents.remove_documents,
    api_documents.download, api_documents.put_document,
    api_documents.start_upload, api_documents.add_part, api_documents.commit_upload,
    api_documents.show_upload,
    api_documents.remove_upload,
    api_views.recipient_view, api_views.correct_view, api_views.leave_correct_view, api_views.sender_view,
    api_views.edit_view,
    api_account.account, api_account.identity_verification, api_account.list_templates,
    api_account.show_template,
    api_account.list_configurations, api_account.add_configuration, api_account.change_configuration,
    api_account.logs, api_account.log, api_account.failures, api_account.drop_failure, api_account.republish,
    api_account.republish_many, api_account.show_configuration, api_account.remove_configuration,
]  # fmt: skip
_CONTROL: list[ControllerRouterHandler] = [
    control.health, control.envelopes, control.envelope, control.act, control.sign_all, control.expire,
    control.purge,
    control.list_faults, control.add_fault, control.clear_faults, control.webhooks, control.hmac_keys,
    control.add_hmac_key, control.remove_hmac_key, control.switch,
    control.add_connect, control.disable_connect, control.forget_connect,
]  # fmt: skip
_PAGES: list[ControllerRouterHandler] = [
    pages.list_page, pages.envelope_page, pages.envelope_pdf, pages.act, pages.start, pages.finish,
]  # fmt: skip


def create_app(world: World, courier: Courier) -> Litestar:
    """The ASGI application around one world."""
    api = Router("/restapi/v2.1/accounts/{account_id:str}", route_handlers=_API, middleware=[api_gate])
    authority = Router(
        "/", route_handlers=[oauth.token, oauth.userinfo, oauth.consent], middleware=[api_gate]
    )
    steering = Router("/sandbox", route_handlers=_CONTROL, middleware=[page_gate])
    people = Router("/", route_handlers=_PAGES, middleware=[page_gate])
    return Litestar(
        route_handlers=[api, authority, steering, people],
        state=State({"world": world, "courier": courier}),
        exception_handlers={Refusal: _refused, HTTPException: _unknown},
        request_max_body_size=world.settings.max_body_bytes,
        openapi_config=None,
        on_startup=[courier.start],
        on_shutdown=[courier.stop],
    )


def _refused(_request: HttpRequest, refusal: Refusal) -> Answer:
    return answer(refusal.body(), refusal.row.status)


def _unknown(_request: HttpRequest, error: HTTPException) -> Answer:
    """What the framework refuses by itself, in the provider's words."""
    match error.status_code:
        case 413:
            refusal = Refusal("api-body-too-large")
        case 405:
            refusal = Refusal("api-method-not-allowed")
        case 404:
            refusal = Refusal("api-path-unknown")
        case _:
            refusal = Refusal("body-not-json", error.detail)
    return answer(refusal.body(), refusal.row.status)
