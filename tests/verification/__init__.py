"""Verification of signed files: what is noticed, what is said, and what a hostile file cannot do."""
