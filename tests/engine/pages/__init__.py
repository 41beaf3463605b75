"""The ceremony's pages without a browser: words, files, colours, and what the templates make of each struct."""
