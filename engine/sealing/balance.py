"""How a page's own operators leave the graphics state: how many q or Q its content lacks.

Content that restores more than it saved, or the other way round, would move or hide what is drawn after it.
Source: ISO 32000-2 section 8.4.2.
"""

import logging
import re

import pikepdf

logger = logging.getLogger("countersign.sealing")
_HAS_STATE = re.compile(rb"(?<![A-Za-z0-9*'\"])[qQ](?![A-Za-z0-9*'\"])")


def missing_saves(content: bytes) -> tuple[int, int]:
    """How many q to put before the content and how many Q behind it, so that both come out even."""
    if _HAS_STATE.search(content) is None:
        return 0, 0
    depth = lowest = 0
    try:
        with pikepdf.new() as scratch:
            for _, operator in pikepdf.parse_content_stream(pikepdf.Stream(scratch, content), "q Q"):
                depth += 1 if str(operator) == "q" else -1
                lowest = min(lowest, depth)
    except pikepdf.PdfError:
        # Readers show what they can read of such a page; so far the count is theirs too.
        logger.warning("a page's content cannot be read to its end; its saved states are counted so far")
    return -lowest, depth - lowest
