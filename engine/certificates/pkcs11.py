"""A key in a device (a smart card, an HSM), through the library that its maker gives and the settings name.

The package python-pkcs11 is loaded only where a device is used. A device waits: every use is in a thread.
Source: PKCS #11 v2.40, section 11.11.
"""

import asyncio
from typing import Any

from asn1crypto import algos
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from config.settings_verification import CertificateSettings
from engine.certificates.ports import Pkcs11Key
from engine.sealing.errors import SealingFailed, SealTrouble


class Pkcs11Port:
    """Implements KeyPort, for a certificate that is known: devices often hold none, or several."""

    def __init__(self, key: Pkcs11Key, certificate: x509.Certificate, settings: CertificateSettings) -> None:
        if settings.pkcs11_library is None:
            raise _unavailable("[certificates] pkcs11_library is not set")
        self._key = key
        self._certificate = certificate
        self._library = str(settings.pkcs11_library)

    async def certificates(self) -> tuple[x509.Certificate, ...]:
        return (self._certificate,)

    async def sign(self, content: bytes, digest_algorithm: str) -> bytes:
        return await asyncio.to_thread(self._sign, content, digest_algorithm)

    def _sign(self, content: bytes, digest_algorithm: str) -> bytes:
        try:
            from pyhanko.sign.pkcs11 import PKCS11Signer, open_pkcs11_session
        except ImportError as error:
            raise _unavailable("the package python-pkcs11 is not installed") from error
        try:
            session = open_pkcs11_session(
                self._library, token_label=self._key.token_label, user_pin=self._key.pin or None
            )
            with session:
                signer = PKCS11Signer(
                    session,
                    signing_cert=asn1_x509.Certificate.load(self._certificate.public_bytes(Encoding.DER)),
                    key_label=self._key.key_label or None,
                    key_id=bytes.fromhex(self._key.key_id) or None,
                    signature_mechanism=_mechanism(self._certificate, digest_algorithm),
                )
                return bytes(asyncio.run(signer.async_sign_raw(content, digest_algorithm)))
        except Exception as error:  # a device's library raises what it likes
            raise _unavailable(f"the device did not sign ({type(error).__name__})") from error


def _mechanism(certificate: x509.Certificate, digest_algorithm: str) -> Any:
    kind = "rsa" if isinstance(certificate.public_key(), rsa.RSAPublicKey) else "ecdsa"
    return algos.SignedDigestAlgorithm({"algorithm": f"{digest_algorithm}_{kind}"})


def _unavailable(detail: str) -> SealingFailed:
    return SealingFailed(SealTrouble.KEY_UNAVAILABLE, detail)
