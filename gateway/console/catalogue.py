"""The consoles' words, in `locales/`. English reasons why something has not arrived are the API's own
(webhooks/outbound/reason.py).
"""

from pathlib import Path
from typing import Final

from engine.ceremony.pages import wording
from webhooks.outbound.reason import ENGLISH

LANGUAGES: Final = wording.LANGUAGES
_REASONS = {f"reason.{word}": sentence for word, sentence in ENGLISH.items()}
_WORDING = wording.Wording(Path(__file__).with_name("locales"), _REASONS)
words = _WORDING.words
say = _WORDING.say
has = _WORDING.has
placeholders = _WORDING.placeholders
