"""Puts certificates into the store, finds, changes and revokes them. A row becomes a struct here and nowhere else.

The private key is encrypted before it is written, for its own row and tenant, and no function gives it out: only
open_key.py uses it. Must never log, return or record a key, a passphrase or a PIN.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from engine.certificates.material import Material, check_material
from engine.certificates.model import KeyLocation, Purpose, StoredCertificate, key_place, thumbprint
from engine.certificates.ports import CscKey, RemoteKey, pack
from engine.engine import Engine
from engine.record import record
from normalizer.canonical import Json
from normalizer.errors import Conflict, NotFound
from normalizer.events import Actor, Event, Personal, ResourceType, Source
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

_COLUMNS = (
    "tenant_id, id, user_id, purpose, label, contact_email, is_preferred, certificate_pem, chain_pem, key_location,"
    " encrypted_private_key, not_valid_before, not_valid_after, revoked, revoked_at, revocation_reason,"
    " alarms_given, created_at"
)


class Who(msgspec.Struct, frozen=True):
    """Who changes the store, and how it came to us."""

    actor: Actor
    source: Source


class NewCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """`remote`: how a key elsewhere is reached; without it the material holds the key."""

    material: Material
    purpose: Purpose
    user_id: str = ""
    label: str = ""
    contact_email: str = ""
    is_preferred: bool = False
    remote: RemoteKey | None = None


async def store_certificate(
    engine: Engine, tenant_id: UUID, given: NewCertificate, who: Who
) -> StoredCertificate:
    """Raises ValidationFailed for what must not sign, Conflict for a serial number that its issuer gave before."""
    check_material(given.material, engine.settings.signature, engine.clock.now())
    own = engine.ids.new()
    secret = pack(given.remote) if given.remote is not None else given.material.key_bytes()
    sealed = await engine.vault.encrypt(engine.database, tenant_id, key_place(own), secret)
    async with engine.database.transaction(tenant_id) as tx:
        if given.is_preferred:
            await _prefer_none(tx, tenant_id, given.user_id, given.purpose)
        try:
            await _insert(tx, tenant_id, own, given, sealed)
        except asyncpg.UniqueViolationError as error:
            raise Conflict(
                "A certificate with this serial number of this issuer is in the store already.",
                remedy="Use the one that is there; a revoked one is replaced by a new one of the issuer's.",
            ) from error
        event = _event(
            engine, tenant_id, own, LedgerType.CERTIFICATE_IMPORTED, who, _facts(given), given.user_id
        )
        await record(engine, tx, [event])
        await tx.commit()
    return await load_certificate(engine, tenant_id, own)


async def load_certificate(engine: Engine, tenant_id: UUID, certificate_id: UUID) -> StoredCertificate:
    """Raises NotFound, also for another tenant's."""
    async with engine.database.transaction(tenant_id) as tx:
        row = await tx.driver.fetchrow(
            f"SELECT {_COLUMNS} FROM certificates WHERE tenant_id = $1 AND id = $2", tenant_id, certificate_id
        )
    if row is None:
        raise NotFound(Kind.CERTIFICATE, print_id(Kind.CERTIFICATE, certificate_id))
    return _read(row)


async def list_certificates(
    engine: Engine, tenant_id: UUID, *, user_id: str | None = None
) -> tuple[StoredCertificate, ...]:
    """Newest first; of one user ("" for the tenant's own) or all. A tenant has few."""
    async with engine.database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(
            f"SELECT {_COLUMNS} FROM certificates WHERE tenant_id = $1 AND ($2::text IS NULL OR user_id = $2)"
            " ORDER BY created_at DESC, id DESC LIMIT 1000",
            tenant_id,
            user_id,
        )
    return tuple(_read(row) for row in rows)


async def find_candidates(
    engine: Engine, tenant_id: UUID, user_id: str, purpose: Purpose
) -> tuple[StoredCertificate, ...]:
    """Everything of that owner and purpose, the one to use first: preferred, then the longest valid."""
    async with engine.database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(
            f"SELECT {_COLUMNS} FROM certificates WHERE tenant_id = $1 AND user_id = $2 AND purpose = $3"
            " ORDER BY revoked, (not_valid_before <= now() AND not_valid_after > now()) DESC, is_preferred DESC,"
            " not_valid_after DESC LIMIT 10",
            tenant_id,
            user_id,
            purpose.value,
        )
    return tuple(_read(row) for row in rows)


