"""Envelopes: one use case, one file, one public function."""
