"""The tenants' webhook portal over HTTP."""
