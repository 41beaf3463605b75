"""Asks now whether certificates were revoked, where they say who tells.

Only certificates that lead to a trusted root are asked about: their addresses come from an authority that is
trusted, and not from whoever made the file; and even those lead nowhere but to public servers. MUST NOT be called
with a transaction open.
Source: RFC 6960 (OCSP), RFC 5280 section 5 (CRL).
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from asn1crypto import x509
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathError, RevokedError, ValidationError

from config.database import assert_no_open_transaction
from engine.sealing.fetching import open_fetcher
from engine.verification.facts import PathTrouble, SignatureFacts


async def ask_revocations(
    signatures: Iterable[SignatureFacts], roots: Sequence[bytes], *, timeout_s: float, loopback: Sequence[str]
) -> dict[str, datetime | None]:
    """By SHA-256, when each was revoked, None for one that was not; those of whom nothing was learnt are missing."""
    assert_no_open_transaction()
    wanted = {
        one.thumbprint_sha256: one.path
        for one in signatures
        if one.trouble is PathTrouble.NONE and len(one.path) > 1 and not one.revocation_embedded
    }
    asked: dict[str, datetime | None] = {}
    if not wanted:
        return asked
    trusted = [x509.Certificate.load(one) for one in roots]
    try:
        async with asyncio.timeout(timeout_s), open_fetcher(loopback, timeout_s) as backend:
            for thumbprint, path in wanted.items():
                status = await _ask([x509.Certificate.load(one) for one in path], trusted, backend)
                if status is not _UNKNOWN:
                    asked[thumbprint] = status
    except TimeoutError:
        pass  # what was learnt until then counts; the rest is unknown
    return asked


_UNKNOWN: Any = object()


async def _ask(path: Sequence[Any], trusted: Sequence[Any], backend: Any) -> Any:
    context = ValidationContext(
        trust_roots=list(trusted),
        other_certs=list(path),
        allow_fetching=True,
        fetcher_backend=backend,
        revocation_mode="require",
    )
    validator = CertificateValidator(path[0], intermediate_certs=list(path[1:]), validation_context=context)
    try:
        await validator.async_validate_path()
    except RevokedError as error:
        return error.revocation_dt
    except (PathError, ValidationError, ValueError, OSError):
        return _UNKNOWN
    return None
