"""The hash-chained audit ledger: append, read, export, verify. Its verifier stands alone."""
