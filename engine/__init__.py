"""The internal signing engine. Now: facts about pages that every provider needs; the ceremony comes later."""
