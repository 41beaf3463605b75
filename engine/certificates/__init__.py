"""The certificate store: certificates that sign and seal, their keys or the way to them, and their ends."""
