"""Takes our secrets out of what a receiver answers, before it is kept and shown.

Many a server shows the headers of a request on its page of errors, and whoever may read deliveries may not read
secrets. A value is found as it was sent, whole or in its words; another form of it (encoded, cut) is not.
"""

from collections.abc import Sequence

import msgspec

from config.secret import Secret
from webhooks.outbound.client import Answer

_MASK = "***"
# A shorter one would be found where it is not meant, and take ordinary words out of every answer.
_SHORTEST = 6


def hide_echoes(answer: Answer, hidden: Sequence[Secret]) -> Answer:
    if not hidden:
        return answer
    body, error = answer.body, answer.error
    for text in _forms(hidden):
        body = body.replace(text.encode(), _MASK.encode())
        error = error.replace(text, _MASK)
    if (body, error) == (answer.body, answer.error):
        return answer
    return msgspec.structs.replace(answer, body=body, error=error)


def _forms(hidden: Sequence[Secret]) -> list[str]:
    """The longest first, so that a part is not taken out of a whole."""
    texts = {form for one in hidden for form in (one.reveal(), *one.reveal().split())}
    return sorted((text for text in texts if len(text) >= _SHORTEST), key=len, reverse=True)
