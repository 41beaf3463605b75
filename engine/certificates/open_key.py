"""From a stored certificate to a key that signs: out of the vault, in a device, or at a service.

The caller checks the validity (engine.sealing.keys.check_validity) for the moment of use; what was revoked here is
refused here. MUST NOT be called with a transaction open.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from cryptography import x509

from config.errors import VaultError
from config.settings_verification import CertificateSettings
from engine.certificates.csc import CscPort
from engine.certificates.material import load_key
from engine.certificates.model import KeyLocation, Purpose, StoredCertificate, key_place
from engine.certificates.pkcs11 import Pkcs11Port
from engine.certificates.ports import CscKey, KeyPort, Pkcs11Key, RemoteKey, unpack
from engine.certificates.store import find_candidates
from engine.engine import Engine
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.keys import check_validity
from engine.sealing.signer import LocalKey, SealingKey
from normalizer.ids import Kind, print_id


class RemoteSigningKey:
    """A SealingKey whose key lies behind a port."""

    def __init__(
        self,
        certificate: x509.Certificate,
        issuers: Sequence[x509.Certificate],
        port: KeyPort,
        certificate_id: str,
    ) -> None:
        self.certificate = certificate
        self.issuers = tuple(issuers)
        self.certificate_id = certificate_id
        self._port = port

    def __repr__(self) -> str:
        return f"RemoteSigningKey({self.certificate_id})"

    async def sign(self, content: bytes, digest_algorithm: str) -> bytes:
        return await self._port.sign(content, digest_algorithm)


async def get_signing_certificate(
    engine: Engine, tenant_id: UUID, user_id: str = "", purpose: Purpose = Purpose.SIGN
) -> StoredCertificate:
    """The owner's that signs now: valid and not revoked, the preferred before the longest valid. `user_id` empty:
    the tenant's own. Raises SealingFailed, which says whether there is none, or none any more.
    """
    candidates = await find_candidates(engine, tenant_id, user_id, purpose)
    if not candidates:
        raise SealingFailed(SealTrouble.CERTIFICATE_MISSING, "there is no certificate of this owner")
    check_stored(engine, candidates[0])
    return candidates[0]


def check_stored(engine: Engine, stored: StoredCertificate) -> None:
    """Raises SealingFailed for one that is revoked or not valid now."""
    if stored.revoked:
        raise SealingFailed(SealTrouble.CERTIFICATE_UNSUITABLE, "the certificate was revoked")
    check_validity(_Bare(stored), engine.clock.now())


async def open_key(engine: Engine, stored: StoredCertificate) -> SealingKey:
    """Raises SealingFailed when it was revoked, is not valid now, or its key cannot be had."""
    check_stored(engine, stored)
    place = key_place(stored.id)
    try:
        secret = await engine.vault.decrypt(
            engine.database, stored.tenant_id, place, stored.encrypted_private_key
        )
        printed = print_id(Kind.CERTIFICATE, stored.id)
        if stored.key_location is KeyLocation.VAULT:
            return LocalKey(stored.certificate, stored.issuers, load_key(secret), certificate_id=printed)
        remote = unpack(secret)
    except (VaultError, ValueError, TypeError, msgspec.MsgspecError) as error:
        raise SealingFailed(SealTrouble.KEY_UNAVAILABLE, "the certificate's key cannot be opened") from error
    settings = engine.settings.certificates
    port = _port(remote, stored.certificate, settings)
    return RemoteSigningKey(stored.certificate, stored.issuers, port, printed)


def _port(remote: RemoteKey, certificate: x509.Certificate, settings: CertificateSettings) -> KeyPort:
    match remote:
        case CscKey():
            return CscPort(remote, settings)
        case Pkcs11Key():
            return Pkcs11Port(remote, certificate, settings)


class _Bare:
    """As much of a SealingKey as a check of its validity looks at; that never asks for a signature."""

    def __init__(self, stored: StoredCertificate) -> None:
        self.certificate = stored.certificate
        self.issuers = stored.issuers
        self.certificate_id = ""

    async def sign(self, content: bytes, digest_algorithm: str) -> bytes:
        raise NotImplementedError("a certificate without its key does not sign")
