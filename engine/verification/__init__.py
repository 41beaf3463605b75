"""Verification: what a signed PDF's signatures are worth, in facts, in a verdict, and in words."""
