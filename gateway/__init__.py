"""The application: HTTP edge, use cases, CLI, processes and migrations. Everything is wired together here."""
