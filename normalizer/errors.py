"""The error tree: every error says who must act. It knows no HTTP; gateway/http/problems.py maps it.

Must never carry a secret, and nothing decides by an error's text: code and type are the contract.
"""

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One thing wrong with what was sent: where (a JSON pointer or a header's name), what, and what to do."""

    where: str
    problem: str
    remedy: str = ""


class CountersignError(Exception):
    """The root. `code` is stable and documented; `remedy` says what the reader can do."""

    code = "error"
    remedy = ""

    def __init__(self, detail: str, *, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if remedy is not None:
            self.remedy = remedy


class CallerError(CountersignError):
    """The caller must change the request."""


class ValidationFailed(CallerError):
    code = "validation_failed"
    remedy = "Correct the listed fields and send the request again."

    def __init__(self, detail: str, findings: tuple[Finding, ...] = (), *, code: str | None = None) -> None:
        super().__init__(detail)
        self.findings = findings
        if code is not None:
            self.code = code


class UnsupportedFeature(CallerError):
    """The chosen provider cannot do it. Names provider and feature; nothing is dropped in silence."""

    code = "unsupported_feature"
    remedy = "Leave the feature out, or route this envelope to a provider that has it."

    def __init__(self, provider: str, feature: str, detail: str = "") -> None:
        super().__init__(detail or f"{provider} does not support {feature}.")
        self.provider = provider
        self.feature = feature


class ComplianceViolation(CallerError):
    code = "compliance_violation"

    def __init__(self, detail: str, legal_source: str) -> None:
        super().__init__(detail)
        self.legal_source = legal_source


class NotFound(CallerError):
    """Not there, or not yours: the two are never told apart."""

    code = "not_found"
    remedy = "Check the id and that the key belongs to the tenant that owns it."

    def __init__(self, kind: str, printed_id: str, *, remedy: str | None = None) -> None:
        super().__init__(f"There is no {kind} with the id {printed_id[:80]!r}.", remedy=remedy)


class InvalidTransition(CallerError):
    code = "invalid_transition"
    remedy = "Read the envelope's current status first; the allowed moves are in the documentation."

    def __init__(self, current: str, wanted: str, detail: str = "") -> None:
        super().__init__(detail or f"An envelope that is {current} cannot become {wanted}.")
        self.current = current
        self.wanted = wanted


class Conflict(CallerError):
    code = "conflict"


class TooManyTries(CallerError):
    """Somebody asked or guessed too often. Says neither what was right nor whose it is."""

    code = "too_many_tries"
    remedy = "Wait for the seconds in Retry-After, then try again."

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("There were too many tries.")
        self.retry_after_s = retry_after_s


class IdempotencyConflict(CallerError):
    """`reused` (422): same key, other request. `in_flight` (409): the first request still runs."""

    def __init__(self, detail: str, *, reused: bool) -> None:
        super().__init__(detail)
        self.code = "idempotency_key_reused" if reused else "idempotency_key_in_use"
        self.remedy = (
            "Use a fresh key for a new request." if reused else "Wait a second and repeat the request."
        )
        self.reused = reused


class ProviderError(CountersignError):
    """A provider must act, or an administrator for it."""

    def __init__(
        self, provider: str, detail: str, *, provider_code: str = "", remedy: str | None = None
    ) -> None:
        super().__init__(detail, remedy=remedy)
        self.provider = provider
        self.provider_code = provider_code


class ProviderRejected(ProviderError):
    code = "provider_rejected"
    remedy = "The provider refused the request definitely; correct it and send again."


class ProviderUnavailable(ProviderError):
    """Nothing was done at the provider; the same request may be repeated."""

    code = "provider_unavailable"
    remedy = "Repeat the request after the time in Retry-After."

    def __init__(
        self, provider: str, detail: str, *, retry_after_s: float = 5.0, provider_code: str = ""
    ) -> None:
        super().__init__(provider, detail, provider_code=provider_code)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(ProviderError):
    """The request went out and no answer came back. Never repeated blindly; a look-up decides."""

    code = "provider_outcome_unknown"
    remedy = "Do not send again: the gateway is finding out and will move the envelope by itself."


class ProviderAuthFailed(ProviderError):
    code = "provider_auth_failed"
    remedy = "An administrator must renew this connection's credentials."


class ProviderContractBroken(ProviderError):
    code = "provider_contract_broken"
    remedy = "The provider answered in a form that is not documented; report it with the request id."


class InboundError(CountersignError):
    """Whoever posted the webhook must act."""


class SignatureInvalid(InboundError):
    code = "signature_invalid"
    remedy = "Check the key configured at the provider against this connection's keys."


class PayloadMalformed(InboundError):
    code = "payload_malformed"
