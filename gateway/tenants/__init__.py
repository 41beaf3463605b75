"""Tenants and what is theirs: users, API keys, connections to providers, and the switch between them."""
