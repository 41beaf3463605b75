"""The database's schema and its history. Migrations run as the owner role; nothing here runs in a request."""
