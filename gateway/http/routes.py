"""The whole API on one screen."""

from litestar.types import ControllerRouterHandler

from gateway.http import (
    access,
    admin,
    branding,
    certificates,
    deliveries,
    documents,
    drafts,
    drift,
    envelopes,
    event_types,
    events,
    health,
    inbound,
    inbox,
    ledger,
    prepare,
    providers,
    replays,
    static,
    templates,
    verification,
    verify_page,
    webhook_health,
    webhook_keys,
    webhooks,
)
from gateway.http.portal import deliveries as portal_deliveries
from gateway.http.portal import endpoints as portal_endpoints
from gateway.http.portal import entry as portal
from gateway.http.portal import events as portal_events
from gateway.http.portal import links
from gateway.http.portal import replays as portal_replays
from gateway.http.portal import secrets as portal_secrets
from gateway.http.portal import verify as portal_verify
from gateway.http.sign import authenticate, document, fields, landing, steps

API = "/api/v1/signatures"
ADMIN = "/api/v1/admin"
INBOUND = "/webhooks/signatures"

TENANT_ROUTES: list[ControllerRouterHandler] = [
    documents.upload,  # POST   /documents
    documents.read,  # GET    /documents/{id}
    documents.download,  # GET    /documents/{id}/content
    envelopes.create,  # POST   /envelopes
    envelopes.find,  # GET    /envelopes
    envelopes.read,  # GET    /envelopes/{id}
    drafts.change,  # PATCH  /envelopes/{id}
    drafts.attach_document,  # POST   /envelopes/{id}/documents
    drafts.detach_document,  # DELETE /envelopes/{id}/documents/{id}
    drafts.create_recipient,  # POST   /envelopes/{id}/recipients
    drafts.put_recipient,  # PUT    /envelopes/{id}/recipients/{id}
    drafts.delete_recipient,  # DELETE /envelopes/{id}/recipients/{id}
    drafts.create_field,  # POST   /envelopes/{id}/fields
    drafts.put_field,  # PUT    /envelopes/{id}/fields/{id}
    drafts.delete_field,  # DELETE /envelopes/{id}/fields/{id}
    envelopes.send,  # POST   /envelopes/{id}/send
    envelopes.void,  # POST   /envelopes/{id}/void
    envelopes.resend,  # POST   /envelopes/{id}/resend
    envelopes.correct,  # POST   /envelopes/{id}/recipients/{id}/correct
    envelopes.signing_url,  # POST   /envelopes/{id}/recipients/{id}/signing-url
    access.unlock,  # POST   /envelopes/{id}/recipients/{id}/unlock
    prepare.prepare_url,  # POST   /envelopes/{id}/prepare-url
    envelopes.download_combined,  # GET    /envelopes/{id}/combined
    envelopes.download_certificate,  # GET    /envelopes/{id}/certificate
    envelopes.download_single,  # GET    /envelopes/{id}/documents/{number}
    envelopes.provider_history,  # GET    /envelopes/{id}/provider-history
    templates.create,  # POST   /templates
    templates.find,  # GET    /templates
    templates.read,  # GET    /templates/{id}
    templates.change,  # PUT    /templates/{id}
    templates.remove,  # DELETE /templates/{id}
    ledger.events,  # GET    /envelopes/{id}/events
    ledger.audit_trail,  # GET    /envelopes/{id}/audit-trail
    ledger.verify_envelope,  # GET    /envelopes/{id}/audit-trail/verify
    certificates.create,  # POST   /certificates
    certificates.find,  # GET    /certificates
    certificates.read,  # GET    /certificates/{id}
    certificates.change,  # PATCH  /certificates/{id}
    certificates.revoke,  # POST   /certificates/{id}/revoke
    certificates.sign,  # POST   /documents/{id}/sign
    verification.verify,  # POST   /verify
    ledger.tenant_events,  # GET    /audit/events
    ledger.verify_tenant,  # GET    /audit/verify
    links.portal_link,  # POST   /webhooks/portal-link
    webhooks.create,  # POST   /webhooks
    webhooks.find,  # GET    /webhooks
    webhooks.read,  # GET    /webhooks/{id}
    webhooks.change,  # PATCH  /webhooks/{id}
    webhooks.remove,  # DELETE /webhooks/{id}
    webhooks.rotate,  # POST   /webhooks/{id}/rotate-secret
    webhook_keys.activate,  # POST   /webhooks/{id}/activate-secret
    webhook_keys.test_signature,  # POST   /webhooks/{id}/test-signature
    webhook_keys.check_filter,  # POST   /webhooks/filter-check
    webhooks.test,  # POST   /webhooks/{id}/test
    webhook_health.health,  # GET    /webhooks/{id}/health
    deliveries.replay_endpoint,  # POST   /webhooks/{id}/replay
    inbox.find,  # GET    /inbound
    inbox.summary,  # GET    /inbound/summary
    inbox.read,  # GET    /inbound/{id}
    events.endpoint_feed,  # GET    /webhooks/{id}/events
    events.feed,  # GET    /events
    event_types.find,  # GET    /event-types
    event_types.read,  # GET    /event-types/{type}
    deliveries.deliveries,  # GET    /deliveries
    deliveries.summary,  # GET    /deliveries/summary
    deliveries.event_deliveries,  # GET    /events/{id}/deliveries
    deliveries.delivery,  # GET    /deliveries/{id}
    deliveries.attempts,  # GET    /deliveries/{id}/attempts
    deliveries.replay_delivery,  # POST   /deliveries/{id}/replay
    replays.gaps,  # GET    /webhooks/{id}/gaps
    replays.compare,  # POST   /webhooks/{id}/gaps
    replays.create,  # POST   /replays
    replays.find,  # GET    /replays
    replays.read,  # GET    /replays/{id}
    replays.pause,  # POST   /replays/{id}/pause
    replays.resume,  # POST   /replays/{id}/resume
    replays.cancel,  # POST   /replays/{id}/cancel
]

