"""Whether the issuer says that a certificate of ours was revoked, asked now (OCSP, then CRL).

Only a certificate that leads to a trusted root is asked about. MUST NOT be called with a transaction open.
"""

from cryptography.hazmat.primitives.serialization import Encoding

from engine.certificates.model import RevocationStatus, StoredCertificate, thumbprint
from engine.engine import Engine
from engine.verification.facts import SignatureFacts
from engine.verification.revocation import ask_revocations
from engine.verification.trust import trusted_roots


async def ask_status(engine: Engine, stored: StoredCertificate) -> RevocationStatus:
    """Unknown when nobody tells, or none of those who would is trusted."""
    if stored.revoked:
        return RevocationStatus.REVOKED
    own = thumbprint(stored.certificate)
    path = tuple(one.public_bytes(Encoding.DER) for one in (stored.certificate, *stored.issuers))
    asked = await ask_revocations(
        [SignatureFacts(field="", thumbprint_sha256=own, path=path)],
        trusted_roots(engine.settings),
        timeout_s=engine.settings.verification.revocation_timeout_s,
        loopback=engine.settings.countersign.loopback_allow_list,
    )
    if own not in asked:
        return RevocationStatus.UNKNOWN
    return RevocationStatus.GOOD if asked[own] is None else RevocationStatus.REVOKED
