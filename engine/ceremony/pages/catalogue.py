"""The pages' words, in `locales/`."""

from pathlib import Path

from engine.ceremony.pages.wording import Wording

_WORDING = Wording(Path(__file__).with_name("locales"))
words = _WORDING.words
say = _WORDING.say
has = _WORDING.has
placeholders = _WORDING.placeholders
section = _WORDING.section
