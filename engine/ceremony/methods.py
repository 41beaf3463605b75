"""Which methods of authentication a recipient must pass, decided when the envelope is taken in.

The recipient's own, what the envelope's level asks of everybody who acts, and a second one for signers where the
installation demands it: a text message when a phone is known, else a mailed code. The second method is added
and not asked for back, so that nobody learns by a refusal what a signer's own setting would have been.
Must never leave out a method that was asked for.
"""

from config.settings import Settings
from normalizer.envelope import Envelope
from normalizer.errors import Finding, ValidationFailed
from normalizer.ids import Kind, print_id
from normalizer.recipient import LEVEL_METHOD, AuthenticationMethod, Recipient

_M = AuthenticationMethod
# What the engine can ask; the others belong to providers with accounts of their own.
METHODS = frozenset({_M.EMAIL, _M.EMAIL_OTP, _M.SMS, _M.ACCESS_CODE, _M.KNOWLEDGE, _M.ID_VERIFICATION})


def methods_asked(
    settings: Settings, envelope: Envelope, recipient: Recipient
) -> tuple[AuthenticationMethod, ...]:
    """In the order in which they are asked: EMAIL, the link itself, first."""
    asked = [_M.EMAIL, *recipient.methods]
    if recipient.access_code is not None:
        asked.append(_M.ACCESS_CODE)
    if recipient.role.acts:
        asked.append(LEVEL_METHOD[envelope.authentication_level])
    asked = list(dict.fromkeys(asked))
    if settings.signature.require_mfa_for_signatures and recipient.role.signs and len(asked) < 2:
        asked.append(_M.SMS if _has_reachable_phone(settings, recipient) else _M.EMAIL_OTP)
    return tuple(asked)


def check_methods(settings: Settings, envelope: Envelope) -> None:
    """Raises ValidationFailed for every method that lacks what it needs, of every recipient."""
    faults: list[Finding] = []
    for recipient in envelope.recipients:
        where = f"/recipients/{print_id(Kind.RECIPIENT, recipient.id)}"
        for method in methods_asked(settings, envelope, recipient):
            problem = _lack(settings, recipient, method)
            if problem:
                faults.append(Finding(where, *problem))
    if faults:
        raise ValidationFailed(
            "Not every recipient can prove who they are as it is asked.", tuple(faults), code="proof_missing"
        )


def sms_price(settings: Settings, country_code: str) -> int | None:
    """Cents for one message to that calling code; None: no code is sent there."""
    for entry in settings.access.sms_prices:
        country, _, cents = entry.partition(":")
        if country == country_code and cents.isdecimal():
            return int(cents)
    return None


def _lack(settings: Settings, recipient: Recipient, method: AuthenticationMethod) -> tuple[str, str] | None:
    match method:
        case AuthenticationMethod.SMS if recipient.phone is None:
            return ("A code by text message needs a phone.", "Add phone.")
        case AuthenticationMethod.SMS if not _has_reachable_phone(settings, recipient):
            return ("No code is sent to phones of this country.", "Ask for another method.")
        case AuthenticationMethod.ACCESS_CODE if recipient.access_code is None:
            return ("An access code is asked for and none is given.", "Add access_code.")
        case AuthenticationMethod.KNOWLEDGE if not recipient.knowledge:
            return ("Questions are asked for and none are given.", "Add knowledge_questions.")
        case AuthenticationMethod.ID_VERIFICATION if settings.access.identity_url is None:
            return ("No identity provider is connected.", "Ask for another method, or have one connected.")
        case _ if method not in METHODS:
            return (f"{method} is not possible here.", "Ask for another method.")
    return None


def _has_reachable_phone(settings: Settings, recipient: Recipient) -> bool:
    return recipient.phone is not None and sms_price(settings, recipient.phone.country_code) is not None
