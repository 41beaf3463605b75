"""The language of Countersign: envelopes, statuses, events, capabilities and errors.

Everything above speaks these words and no provider's. Must never do I/O or know a library beyond msgspec.
"""
