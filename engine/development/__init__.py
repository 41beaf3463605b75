"""Services of the outside world for development: each warns loudly and refuses production."""
