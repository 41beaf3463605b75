"""Notices: kept in the outbox, sent over a real SMTP server and a real HTTP server on loopback."""
