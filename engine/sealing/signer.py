"""Signs with a key that was loaded once, wherever it lies: the port that keys come through, and pyHanko's side.

pyHanko's own signer loads and re-checks an RSA key twice for every signature, which costs more than signing;
and it signs once in vain to measure the result. Here the key is checked when it is loaded, and a measurement
gets zeros of the right length.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from pyhanko.sign.signers import Signer
from pyhanko_certvalidator.registry import SimpleCertificateStore

from engine.sealing.errors import SealingFailed, SealTrouble

_HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


class SealingKey(Protocol):
    """A certificate and the use of its private key, which may lie in a device or with a service.

    `issuers` are the certificates above it, nearest first, in the order of the chain. `sign` hashes and signs
    the content: PKCS#1 v1.5 for RSA keys, DER-encoded ECDSA for elliptic ones. It MUST raise
    SealingFailed(KEY_UNAVAILABLE) when the key cannot be used now. `certificate_id` is the store's, if any.
    """

    @property
    def certificate(self) -> x509.Certificate: ...

    @property
    def issuers(self) -> Sequence[x509.Certificate]: ...

    @property
    def certificate_id(self) -> str: ...

    async def sign(self, content: bytes, digest_algorithm: str) -> bytes: ...


class LocalKey:
    """A private key in this process's memory. Does not show it."""

    def __init__(
        self,
        certificate: x509.Certificate,
        issuers: Sequence[x509.Certificate],
        key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
        *,
        certificate_id: str = "",
    ) -> None:
        if key.public_key() != certificate.public_key():
            raise SealingFailed(
                SealTrouble.CERTIFICATE_UNSUITABLE, "the private key is not the certificate's"
            )
        self.certificate = certificate
        self.issuers = tuple(issuers)
        self.certificate_id = certificate_id
        self._key = key

    def __repr__(self) -> str:
        return f"LocalKey({self.certificate.subject.rfc4514_string()})"

    async def sign(self, content: bytes, digest_algorithm: str) -> bytes:
        algorithm = _HASHES[digest_algorithm]
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(content, padding.PKCS1v15(), algorithm)
        return self._key.sign(content, ec.ECDSA(algorithm))


def load_local_key(certificate_file: Path, key_file: Path, password: bytes | None = None) -> LocalKey:
    """From PEM files, the certificate first and its issuers behind it. Raises SealingFailed."""
    try:
        certificates = x509.load_pem_x509_certificates(certificate_file.read_bytes())
        # Checked here, once: an RSA key that is not one would give its secret away when it signs.
        key = load_pem_private_key(key_file.read_bytes(), password)
    except (OSError, ValueError, TypeError) as error:
        raise SealingFailed(
            SealTrouble.CERTIFICATE_MISSING,
            f"the sealing certificate or its key cannot be read ({type(error).__name__})",
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise SealingFailed(SealTrouble.CERTIFICATE_UNSUITABLE, "the key is neither RSA nor elliptic")
    return LocalKey(certificates[0], certificates[1:], key)


class KeySigner(Signer):  # type: ignore[misc]  # the library's types are not followed
    """pyHanko's view of a SealingKey."""

    def __init__(self, key: SealingKey) -> None:
        chain = [_asn1(one) for one in key.issuers]
        registry = SimpleCertificateStore()
        registry.register_multiple(chain)
        # With the root: a reader in ten years needs proof that it existed too.
        super().__init__(signing_cert=_asn1(key.certificate), cert_registry=registry, embed_roots=True)
        self._sealing_key = key

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        if dry_run:
            return bytes(signature_size(self._sealing_key.certificate))
        return await self._sealing_key.sign(data, digest_algorithm)


def signature_size(certificate: x509.Certificate) -> int:
    """The most bytes that a signature with this certificate's key takes."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return (key.key_size + 7) // 8
    if isinstance(key, ec.EllipticCurvePublicKey):
        return 2 * ((key.curve.key_size + 7) // 8) + 16  # two integers, each with a sign byte and a head
    raise SealingFailed(
        SealTrouble.CERTIFICATE_UNSUITABLE, "the certificate's key is neither RSA nor elliptic"
    )


def reserved_size(key: SealingKey, token_bytes: int) -> int:
    """Hexadecimal digits to leave room for: signature, certificates and a timestamp token of that size."""
    chain = sum(len(one.public_bytes(Encoding.DER)) for one in (key.certificate, *key.issuers))
    return 2 * (chain + signature_size(key.certificate) + token_bytes + 2048)


def _asn1(certificate: x509.Certificate) -> Any:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
