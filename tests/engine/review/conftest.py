"""`house`: the same gateway as for whole ceremonies."""

from tests.engine.signing.conftest import house

__all__ = ["house"]
