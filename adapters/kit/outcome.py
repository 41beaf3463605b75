"""How a provider call ends: Done, Rejected, NotSent, Throttled, AuthFailed or Unknown.

The kinds differ by what they permit next, and nothing else about an error matters to a caller:
  Done        the value.
  Rejected    the provider said no, definitely. Fix the request. (`learned_ref` may name an orphan draft.)
  NotSent     nothing left this machine, or the provider certainly did nothing. Safe to repeat anywhere.
  Throttled   not done; wait `retry_after_s`.
  AuthFailed  not done; the credentials need a person.
  Unknown     it was sent and no answer came. Never repeat before a look-up.
"""

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Done(msgspec.Struct, Generic[T], frozen=True):
    value: T


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """`code` is ours (see Decision), `provider_code` theirs. `detail` is safe to show: masked and cut."""

    code: str
    provider_code: str
    detail: str
    status: int
    learned_ref: str = ""


class NotSent(msgspec.Struct, frozen=True):
    detail: str


class Throttled(msgspec.Struct, frozen=True):
    retry_after_s: float
    provider_code: str = ""


class AuthFailed(msgspec.Struct, frozen=True):
    """`consent_url`: where an administrator grants what is missing, when the provider has such a page."""

    provider_code: str
    detail: str
    consent_url: str = ""


class Unknown(msgspec.Struct, frozen=True):
    detail: str
    learned_ref: str = ""


Failure = Rejected | NotSent | Throttled | AuthFailed | Unknown
Outcome = Done[T] | Rejected | NotSent | Throttled | AuthFailed | Unknown


class Interruption(Exception):
    """Ends an operation early with an outcome. Raised by an Exchange, caught by the executor only."""

    def __init__(self, outcome: Failure) -> None:
        super().__init__(type(outcome).__name__)
        self.outcome = outcome
