"""The certificate store over HTTP, and signing a document with one. A key goes in and never comes out."""

import asyncio
import base64
import binascii
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody

from engine.certificates import store
from engine.certificates.csc import CscPort
from engine.certificates.material import Material, read_pem, read_pkcs12, refused
from engine.certificates.model import (
    CertificateInfo,
    KeyLocation,
    Purpose,
    RevocationStatus,
    StoredCertificate,
    describe,
)
from engine.certificates.ports import CscKey, Pkcs11Key
from engine.certificates.status import ask_status
from engine.certificates.store import NewCertificate, Who
from engine.sealing.errors import SealingFailed
from gateway.envelopes.sign_document import SignInput, SignPlace, refusal_of, sign_document
from gateway.envelopes.view import DocumentView, view_document
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.openapi import problems
from gateway.services import Caller, Services
from gateway.tenants.scopes import Scope
from normalizer.errors import ValidationFailed
from normalizer.ids import Kind, print_id, read_id

_Text = Annotated[str, msgspec.Meta(max_length=100)]
_Address = Annotated[str, msgspec.Meta(max_length=200)]
_Reason = Annotated[str, msgspec.Meta(max_length=500)]


class CertificateInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of: `certificate` (PEM, its issuers behind it) with `private_key` (PEM) or with `key` (it lies elsewhere);
    `pkcs12` (base64); `key` alone at a service that knows its certificate. `passphrase` is used once and not kept.
    """

    certificate: str = ""
    private_key: str = ""
    pkcs12: str = ""
    passphrase: str = ""
    key: Pkcs11Key | CscKey | None = None
    purpose: Purpose = Purpose.SIGN
    user_id: _Address = ""
    label: _Text = ""
    contact_email: _Address = ""
    is_preferred: bool = False

    def __repr__(self) -> str:
        return f"CertificateInput({self.purpose})"


class CertificateChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None leaves as it is."""

    label: _Text | None = None
    contact_email: _Address | None = None
    is_preferred: bool | None = None


class Revocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: _Reason


class CertificateView(msgspec.Struct, frozen=True, kw_only=True):
    """`user_id` empty: the tenant's own."""

    id: str
    user_id: str
    purpose: Purpose
    label: str
    contact_email: str
    is_preferred: bool
    key_location: KeyLocation
    info: CertificateInfo
    certificate: str
    revoked: bool
    revoked_at: datetime | None
    revocation_reason: str | None
    created_at: datetime


class Certificates(msgspec.Struct, frozen=True):
    certificates: tuple[CertificateView, ...]


class SignBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`certificate_id` names the certificate; without it the best of `user_id`'s signs, or of the tenant's own."""

    reason: _Reason = ""
    location: _Reason = ""
    certificate_id: str = ""
    user_id: _Address = ""
    place: SignPlace | None = None


class SignedDocument(msgspec.Struct, frozen=True, kw_only=True):
    document: DocumentView
    certificate_id: str
    level: str
    signed_at: datetime
    timestamp_authority: str


@post("/certificates", opt={"scope": Scope.CERTIFICATES_WRITE}, status_code=201, responses=problems(409))
async def create(
    services: TheServices, caller: TheCaller, data: JSONBody[CertificateInput]
) -> CertificateView:
    """Put a certificate into the store, with its private key or the way to it."""
    most = services.settings.certificates.file_bytes
    if max(len(data.certificate), len(data.private_key), len(data.pkcs12)) > most * 2:
        raise refused("/certificate", f"It has more than {most} bytes.")
    material = await _material(services, data)
    given = NewCertificate(
        material=material,
        purpose=data.purpose,
        user_id=data.user_id.strip().lower() if "@" in data.user_id else data.user_id.strip(),
        label=data.label,
        contact_email=data.contact_email.strip(),
        is_preferred=data.is_preferred,
        remote=data.key,
    )
    stored = await store.store_certificate(services.engine, caller.tenant_id, given, _who(caller))
    return _view(services, stored)


@get("/certificates", opt={"scope": Scope.CERTIFICATES_READ}, responses=problems())
async def find(
    services: TheServices, caller: TheCaller, user_id: FromQuery[str | None] = None
) -> Certificates:
    """The store's certificates, newest first; of one user, or with `user_id=` of the tenant itself."""
    found = await store.list_certificates(services.engine, caller.tenant_id, user_id=user_id)
    return Certificates(tuple(_view(services, one) for one in found))


@get("/certificates/{certificate_id:str}", opt={"scope": Scope.CERTIFICATES_READ}, responses=problems(404))
async def read(services: TheServices, caller: TheCaller, certificate_id: FromPath[str]) -> CertificateView:
    """One certificate, and what its issuer says of it now where it says who tells."""
    own = read_id(Kind.CERTIFICATE, certificate_id)
    stored = await store.load_certificate(services.engine, caller.tenant_id, own)
    return _view(services, stored, await ask_status(services.engine, stored))


