"""The versions of the webhooks' form, oldest first; bodies are made in the last one."""

API_VERSIONS = ("2026-11-01",)
API_VERSION = API_VERSIONS[-1]