ADMIN_ROUTES: list[ControllerRouterHandler] = [
    admin.create_tenant,  # POST   /tenants
    admin.list_tenants,  # GET    /tenants
    admin.read_tenant,  # GET    /tenants/{id}
    admin.change_tenant,  # PATCH  /tenants/{id}
    admin.create_user,  # POST   /tenants/{id}/users
    admin.list_users,  # GET    /tenants/{id}/users
    admin.change_user,  # PATCH  /tenants/{id}/users/{id}
    admin.create_key,  # POST   /tenants/{id}/keys
    admin.list_keys,  # GET    /tenants/{id}/keys
    admin.revoke_key,  # DELETE /tenants/{id}/keys/{id}
    providers.list_providers,  # GET    /providers
    providers.create_connection,  # POST   /tenants/{id}/connections
    providers.list_connections,  # GET    /tenants/{id}/connections
    providers.change_connection,  # PATCH  /tenants/{id}/connections/{id}
    providers.check_connection,  # POST   /tenants/{id}/connections/{id}/check
    drift.read_drift,  # GET    /tenants/{id}/connections/{id}/drift
    drift.read_webhook_configuration,  # GET    /tenants/{id}/connections/{id}/webhook-configuration
    drift.check_webhook_configuration,  # POST   /tenants/{id}/connections/{id}/webhook-configuration/check
    providers.read_routing,  # GET    /tenants/{id}/routing
    providers.set_routing,  # PUT    /tenants/{id}/routing
    providers.switch_provider,  # POST   /tenants/{id}/provider-switches
    providers.list_switches,  # GET    /tenants/{id}/provider-switches
    providers.revert_switch,  # POST   /tenants/{id}/provider-switches/{id}/revert
    admin.verify_tenant,  # GET    /tenants/{id}/audit/verify
    branding.read_branding,  # GET    /tenants/{id}/branding
    branding.set_branding,  # PUT    /tenants/{id}/branding
    branding.set_logo,  # PUT    /tenants/{id}/branding/logo
    branding.remove_logo,  # DELETE /tenants/{id}/branding/logo
    inbox.admin_find,  # GET    /tenants/{id}/inbox
    inbox.admin_summary,  # GET    /tenants/{id}/inbox/summary
    inbox.refusals,  # GET    /tenants/{id}/inbox/refusals
    inbox.replay_filtered,  # POST   /tenants/{id}/inbox/replay
    inbox.admin_read,  # GET    /tenants/{id}/inbox/{id}
    inbox.body,  # GET    /tenants/{id}/inbox/{id}/body
    inbox.replay_one,  # POST   /tenants/{id}/inbox/{id}/replay
    inbox.release,  # POST   /tenants/{id}/inbox/{id}/release
    inbox.drop,  # POST   /tenants/{id}/inbox/{id}/drop
    access.read_lists,  # GET    /tenants/{id}/embedding
    access.set_lists,  # PUT    /tenants/{id}/embedding
]

INBOUND_ROUTES: list[ControllerRouterHandler] = [
    inbound.challenge,  # GET    /{provider}/{connection key}
    inbound.receive,  # POST   /{provider}/{connection key}
]

