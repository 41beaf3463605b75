"""The whole API on one screen."""

from litestar.types import ControllerRouterHandler

from gateway.http import admin, documents, drafts, envelopes, health, inbound, ledger, webhooks

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
    envelopes.download_combined,  # GET    /envelopes/{id}/combined
    envelopes.download_certificate,  # GET    /envelopes/{id}/certificate
    envelopes.download_single,  # GET    /envelopes/{id}/documents/{number}
    envelopes.provider_history,  # GET    /envelopes/{id}/provider-history
    ledger.events,  # GET    /envelopes/{id}/events
    ledger.audit_trail,  # GET    /envelopes/{id}/audit-trail
    ledger.verify_envelope,  # GET    /envelopes/{id}/audit-trail/verify
    ledger.tenant_events,  # GET    /audit/events
    ledger.verify_tenant,  # GET    /audit/verify
    webhooks.create,  # POST   /webhooks
    webhooks.find,  # GET    /webhooks
    webhooks.read,  # GET    /webhooks/{id}
    webhooks.change,  # PATCH  /webhooks/{id}
    webhooks.remove,  # DELETE /webhooks/{id}
    webhooks.rotate,  # POST   /webhooks/{id}/rotate-secret
    webhooks.test,  # POST   /webhooks/{id}/test
    webhooks.replay_endpoint,  # POST   /webhooks/{id}/replay
    webhooks.deliveries,  # GET    /deliveries
    webhooks.delivery,  # GET    /deliveries/{id}
    webhooks.attempts,  # GET    /deliveries/{id}/attempts
    webhooks.replay_delivery,  # POST   /deliveries/{id}/replay
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
    admin.list_providers,  # GET    /providers
    admin.create_connection,  # POST   /tenants/{id}/connections
    admin.list_connections,  # GET    /tenants/{id}/connections
    admin.change_connection,  # PATCH  /tenants/{id}/connections/{id}
    admin.check_connection,  # POST   /tenants/{id}/connections/{id}/check
    admin.read_routing,  # GET    /tenants/{id}/routing
    admin.set_routing,  # PUT    /tenants/{id}/routing
    admin.switch_provider,  # POST   /tenants/{id}/provider-switches
    admin.list_switches,  # GET    /tenants/{id}/provider-switches
    admin.revert_switch,  # POST   /tenants/{id}/provider-switches/{id}/revert
    admin.verify_tenant,  # GET    /tenants/{id}/audit/verify
]

INBOUND_ROUTES: list[ControllerRouterHandler] = [
    inbound.challenge,  # GET    /{provider}/{connection key}
    inbound.receive,  # POST   /{provider}/{connection key}
]

OPEN_ROUTES: list[ControllerRouterHandler] = [
    health.health,  # GET /health
    health.error_codes,  # GET /docs/errors
    health.ready,  # GET /ready
    health.prometheus,  # GET /metrics
]
