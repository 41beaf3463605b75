"""A string that does not show itself.

Must never appear in a log line, an exception's text, a JSON document or a pickle: `repr`, `str` and `format`
give `***`, serialisers refuse the type, and only `.reveal()` hands out the text. Where a secret leaves the
process (a header, a DSN), the call of `.reveal()` is the line that a reviewer looks for.
"""

import hmac
from typing import NoReturn, final

MASK = "***"


@final
class Secret:
    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        str.__len__(text)  # a secret is made of text: anything else is a TypeError here, not later
        object.__setattr__(self, "_Secret__text", text)

    def reveal(self) -> str:
        """The secret text itself."""
        text: str = object.__getattribute__(self, "_Secret__text")
        return text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash((Secret, self.reveal()))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a secret cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a secret cannot be changed")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not serialisable")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "Secret":
        return self
