"""The ceremony from the link to the last page, over HTTP, on real stores."""
