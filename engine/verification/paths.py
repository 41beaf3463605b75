"""Follows a certificate to a trusted root for one moment, with the proofs that the file itself brings.

Nothing is fetched. Must only run in an examiner process or on certificates that are trusted already.
Source: RFC 5280 section 6; RFC 6960.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import (
    ExpiredError,
    InvalidCertificateError,
    NotYetValidError,
    PathError,
    RevokedError,
    ValidationError,
)

from engine.development.authority_keys import LABEL
from engine.verification.facts import PathTrouble


@dataclass(frozen=True)
class Proofs:
    """asn1crypto's certificates, and answers and lists as certvalidator takes them."""

    roots: list[Any]
    certificates: list[Any] = field(default_factory=list)
    ocsps: list[Any] = field(default_factory=list)
    crls: list[Any] = field(default_factory=list)

    def context(
        self, moment: datetime, others: Sequence[Any], *, strictly: bool = False
    ) -> ValidationContext:
        """`strictly`: the status of every certificate must be known."""
        return ValidationContext(
            trust_roots=self.roots,
            other_certs=[*self.certificates, *others],
            moment=moment,
            ocsps=self.ocsps,
            crls=self.crls,
            revocation_mode="require" if strictly else "soft-fail",
            allow_fetching=False,
            # An answer that was given after the moment says more about it, not less.
            retroactive_revinfo=True,
        )


@dataclass(frozen=True)
class Path:
    """`is_proven`: none of it was revoked, by the proofs at hand. `path`: from the certificate to the root."""

    trouble: PathTrouble
    is_proven: bool = False
    revoked_at: datetime | None = None
    path: tuple[Any, ...] = ()


async def judge_path(
    certificate: Any, others: Sequence[Any], proofs: Proofs, moment: datetime, usage: Any
) -> Path:
    """For that moment; `usage` is pyHanko's constraint, None for timestamp authorities."""
    try:
        found = await _validate(certificate, others, proofs, moment, usage, strictly=False)
    except RevokedError as error:
        if error.revocation_dt <= moment:
            return Path(PathTrouble.REVOKED, revoked_at=error.revocation_dt, path=(certificate,))
        # What was signed before stays signed.
        before = await judge_path(certificate, others, replace(proofs, ocsps=[], crls=[]), moment, usage)
        return replace(before, revoked_at=error.revocation_dt)
    except ExpiredError:
        return Path(PathTrouble.EXPIRED, path=(certificate,))
    except NotYetValidError:
        return Path(PathTrouble.NOT_YET, path=(certificate,))
    except InvalidCertificateError:
        return Path(PathTrouble.UNSUITABLE, path=(certificate,))
    except (PathError, ValidationError, ValueError):
        return Path(PathTrouble.UNTRUSTED, path=(certificate,))
    path = tuple(found.iter_certs(include_root=True))[::-1]
    try:
        await _validate(certificate, others, proofs, moment, usage, strictly=True)
    except (PathError, ValidationError, ValueError):
        return Path(PathTrouble.NONE, path=path)
    return Path(PathTrouble.NONE, is_proven=True, path=path)


async def _validate(
    certificate: Any, others: Sequence[Any], proofs: Proofs, moment: datetime, usage: Any, *, strictly: bool
) -> Any:
    validator = CertificateValidator(
        certificate,
        intermediate_certs=list(others),
        validation_context=proofs.context(moment, others, strictly=strictly),
    )
    if usage is None:
        return await validator.async_validate_usage(set(), {"time_stamping"}, extended_optional=False)
    path = await validator.async_validate_path()
    usage.validate(certificate)
    return path


def common_name(certificate: Any) -> str:
    names = certificate.subject.native
    name = names.get("common_name") or certificate.subject.human_friendly
    return str(name if isinstance(name, str) else name[0])[:200]


def is_development(certificate: Any) -> bool:
    """Whether it names itself as the development authority's, or is issued by one that does."""
    return LABEL in certificate.issuer.human_friendly or LABEL in certificate.subject.human_friendly