async def change_certificate(
    engine: Engine,
    tenant_id: UUID,
    certificate_id: UUID,
    who: Who,
    *,
    label: str | None,
    contact_email: str | None,
    is_preferred: bool | None,
) -> StoredCertificate:
    """None leaves as it is. Only one of an owner's for a purpose is preferred. Raises NotFound."""
    stored = await load_certificate(engine, tenant_id, certificate_id)
    async with engine.database.transaction(tenant_id) as tx:
        if is_preferred:
            await _prefer_none(tx, tenant_id, stored.user_id, stored.purpose)
        await tx.driver.execute(
            "UPDATE certificates SET label = coalesce($3, label), contact_email = coalesce($4, contact_email),"
            " is_preferred = coalesce($5, is_preferred) WHERE tenant_id = $1 AND id = $2",
            tenant_id,
            certificate_id,
            label,
            contact_email,
            is_preferred,
        )
        facts: dict[str, Json] = {"sha256": thumbprint(stored.certificate)}
        if label is not None:
            facts["label"] = label
        if is_preferred is not None:
            facts["is_preferred"] = is_preferred
        if contact_email is not None:
            facts["contact_changed"] = True
        kind = LedgerType.CERTIFICATE_CHANGED
        await record(
            engine, tx, [_event(engine, tenant_id, certificate_id, kind, who, facts, stored.user_id)]
        )
        await tx.commit()
    return await load_certificate(engine, tenant_id, certificate_id)


async def revoke_certificate(
    engine: Engine, tenant_id: UUID, certificate_id: UUID, reason: str, who: Who
) -> StoredCertificate:
    """It never signs again; the row stays and tells why. A second revocation changes nothing. Raises NotFound."""
    stored = await load_certificate(engine, tenant_id, certificate_id)
    async with engine.database.transaction(tenant_id) as tx:
        changed = await tx.driver.fetchval(
            "UPDATE certificates SET revoked = true, revoked_at = now(), revocation_reason = $3, is_preferred = false"
            " WHERE tenant_id = $1 AND id = $2 AND NOT revoked RETURNING true",
            tenant_id,
            certificate_id,
            reason,
        )
        if changed:
            facts: dict[str, Json] = {"sha256": thumbprint(stored.certificate), "reason": reason}
            kind = LedgerType.CERTIFICATE_REVOKED
            await record(
                engine, tx, [_event(engine, tenant_id, certificate_id, kind, who, facts, stored.user_id)]
            )
        await tx.commit()
    return await load_certificate(engine, tenant_id, certificate_id)


async def _prefer_none(tx: Any, tenant_id: UUID, user_id: str, purpose: Purpose) -> None:
    await tx.driver.execute(
        "UPDATE certificates SET is_preferred = false"
        " WHERE tenant_id = $1 AND user_id = $2 AND purpose = $3 AND is_preferred",
        tenant_id,
        user_id,
        purpose.value,
    )


async def _insert(tx: Any, tenant_id: UUID, own: UUID, given: NewCertificate, sealed: bytes) -> None:
    certificate, issuers = given.material.certificate, given.material.issuers
    await tx.driver.execute(
        "INSERT INTO certificates (tenant_id, id, user_id, purpose, label, contact_email, is_preferred,"
        " certificate_pem, chain_pem, key_location, encrypted_private_key, serial_number, subject_name, issuer_name,"
        " not_valid_before, not_valid_after, thumbprint_sha256)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        tenant_id,
        own,
        given.user_id,
        given.purpose.value,
        given.label,
        given.contact_email,
        given.is_preferred,
        certificate.public_bytes(Encoding.PEM),
        b"".join(one.public_bytes(Encoding.PEM) for one in issuers),
        _location(given.remote).value,
        sealed,
        f"{certificate.serial_number:x}",
        certificate.subject.rfc4514_string()[:1000],
        certificate.issuer.rfc4514_string()[:1000],
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        thumbprint(certificate),
    )


def _location(remote: RemoteKey | None) -> KeyLocation:
    if remote is None:
        return KeyLocation.VAULT
    return KeyLocation.CSC if isinstance(remote, CscKey) else KeyLocation.PKCS11


def _facts(given: NewCertificate) -> dict[str, Json]:
    certificate = given.material.certificate
    return {
        "sha256": thumbprint(certificate),
        "serial": f"{certificate.serial_number:x}",
        "purpose": given.purpose.value,
        "key_location": _location(given.remote).value,
        "not_valid_after": certificate.not_valid_after_utc.isoformat(),
    }


def _event(
    engine: Engine,
    tenant_id: UUID,
    own: UUID,
    kind: LedgerType,
    who: Who,
    facts: dict[str, Json],
    user_id: str,
) -> Event:
    return Event(
        id=engine.ids.new(),
        type=kind,
        tenant_id=tenant_id,
        envelope_id=None,
        resource_type=ResourceType.CERTIFICATE,
        resource_id=print_id(Kind.CERTIFICATE, own),
        occurred_at=engine.clock.now(),
        actor=who.actor,
        source=who.source,
        facts=facts,
        personal=personal_owner(user_id),
    )


def personal_owner(user_id: str) -> tuple[Personal, ...]:
    return (Personal("user_id", user_id.lower(), user_id),) if user_id else ()


def read_rows(rows: Sequence[Any]) -> tuple[StoredCertificate, ...]:
    return tuple(_read(row) for row in rows)


def _read(row: Any) -> StoredCertificate:
    return msgspec.convert(dict(row), StoredCertificate)
