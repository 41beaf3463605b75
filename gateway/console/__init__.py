"""Pages for the people who run things: a tenant's webhook portal, in the one style that consoles share."""
