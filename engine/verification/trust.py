"""Whose certificates a verification trusts: the roots of the settings, and in development the development root.

A production installation never trusts a development root, whatever lies in its folder.
"""

from collections.abc import Iterable
from pathlib import Path

from asn1crypto import pem
from asn1crypto import x509 as asn1_x509

from config.errors import ConfigError
from config.settings import Settings


def trusted_roots(settings: Settings, further: Path | None = None) -> tuple[bytes, ...]:
    """DER. Raises ConfigError for a file that cannot be read or holds no certificate."""
    files = [settings.sealing.trust_roots_file, settings.verification.trust_roots_file, further]
    roots = [one for file in files if file is not None for one in read_roots(file)]
    development = settings.countersign.data_dir.absolute() / "authority" / "root.pem"
    if not settings.is_production and development.exists():
        roots += read_roots(development)
    return tuple(dict.fromkeys(roots))


def read_roots(path: Path) -> tuple[bytes, ...]:
    try:
        content = path.read_bytes()
        return tuple(_checked(one) for one in _certificates(content))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the trust roots in {path.name} cannot be read ({type(error).__name__})"
        ) from error


def _certificates(content: bytes) -> Iterable[bytes]:
    found = [der for kind, _, der in pem.unarmor(content, multiple=True) if kind == "CERTIFICATE"]
    if not found:
        raise ValueError("no certificate")
    return found


def _checked(der: bytes) -> bytes:
    asn1_x509.Certificate.load(der, strict=True).subject.native  # noqa: B018 - reading it is the check
    return der
