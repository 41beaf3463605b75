"""Ways into a ceremony: links, sessions, codes, answers, checks of identity and locks, on real PostgreSQL."""
