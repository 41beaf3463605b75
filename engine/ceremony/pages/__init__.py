"""The ceremony's pages: templates, words in two languages, style and scripts, and what was vendored for them."""
