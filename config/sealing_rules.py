"""What the settings of seals must be together: half a certificate is refused, and production without timestamps."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from config.settings import Settings
from config.settings_sealing import SealLevel

_OWN_ENGINE = "internal"


def find_sealing_conflicts(settings: Settings) -> Iterator[str]:
    """One sentence per conflict."""
    sealing = settings.sealing
    if (sealing.certificate_file is None) != (sealing.key_file is None):
        yield "[sealing] certificate_file and key_file are set together or not at all"
    if sealing.level is SealLevel.B_LTA and sealing.trust_roots_file is None and settings.is_production:
        yield "[sealing] level B-LTA needs trust_roots_file: proofs must lead somewhere"
    for name in ("certificate_file", "key_file", "trust_roots_file"):
        path = getattr(sealing, name)
        if path is not None and not path.is_file():
            yield f"[sealing] {name}: there is no file {path}"
    for url in sealing.tsa_urls:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            yield "[sealing] tsa_urls must be http(s) addresses without a user in them"
    if (sealing.tsa_username != "") != (sealing.tsa_password is not None):
        yield "[sealing] tsa_username and tsa_password are set together or not at all"
    if settings.is_production:
        yield from _unsafe_in_production(settings)


def _unsafe_in_production(settings: Settings) -> Iterator[str]:
    sealing = settings.sealing
    if sealing.tsa_username and any(urlsplit(url).scheme != "https" for url in sealing.tsa_urls):
        yield "production: [sealing] tsa_password would travel in clear; use https:// in tsa_urls"
    if settings.signature.default_provider == _OWN_ENGINE and not sealing.tsa_urls:
        yield "production: [sealing] tsa_urls is missing, and the internal engine seals with timestamps only"
