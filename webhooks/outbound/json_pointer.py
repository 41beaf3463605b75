"""Where something stands in a document.

Source: RFC 6901, section 3 (the escapes of a reference token).
"""

_LONGEST_NAME = 80


def point(where: str, name: str) -> str:
    """The pointer `where`, one step deeper. A very long name is cut: it is shown, not followed."""
    return f"{where}/{name[:_LONGEST_NAME].replace('~', '~0').replace('/', '~1')}"
