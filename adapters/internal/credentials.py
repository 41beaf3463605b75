"""A connection to the engine has no credentials: the process that asks is the process that answers."""

import msgspec

from normalizer.errors import Finding, ValidationFailed


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Empty, and nothing else is taken: a secret that is given here by mistake must not be kept."""


def decode_credentials(raw: bytes) -> Credentials:
    """Raises ValidationFailed; its text never shows a value."""
    try:
        return msgspec.json.decode(raw, type=Credentials)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValidationFailed(
            "The engine's connection takes no credentials.",
            (Finding("/credentials", "Anything but an empty object.", "Send {}."),),
        ) from error
