"""Tests of what the signing engine does with documents before anybody signs."""
