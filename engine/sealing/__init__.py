"""Sealing: a completed envelope's values become part of its documents, and a signature over all of it."""
