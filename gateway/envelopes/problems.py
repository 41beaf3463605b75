"""What a provider's failure means: the error to answer with, and the note kept on the envelope."""

from adapters.kit.outcome import AuthFailed, Failure, NotSent, Rejected, Throttled, Unknown
from normalizer.canonical import Json
from normalizer.errors import (
    CountersignError,
    InvalidTransition,
    NotFound,
    OutcomeUnknown,
    ProviderAuthFailed,
    ProviderRejected,
    ProviderUnavailable,
)


def refusal_error(provider: str, failure: Failure) -> CountersignError:
    """The error for a caller who waits for the answer."""
    match failure:
        case Rejected(code="state_conflict", detail=detail):
            return InvalidTransition("in another state at the provider", "changed", detail)
        case Rejected(code="not_found", detail=detail):
            return NotFound("envelope at the provider", detail)
        case Rejected(provider_code=code, detail=detail):
            return ProviderRejected(provider, detail, provider_code=code)
        case NotSent(detail=detail):
            return ProviderUnavailable(provider, f"{provider} could not be reached: {detail}")
        case Throttled(retry_after_s=wait, provider_code=code):
            return ProviderUnavailable(
                provider, f"{provider} asks to wait.", retry_after_s=wait, provider_code=code
            )
        case AuthFailed(provider_code=code, detail=detail, consent_url=url):
            remedy = f"An administrator must grant consent at {url}" if url else None
            return ProviderAuthFailed(provider, detail, provider_code=code, remedy=remedy)
        case Unknown(detail=detail):
            return OutcomeUnknown(provider, f"{provider} gave no answer: {detail}")


def failure_of(provider: str, failure: Failure) -> tuple[str, dict[str, Json]]:
    """(detail for the attempt's row, the envelope's last_error)."""
    error = refusal_error(provider, failure)
    return error.detail, note_of(error)


def note_of(error: CountersignError) -> dict[str, Json]:
    """An error as it is kept on the envelope."""
    note: dict[str, Json] = {"code": error.code, "detail": error.detail, "remedy": error.remedy}
    provider_code = getattr(error, "provider_code", "")
    if provider_code:
        note["provider_code"] = provider_code
    return note
