"""Providers: one folder each, found by name. Translation only: no database, queue or web framework."""
