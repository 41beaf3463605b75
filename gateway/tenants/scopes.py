"""What a key may do. A route names one scope; a key without it is refused with 403."""

from enum import StrEnum


class Scope(StrEnum):
    ENVELOPES_READ = "envelopes:read"
    ENVELOPES_WRITE = "envelopes:write"
    DOCUMENTS_READ = "documents:read"
    DOCUMENTS_WRITE = "documents:write"
    TEMPLATES_READ = "templates:read"
    TEMPLATES_WRITE = "templates:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    CERTIFICATES_READ = "certificates:read"
    CERTIFICATES_WRITE = "certificates:write"
    CERTIFICATES_SIGN = "certificates:sign"  # may sign documents with the certificates of the store
    AUDIT_READ = "audit:read"
    ACT_AS = "act_as"  # may say which of the DMS's users acts
    ADMIN = "admin"  # across tenants; only on keys that belong to no tenant


TENANT_SCOPES = tuple(scope for scope in Scope if scope is not Scope.ADMIN)
