"""The ceremony: link, session, authentication, consent, fields, finish; and its pages."""
