"""The built-in signing engine as a provider: the same port, in this process, without a network or an account."""

from adapters.internal.adapter import Internal

ADAPTER = Internal()

__all__ = ["ADAPTER", "Internal"]
