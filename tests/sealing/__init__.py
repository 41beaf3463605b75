"""Sealing: stamps, signatures, timestamps, certificates of completion, and what happens when one is missing."""