@patch("/certificates/{certificate_id:str}", opt={"scope": Scope.CERTIFICATES_WRITE}, responses=problems(404))
async def change(
    services: TheServices,
    caller: TheCaller,
    certificate_id: FromPath[str],
    data: JSONBody[CertificateChange],
) -> CertificateView:
    """Change its label and who is told of its end, or prefer it to others of the same owner."""
    stored = await store.change_certificate(
        services.engine,
        caller.tenant_id,
        read_id(Kind.CERTIFICATE, certificate_id),
        _who(caller),
        label=data.label,
        contact_email=data.contact_email,
        is_preferred=data.is_preferred,
    )
    return _view(services, stored)


@post(
    "/certificates/{certificate_id:str}/revoke",
    opt={"scope": Scope.CERTIFICATES_WRITE},
    status_code=200,
    responses=problems(404),
)
async def revoke(
    services: TheServices, caller: TheCaller, certificate_id: FromPath[str], data: JSONBody[Revocation]
) -> CertificateView:
    """Revoke: it never signs again. It stays on record, with the `reason`."""
    own = read_id(Kind.CERTIFICATE, certificate_id)
    reason = data.reason.strip()
    if not reason:
        raise ValidationFailed("A revocation needs a reason.")
    stored = await store.revoke_certificate(services.engine, caller.tenant_id, own, reason, _who(caller))
    return _view(services, stored)


@post(
    "/documents/{document_id:str}/sign",
    opt={"scope": Scope.CERTIFICATES_SIGN},
    status_code=201,
    responses=problems(404, 409),
)
async def sign(
    services: TheServices, caller: TheCaller, document_id: FromPath[str], data: JSONBody[SignBody]
) -> SignedDocument:
    """Sign a stored PDF with a certificate of the store, outside an envelope: PAdES with a timestamp. The result is a
    new document; the old one stays.
    """
    chosen = read_id(Kind.CERTIFICATE, data.certificate_id) if data.certificate_id else None
    given = SignInput(
        certificate_id=chosen,
        user_id=data.user_id.strip().lower() if "@" in data.user_id else data.user_id.strip(),
        reason=data.reason,
        location=data.location,
        place=data.place,
    )
    signed = await sign_document(services, caller, read_id(Kind.DOCUMENT, document_id), given)
    return SignedDocument(
        document=view_document(signed.document),
        certificate_id=print_id(Kind.CERTIFICATE, signed.certificate.id),
        level=signed.sealed.level.value,
        signed_at=signed.sealed.token.moment,
        timestamp_authority=signed.sealed.token.authority,
    )


async def _material(services: Services, data: CertificateInput) -> Material:
    """Keys are read in a thread: to check a long one takes a while. Raises ValidationFailed."""
    passphrase = data.passphrase.encode() or None
    match data:
        case CertificateInput(pkcs12=content) if content and data.key is None and not data.certificate:
            try:
                plain = base64.b64decode(content, validate=True)
            except (binascii.Error, ValueError) as error:
                raise refused("/pkcs12", "It is not base64.") from error
            return await asyncio.to_thread(read_pkcs12, plain, passphrase)
        case CertificateInput(certificate=pem, private_key=key) if pem and key and data.key is None:
            return await asyncio.to_thread(read_pem, pem.encode(), key.encode(), passphrase)
        case CertificateInput(certificate=pem, key=Pkcs11Key() | CscKey()) if pem and not data.private_key:
            return await asyncio.to_thread(read_pem, pem.encode(), None, None)
        case CertificateInput(key=CscKey() as remote, private_key="", pkcs12=""):
            return await _ask_service(services, remote)
    raise refused("/", "Send a certificate with its private key, a PKCS#12 file, or where the key lies.")


async def _ask_service(services: Services, remote: CscKey) -> Material:
    try:
        certificate, *issuers = await CscPort(remote, services.settings.certificates).certificates()
    except SealingFailed as failed:
        raise refusal_of(failed) from failed
    return Material(certificate=certificate, issuers=tuple(issuers))


def _view(
    services: Services, stored: StoredCertificate, status: RevocationStatus = RevocationStatus.UNKNOWN
) -> CertificateView:
    return CertificateView(
        id=print_id(Kind.CERTIFICATE, stored.id),
        user_id=stored.user_id,
        purpose=stored.purpose,
        label=stored.label,
        contact_email=stored.contact_email,
        is_preferred=stored.is_preferred,
        key_location=stored.key_location,
        info=describe(stored, services.clock.now(), status),
        certificate=(stored.certificate_pem + stored.chain_pem).decode(),
        revoked=stored.revoked,
        revoked_at=stored.revoked_at,
        revocation_reason=stored.revocation_reason,
        created_at=stored.created_at,
    )


def _who(caller: Caller) -> Who:
    return Who(caller.actor, caller.source)
