"""Checks of the house's own rules: what linters and types cannot say."""
