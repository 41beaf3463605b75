"""A tenant's own templates: documents, roles and fields, from which envelopes are made for any provider."""
