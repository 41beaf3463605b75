"""What seals of one installation share: fonts, timestamp authorities with their rests, keys, and how many at once.

Built once per process from the settings: loading fonts, trust roots and TLS takes longer than a seal.
"""

import logging
from collections.abc import Hashable
from functools import lru_cache
from typing import Any

from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding

from config.clock import Clock
from config.settings import Settings
from engine.certificates.sealing_keys import StoreKeys
from engine.development.authority_keys import Authority as DevelopmentAuthority
from engine.development.authority_keys import open_authority
from engine.development.authority_timestamps import answer_timestamp
from engine.engine import Engine
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.keys import InstallationKeys, SealingKeys, development_folder
from engine.sealing.signing import SealTools
from engine.sealing.timestamps import Authority, HttpAuthority, Timestamps, load_roots
from engine.sealing.typefaces import typefaces

logger = logging.getLogger("countersign.sealing")


class Sealer:
    """`most_at_once` seals run beside each other; each takes a thread."""

    def __init__(self, tools: SealTools, keys: SealingKeys, *, most_at_once: int) -> None:
        self.tools = tools
        self.keys = keys
        self.most_at_once = most_at_once


class OwnStamps:
    """Development without a timestamp service: the process stamps for itself, with no legal effect."""

    name = "development"

    def __init__(self, authority: DevelopmentAuthority) -> None:
        self._authority = authority

    async def ask(self, query: bytes) -> bytes:
        return answer_timestamp(self._authority, query)


def sealer_of(engine: Engine) -> Sealer:
    """With the tools of every sealer of the same settings and clock, and the tenants' own certificates."""
    clock: object = engine.clock
    if not isinstance(clock, Hashable):
        raise TypeError("a clock that is compared by its value cannot be shared")
    shared = make_sealer(engine.settings, clock)
    return Sealer(shared.tools, StoreKeys(engine, shared.keys), most_at_once=shared.most_at_once)


@lru_cache(maxsize=8)
def make_sealer(settings: Settings, clock: Hashable) -> Sealer:
    """`clock` is a Clock: protocols do not say that they can be remembered by."""
    if not isinstance(clock, Clock):
        raise TypeError("a sealer needs a clock")
    sealing = settings.sealing
    try:
        roots = load_roots(sealing.trust_roots_file)
    except (OSError, ValueError) as error:
        raise SealingFailed(
            SealTrouble.CERTIFICATE_MISSING, "[sealing] trust_roots_file cannot be read"
        ) from error
    credentials = None
    if sealing.tsa_username:
        credentials = (sealing.tsa_username, sealing.tsa_password.reveal() if sealing.tsa_password else "")
    authorities: list[Authority] = [
        HttpAuthority(url, timeout_s=sealing.tsa_timeout_s, credentials=credentials)
        for url in sealing.tsa_urls
    ]
    if not settings.is_production and (not authorities or sealing.certificate_file is None):
        development = open_authority(development_folder(settings), mode=settings.countersign.mode)
        roots = roots or (_root_of(development),)
        if not authorities:
            logger.warning("no timestamp authority is configured: development stamps have no legal effect")
            authorities.append(OwnStamps(development))
    return Sealer(
        SealTools(
            faces=typefaces(settings.signing.extra_fonts_folder),
            timestamps=Timestamps(authorities, clock, rest_s=sealing.tsa_breaker_pause_s, roots=roots),
            level=sealing.level,
            loopback=settings.countersign.loopback_allow_list,
        ),
        InstallationKeys(settings),
        most_at_once=sealing.sealers,
    )


def _root_of(authority: DevelopmentAuthority) -> Any:
    return asn1_x509.Certificate.load(authority.root.certificate.public_bytes(Encoding.DER))
