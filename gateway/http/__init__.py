"""The HTTP edge: who calls, how often, with which body; and errors as RFC 9457 problems. Thin controllers."""
