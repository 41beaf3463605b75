"""Reads and judges timestamp tokens: what they say, and whether they are an answer to what was asked.

A token is taken only when its imprint and nonce are ours, its signer's certificate is for timestamps and
nothing else, the certificate is the one that the token names, the signature is right, and the time is near
ours. Whose certificates are trusted at all is the trust roots' business (see timestamps.py).
Source: RFC 3161 sections 2.2, 2.3, 2.4.2; RFC 5816; RFC 5652 section 5.4.
"""

import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from engine.sealing.errors import SealingFailed, SealTrouble

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_MOST_DRIFT = timedelta(minutes=5)


class TimestampResponse(core.Sequence):  # type: ignore[misc]  # the library's types are not followed
    """As RFC 3161 has it: a refusal brings no token, which asn1crypto's own structure does not allow."""

    _fields = [  # noqa: RUF012 - asn1crypto's form
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


class TokenFacts(msgspec.Struct, frozen=True):
    """`certificate` is the authority's own, in DER."""

    moment: datetime
    serial: str
    policy: str
    authority: str
    imprint: bytes
    certificate: bytes
    certificate_until: datetime
    token: bytes


def read_token(token: bytes) -> TokenFacts:
    """What a token says; judges nothing. Raises SealingFailed for what is no token."""
    try:
        signed = cms.ContentInfo.load(token)["content"]
        facts = signed["encap_content_info"]["content"].parsed
        certificate = _signer_certificate(signed)
    except (ValueError, TypeError, KeyError) as error:
        raise _rejected("the answer holds no timestamp token") from error
    if certificate is None:
        raise _rejected("the token does not bring its signer's certificate")
    if not isinstance(facts, tsp.TSTInfo):
        raise _rejected("the token holds no timestamp")
    return TokenFacts(
        moment=facts["gen_time"].native.astimezone(UTC),
        serial=str(facts["serial_number"].native),
        policy=str(facts["policy"].native),
        authority=str(certificate.subject.native.get("common_name", certificate.subject.human_friendly)),
        imprint=facts["message_imprint"]["hashed_message"].native,
        certificate=certificate.dump(),
        certificate_until=certificate.not_valid_after.astimezone(UTC),
        token=token,
    )


def judge_token(token: bytes, digest: bytes, algorithm: str, nonce: int | None, now: datetime) -> TokenFacts:
    """Raises SealingFailed(TIMESTAMP_REJECTED) unless the token answers the request."""
    facts = read_token(token)
    signed = cms.ContentInfo.load(token)["content"]
    info = signed["encap_content_info"]["content"].parsed
    imprint = info["message_imprint"]
    if imprint["hash_algorithm"]["algorithm"].native != algorithm or not hmac.compare_digest(
        facts.imprint, digest
    ):
        raise _rejected("the token is about other bytes than those that were sent")
    if nonce is not None and info["nonce"].native != nonce:
        raise _rejected("the token answers another request (its nonce is not ours)")
    if abs(facts.moment - now) > _MOST_DRIFT:
        raise _rejected("the token's time is more than five minutes away from this machine's")
    certificate = x509.load_der_x509_certificate(facts.certificate)
    _check_purpose(certificate)
    if not certificate.not_valid_before_utc <= facts.moment <= certificate.not_valid_after_utc:
        raise _rejected("the authority's certificate was not valid at the token's time")
    _check_signature(signed, certificate)
    return facts


def _signer_certificate(signed: Any) -> Any:
    wanted = signed["signer_infos"][0]["sid"].chosen
    for choice in signed["certificates"]:
        one = choice.chosen
        if not isinstance(one, asn1_x509.Certificate):
            continue
        if isinstance(wanted, cms.IssuerAndSerialNumber):
            named = wanted["issuer"] == one.issuer and wanted["serial_number"].native == one.serial_number
        else:
            named = wanted.native == one.key_identifier
        if named:
            return one
    return None


def _check_purpose(certificate: x509.Certificate) -> None:
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound as error:
        raise _rejected("the authority's certificate is not for timestamps") from error
    if not purposes.critical or list(purposes.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise _rejected("the authority's certificate is not for timestamps alone")


def _check_signature(signed: Any, certificate: x509.Certificate) -> None:
    signer = signed["signer_infos"][0]
    algorithm = _HASHES.get(signer["digest_algorithm"]["algorithm"].native)
    attributes = {one["type"].native: one["values"][0] for one in signer["signed_attrs"]}
    content = bytes(signed["encap_content_info"]["content"].contents)
    if algorithm is None or "message_digest" not in attributes:
        raise _rejected("the token's digest is missing or of a weak algorithm")
    if not hmac.compare_digest(attributes["message_digest"].native, _hash(algorithm, content)):
        raise _rejected("the token's content is not what its authority signed")
    _check_named(attributes, certificate)
    signature = signer["signature"].native
    body = signer["signed_attrs"].untag().dump()
    key = certificate.public_key()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, body, ec.ECDSA(algorithm))
        elif (
            isinstance(key, rsa.RSAPublicKey) and signer["signature_algorithm"].signature_algo == "rsassa_pss"
        ):
            scheme = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
            key.verify(signature, body, scheme, algorithm)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, body, padding.PKCS1v15(), algorithm)
        else:
            raise _rejected("the authority's key is of a kind that is not known here")
    except InvalidSignature as error:
        raise _rejected("the token's signature is wrong") from error


def _check_named(attributes: dict[str, Any], certificate: x509.Certificate) -> None:
    """The token names its certificate by hash: nobody may put another in its place."""
    if "signing_certificate_v2" in attributes:
        named = attributes["signing_certificate_v2"]["certs"][0]
        algorithm = _HASHES.get(named["hash_algorithm"]["algorithm"].native)
    elif "signing_certificate" in attributes:
        named, algorithm = attributes["signing_certificate"]["certs"][0], hashes.SHA1()  # noqa: S303 - RFC 2634
    else:
        raise _rejected("the token does not name its certificate")
    if algorithm is None or not hmac.compare_digest(
        named["cert_hash"].native, certificate.fingerprint(algorithm)
    ):
        raise _rejected("the token names another certificate than the one it brings")


def _hash(algorithm: hashes.HashAlgorithm, content: bytes) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(content)
    return digest.finalize()


def _rejected(detail: str) -> SealingFailed:
    return SealingFailed(SealTrouble.TIMESTAMP_REJECTED, detail)
