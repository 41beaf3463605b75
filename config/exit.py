"""Ends a short-lived process without the interpreter's clean-up.

The blob store's native threads can abort the process while the interpreter shuts down (seen in about one of
ten short runs), which turns a success into a crash report. Call it last, when everything is closed: nothing
that is registered with atexit runs.
"""

import os
import sys
from typing import NoReturn


def exit_now(status: int) -> NoReturn:
    """Flushes what was printed and leaves with `status`."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # the reader went first: there is nobody left to tell
            status = status or 1
    os._exit(status)