SIGN_ROUTES: list[ControllerRouterHandler] = [
    landing.look,  # GET    /{token}
    landing.start,  # POST   /{token}
    steps.root,  # GET    /s/{handle}
    authenticate.show,  # GET    /s/{handle}/authenticate
    authenticate.prove,  # POST   /s/{handle}/authenticate
    authenticate.send,  # POST   /s/{handle}/authenticate/send
    steps.consent,  # GET    /s/{handle}/consent
    steps.agree,  # POST   /s/{handle}/consent
    steps.sample,  # GET    /s/{handle}/consent/sample.pdf
    steps.refuse,  # POST   /s/{handle}/consent/refuse
    steps.withdraw,  # POST   /s/{handle}/consent/withdraw
    document.document,  # GET    /s/{handle}/document
    document.content,  # GET    /s/{handle}/documents/{n}.pdf
    document.text,  # GET    /s/{handle}/documents/{n}/text
    fields.put_value,  # PUT    /s/{handle}/fields/{id}
    fields.put_signature,  # PUT    /s/{handle}/fields/{id}/signature
    fields.post_attachment,  # POST   /s/{handle}/fields/{id}/attachment
    fields.post_signature,  # POST   /s/{handle}/signatures
    fields.picture,  # GET    /s/{handle}/signatures/{id}.png
    document.save,  # POST   /s/{handle}/save
    document.review,  # GET    /s/{handle}/review
    document.finish,  # POST   /s/{handle}/finish
    steps.decline_form,  # GET    /s/{handle}/decline
    steps.decline_now,  # POST   /s/{handle}/decline
    steps.delegate_form,  # GET    /s/{handle}/delegate
    steps.delegate_now,  # POST   /s/{handle}/delegate
    steps.done,  # GET    /s/{handle}/done
    document.download,  # GET    /s/{handle}/download/{part}
    steps.extend,  # POST   /s/{handle}/extend
    steps.leave,  # POST   /s/{handle}/leave
]

VERIFY_ROUTES: list[ControllerRouterHandler] = [
    verify_page.ask,  # GET    /
    verify_page.check,  # POST   /
    verify_page.go_to_code,  # POST   /code
    verify_page.look_up,  # GET    /{code}
]

OPEN_ROUTES: list[ControllerRouterHandler] = [
    health.health,  # GET /health
    health.error_codes,  # GET /docs/errors
    health.ready,  # GET /ready
    health.prometheus,  # GET /metrics
    static.page_file,  # GET /sign/static/{name}
    static.console_file,  # GET /console/static/{name}
    branding.logo,  # GET /sign/brand/{id}
    webhook_keys.public_keys,  # GET /.well-known/countersign/webhook-keys/{id}
]

PREPARE_ROUTES: list[ControllerRouterHandler] = [
    prepare.look,  # GET /prepare/{token}
    prepare.start,  # POST /prepare/{token}
    prepare.show,  # GET /prepare/s/{handle}
    prepare.content,  # GET /prepare/s/{handle}/documents/{n}.pdf
    prepare.add,  # POST /prepare/s/{handle}/fields
    prepare.replace,  # PUT /prepare/s/{handle}/fields/{id}
    prepare.remove,  # DELETE /prepare/s/{handle}/fields/{id}
    prepare.close,  # POST /prepare/s/{handle}/close
]

PORTAL_ROUTES: list[ControllerRouterHandler] = [
    portal.look,  # GET    /{token}
    portal.start,  # POST   /{token}
    portal.home,  # GET    /s/{handle}
    portal.speak,  # POST   /s/{handle}/language
    portal.leave,  # POST   /s/{handle}/leave
    portal_endpoints.endpoints,  # GET    /s/{handle}/endpoints
    portal_endpoints.ask_new,  # GET    /s/{handle}/endpoints/new
    portal_endpoints.create,  # POST   /s/{handle}/endpoints/new
    portal_endpoints.endpoint,  # GET    /s/{handle}/endpoints/{id}
    portal_endpoints.ask_settings,  # GET    /s/{handle}/endpoints/{id}/settings
    portal_endpoints.change,  # POST   /s/{handle}/endpoints/{id}/settings
    portal_endpoints.test,  # POST   /s/{handle}/endpoints/{id}/test
    portal_secrets.secret,  # GET    /s/{handle}/endpoints/{id}/secret
    portal_secrets.rotate,  # POST   /s/{handle}/endpoints/{id}/secret
    portal_secrets.activate,  # POST   /s/{handle}/endpoints/{id}/activate
    portal_endpoints.ask_switch,  # GET    /s/{handle}/endpoints/{id}/{disable|enable|delete}
    portal_endpoints.switch,  # POST   /s/{handle}/endpoints/{id}/{disable|enable|delete}
    portal_deliveries.deliveries,  # GET    /s/{handle}/deliveries
    portal_deliveries.delivery,  # GET    /s/{handle}/deliveries/{id}
    portal_deliveries.replay,  # POST   /s/{handle}/deliveries/{id}/replay
    portal_replays.replays,  # GET    /s/{handle}/replays
    portal_replays.ask_new,  # GET    /s/{handle}/replays/new
    portal_replays.count_or_start,  # POST   /s/{handle}/replays/new
    portal_replays.replay,  # GET    /s/{handle}/replays/{id}
    portal_replays.move,  # POST   /s/{handle}/replays/{id}/{pause|resume|cancel}
    portal_events.events,  # GET    /s/{handle}/events
    portal_events.event,  # GET    /s/{handle}/events/{type}
    portal_verify.ask,  # GET    /s/{handle}/verify
    portal_verify.check,  # POST   /s/{handle}/verify
]
