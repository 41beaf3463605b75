"""From an adapter's decision about an answer to the outcome of the call: one table for every exchange.

Must never turn a doubtful answer into a definite one.
"""

from typing import assert_never

from adapters.kit.masking import mask_text
from adapters.kit.outcome import AuthFailed, Failure, NotSent, Rejected, Throttled, Unknown
from adapters.kit.port import Decision, DecisionKind


def outcome_of(decision: Decision, status: int, secrets: tuple[str, ...] = ()) -> Failure:
    """The failure that ends the operation. An expired token or moved host that reaches this point has been
    repeated once already: the credentials need a person.
    """
    detail = mask_text(decision.detail, secrets)
    match decision.kind:
        case DecisionKind.REJECTED:
            return Rejected(
                code=decision.code or "rejected",
                provider_code=decision.provider_code,
                detail=detail,
                status=status,
            )
        case DecisionKind.NOT_SENT:
            return NotSent(f"{decision.provider_code or status}: {detail}")
        case DecisionKind.THROTTLED:
            return Throttled(decision.retry_after_s, decision.provider_code)
        case DecisionKind.AUTH_EXPIRED | DecisionKind.AUTH_FAILED | DecisionKind.BASE_MOVED:
            return AuthFailed(decision.provider_code, detail)
        case DecisionKind.UNKNOWN:
            return Unknown(f"{decision.provider_code or status}: {detail}")
        case _:
            assert_never(decision.kind)
