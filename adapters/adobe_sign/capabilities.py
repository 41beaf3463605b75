"""What Acrobat Sign can do, as data. Absent means refused; the remarks say why a row is weaker than it looks.

Source: developer guide of 2026-04-29; REST v6 swagger 1.2; the table of losses in README.md.
"""

from adapters.kit.port import Limits
from normalizer.capabilities import CONVERTING_MEDIA_TYPES, Capabilities, Support
from normalizer.field import FieldType
from normalizer.recipient import AuthenticationMethod, Role

_R, _A = Role, AuthenticationMethod
DEFAULT_DOCUMENT_BYTES = 10 * 1024 * 1024  # what every account has
LARGEST_DOCUMENT_BYTES = 100 * 1024 * 1024  # what the provider can grant to an account

CAPABILITIES = Capabilities(
    roles={
        _R.SIGNER: Support.NATIVE,
        _R.APPROVER: Support.NATIVE,
        _R.REVIEWER: Support.EMULATED,  # ACCEPTOR: must accept what they have read
        _R.CARBON_COPY: Support.NATIVE,  # mailed at start and end; a later place in the order is reported
        _R.CERTIFIED_DELIVERY: Support.NATIVE,
        # IN_PERSON: the provider has no host role, and mailing the host's link to a signer is not the same.
    },
    authentication={
        _A.EMAIL: Support.NATIVE,
        _A.EMAIL_OTP: Support.NATIVE,
        _A.ACCESS_CODE: Support.NATIVE,
        _A.SMS: Support.NATIVE,
        _A.PHONE_CALL: Support.DEGRADED,  # PHONE sends the code as a text message; a voice is not documented
        _A.KNOWLEDGE: Support.NATIVE,  # United States only, paid per use
        _A.ID_VERIFICATION: Support.NATIVE,
        _A.PROVIDER_LOGIN: Support.NATIVE,
        # CERTIFICATE (DIG_ID): needs a provider id of the account, which the envelope cannot name yet.
    },
    fields=dict.fromkeys(FieldType, Support.NATIVE),
    media_types=CONVERTING_MEDIA_TYPES,
    max_document_bytes=DEFAULT_DOCUMENT_BYTES,
    max_subject=255,
    anchors=True,
    hybrid_routing=True,  # an account without the feature answers HYBRID_ROUTING_NOT_ALLOWED
    embedded_signing=True,
    templates=True,
    correct_in_flight=True,
    resend=True,
    signed_webhooks=False,
    expiration_precision="second",
    reminder_precision="first in hours, then daily or weekly",
    max_expiration_days=180,
)

# Identical GETs: three a minute on the enterprise tiers, one in ten minutes on all others (2025-10).
LIMITS = Limits(min_poll_interval_s=600.0, calls_per_hour=2500, burst_calls=100, burst_window_s=60.0)
