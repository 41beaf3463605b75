"""Reads our references back: what a provider was given to find an envelope by (env_..._2)."""

from uuid import UUID

from normalizer.errors import NotFound
from normalizer.ids import Kind, read_id


def envelope_of_reference(reference: str) -> UUID | None:
    """Our envelope's id; None when the reference is not one of ours."""
    printed, _, epoch = reference.rpartition("_")
    if not epoch.isdecimal():
        return None
    try:
        return read_id(Kind.ENVELOPE, printed)
    except NotFound:
        return None
