"""The demo's readable timeline: when, where, what, and how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class DemoFailed(Exception):
    """A step did not come to its end; the text names it and says what was seen instead."""


class Timeline:
    """`output` None: silent."""

    def __init__(self, output: TextIO | None) -> None:
        self._output = output
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @contextmanager
    def step(self, where: str, what: str) -> Iterator[list[str]]:
        """Prints one line when the step has ended well; what is put into the list is added to it."""
        begun = time.monotonic()
        added: list[str] = []
        yield added
        took = time.monotonic() - begun
        text = what + "".join(f" {one}" for one in added)
        self.say(f"{self.seconds:6.2f} s  {where:<14} {text}  [{took:.2f} s]")

    def say(self, text: str) -> None:
        if self._output is not None:
            print(text, file=self._output, flush=True)
