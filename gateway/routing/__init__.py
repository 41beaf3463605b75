"""Which of a tenant's connections an envelope goes to; decided once, stored with its reason, then pinned."""
