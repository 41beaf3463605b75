"""What the settings of mails and text messages must be together: half a carrier is refused, and links in clear."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from config.settings import Settings
from config.settings_notices import MailTls

_OWN_ENGINE = "internal"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def find_notice_conflicts(settings: Settings) -> Iterator[str]:
    """One sentence per conflict."""
    yield from _incomplete(settings)
    if settings.is_production:
        yield from _unsafe_in_production(settings)


def _incomplete(settings: Settings) -> Iterator[str]:
    mail, sms = settings.mail, settings.sms
    local, at, domain = mail.from_address.rpartition("@")
    if not (local and at and domain) or any(sign.isspace() for sign in mail.from_address):
        yield "[mail] from_address is no e-mail address"
    if (mail.username is None) != (mail.password is None):
        yield "[mail] username and password are set together or not at all"
    if sms.url:
        missing = [name for name in ("account", "token", "from_number") if not getattr(sms, name)]
        if missing:
            yield f"[sms] is incomplete: {', '.join(missing)} missing (or leave url out)"
        if urlsplit(sms.url).scheme not in {"http", "https"}:
            yield "[sms] url must be an http(s) address"
    longest = max(mail.timeout_s, sms.timeout_s)
    if settings.notices.lease_s <= longest:
        yield "[notices] lease_s must be longer than the carriers' timeout_s, or a notice could be sent twice"


def _unsafe_in_production(settings: Settings) -> Iterator[str]:
    mail, sms = settings.mail, settings.sms
    if mail.host is None and settings.signature.default_provider == _OWN_ENGINE:
        yield "production: [mail] host is missing, and the internal engine asks its signers by mail"
    if mail.host is not None and mail.tls is MailTls.NONE and mail.host not in _LOOPBACK:
        yield "production: [mail] tls = none would send links and codes in clear"
    if mail.host is not None and mail.from_address.endswith("@localhost.localdomain"):
        yield "production: [mail] from_address must be an address of a domain of yours"
    if sms.url and urlsplit(sms.url).scheme != "https":
        yield "production: [sms] url must begin with https://"
