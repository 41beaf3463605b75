"""What an answer outside the expected means here. Must never decide by the message's prose.

Source: developer guide of 2026-04-29, error codes and throttling (`retryAfter` in seconds, to be kept
exactly: an early retry starts the wait anew).
"""

from adapters.adobe_sign.answers import decode_error
from adapters.kit.errortable import load_error_table
from adapters.kit.exchange import ProviderResponse
from adapters.kit.port import Decision

ERRORS = load_error_table("adapters.adobe_sign")


def classify(operation: str, response: ProviderResponse) -> Decision:
    answer = decode_error(response.body)
    return ERRORS.decide(
        operation,
        response,
        provider_code=answer.code or answer.error,
        detail=answer.message or answer.error_description,
        retry_after_s=None if answer.retry_after is None else float(answer.retry_after),
    )
