"""The development services."""
