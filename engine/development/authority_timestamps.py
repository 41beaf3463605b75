"""Answers of the development timestamp authority.

The imprint must be SHA-256, 384 or 512; the nonce is echoed, the certificates are sent when asked for, and
serials are never given twice. Must never be taken for a source of legal time.
Source: RFC 3161 sections 2.4.1, 2.4.2; RFC 5816 (ESSCertIDv2).
"""

from datetime import UTC, datetime

from asn1crypto import algos, cms, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.general import as_signing_certificate_v2, simple_cms_attribute

from engine.development.authority_keys import Authority
from engine.sealing.tokens import TimestampResponse

POLICY = "1.3.6.1.4.1.32473.1.1"  # under the number that RFC 5612 sets aside for documentation
_IMPRINTS = {"sha256": 32, "sha384": 48, "sha512": 64}


def answer_timestamp(authority: Authority, query: bytes) -> bytes:
    """A TimeStampResp for the bytes of a TimeStampReq: granted, or refused with the reason."""
    try:
        request = tsp.TimeStampReq.load(query, strict=True)
        imprint = request["message_imprint"]
        kind, digest = imprint["hash_algorithm"]["algorithm"].native, imprint["hashed_message"].native
        policy, version = request["req_policy"].native, request["version"].native
    except (ValueError, TypeError):
        return _refusal("bad_data_format", "the request cannot be read")
    if version != "v1":
        return _refusal("bad_request", "only version 1 is known")
    if kind not in _IMPRINTS:
        return _refusal("bad_alg", "the imprint must be SHA-256, SHA-384 or SHA-512")
    if len(digest) != _IMPRINTS[kind]:
        return _refusal("bad_data_format", "the imprint is not of its algorithm's length")
    if policy not in {None, POLICY}:
        return _refusal("unaccepted_policy", f"the only policy is {POLICY}")
    if request["extensions"].native:
        return _refusal("unaccepted_extensions", "no extension is known")
    token = _sign(authority, request, datetime.now(UTC))
    response = tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token})
    return bytes(response.dump())


def _refusal(failure: str, text: str) -> bytes:
    status = {"status": "rejection", "status_string": [text], "fail_info": {failure}}
    return bytes(TimestampResponse({"status": tsp.PKIStatusInfo(status)}).dump())


def _sign(authority: Authority, request: tsp.TimeStampReq, moment: datetime) -> cms.ContentInfo:
    certificate = asn1_x509.Certificate.load(authority.timestamps.certificate.public_bytes(Encoding.DER))
    facts = {
        "version": "v1",
        "policy": POLICY,
        "message_imprint": request["message_imprint"],
        "serial_number": authority.next_serial(),
        "gen_time": moment.replace(microsecond=0),
        "accuracy": {"seconds": 1},
        "tsa": asn1_x509.GeneralName(name="directory_name", value=certificate.subject),
    }
    if request["nonce"].native is not None:
        facts["nonce"] = request["nonce"]
    content = tsp.TSTInfo(facts).dump()
    digest = Hash(SHA256())
    digest.update(content)
    attributes = cms.CMSAttributes(
        [
            simple_cms_attribute("content_type", "tst_info"),
            simple_cms_attribute("signing_certificate_v2", as_signing_certificate_v2(certificate)),
            simple_cms_attribute("message_digest", digest.finalize()),
        ]
    )
    key = authority.timestamps.key
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's timestamp key is on an elliptic curve")
    signer = {
        "version": "v1",
        "sid": cms.SignerIdentifier(
            {
                "issuer_and_serial_number": {
                    "issuer": certificate.issuer,
                    "serial_number": certificate.serial_number,
                }
            }
        ),
        "digest_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
        "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
        "signed_attrs": attributes,
        "signature": key.sign(attributes.dump(), ec.ECDSA(SHA256())),
    }
    signed = {
        "version": "v3",
        "digest_algorithms": cms.DigestAlgorithms([{"algorithm": "sha256"}]),
        "encap_content_info": {"content_type": "tst_info", "content": cms.ParsableOctetString(content)},
        "signer_infos": [cms.SignerInfo(signer)],
    }
    if request["cert_req"].native:
        issuing = asn1_x509.Certificate.load(authority.issuing.certificate.public_bytes(Encoding.DER))
        signed["certificates"] = [
            cms.CertificateChoices("certificate", one) for one in (certificate, issuing)
        ]
    return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)})
