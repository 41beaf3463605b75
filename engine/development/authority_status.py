"""What the development authority says about its certificates: OCSP answers and revocation lists.

Source: RFC 6960 sections 4.1, 4.2; RFC 5280 section 5.
"""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from engine.development.authority_keys import Authority, Issued

_GOOD_FOR = timedelta(days=1)


def answer_status(authority: Authority, query: bytes) -> bytes:
    """An OCSP response for the bytes of a request about a certificate of the issuing authority."""
    try:
        request = ocsp.load_der_ocsp_request(query)
        serial, name_hash = request.serial_number, request.issuer_name_hash
        algorithm = request.hash_algorithm
    except (ValueError, NotImplementedError):
        return _without_answer(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    issuing, responder = authority.issuing.certificate, authority.responder
    known = ocsp.OCSPRequestBuilder().add_certificate(responder.certificate, issuing, algorithm).build()
    if name_hash != known.issuer_name_hash or request.issuer_key_hash != known.issuer_key_hash:
        return _without_answer(ocsp.OCSPResponseStatus.UNAUTHORIZED)
    now = datetime.now(UTC).replace(microsecond=0)
    revoked_at = authority.revoked().get(serial)
    builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
        name_hash,
        request.issuer_key_hash,
        serial,
        algorithm,
        ocsp.OCSPCertStatus.GOOD if revoked_at is None else ocsp.OCSPCertStatus.REVOKED,
        now - timedelta(minutes=1),
        now + _GOOD_FOR,
        revoked_at,
        None if revoked_at is None else x509.ReasonFlags.unspecified,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate).certificates(
        [responder.certificate]
    )
    for extension in request.extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            builder = builder.add_extension(extension.value, critical=False)
    return builder.sign(responder.key, SHA256()).public_bytes(Encoding.DER)


def list_revoked(issuer: Issued, revoked: dict[int, datetime]) -> bytes:
    """The issuer's list in DER."""
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now - timedelta(minutes=1))
        .next_update(now + _GOOD_FOR)
        .add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
        )
    )
    for serial, moment in revoked.items():
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment).build()
        )
    return builder.sign(issuer.key, SHA256()).public_bytes(Encoding.DER)


def _without_answer(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
