"""Errors of the foundations: what start-up refuses, and a store that cannot be reached.

Neither belongs to the domain's error tree: `ConfigError` ends a process before it serves anybody, and
`StoreUnavailable` is answered at the edge with 503 and Retry-After whatever the request was about.
Must never carry a secret in its text.
"""


class ConfigError(Exception):
    """The process must not start like this: a setting, key, role or file is wrong; the text says which."""


class StoreUnavailable(Exception):
    """PostgreSQL cannot be reached, lost the connection, or has no room or time for the statement.

    `outcome_unknown` is True when the loss came while a COMMIT was under way: the change may have been made.
    """

    def __init__(self, message: str, *, outcome_unknown: bool = False) -> None:
        super().__init__(message)
        self.outcome_unknown = outcome_unknown


class TransactionAborted(Exception):
    """COMMIT was asked for, but PostgreSQL rolled back because an earlier statement had failed."""


class VaultError(Exception):
    """A ciphertext cannot be opened: wrong place, wrong key, damaged, or an unknown form."""


class BlobDamaged(Exception):
    """A stored object is not what was written: truncated, reordered, altered, or of another tenant."""


class BlobNotFound(Exception):
    """No object is stored under that key."""
