"""Documents: what a PDF is made of, before anybody signs it."""
