"""The certificate store: what comes in, what never comes out, and what signs."""
