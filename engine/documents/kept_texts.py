"""Keeps the texts of documents that were read last: stored bytes never change under their key.

A reader who asks again and again must not take the examiners away from those who upload.
"""

from collections import OrderedDict
from uuid import UUID

_MOST_LETTERS = 8_000_000


class Texts:
    """The texts that were read last, of at most `most` letters in all."""

    def __init__(self, most: int = _MOST_LETTERS) -> None:
        self._most = most
        self._letters = 0
        self._kept: OrderedDict[tuple[UUID, str], tuple[str, ...]] = OrderedDict()

    def find(self, tenant_id: UUID, blob_key: str) -> tuple[str, ...] | None:
        found = self._kept.get((tenant_id, blob_key))
        if found is not None:
            self._kept.move_to_end((tenant_id, blob_key))
        return found

    def keep(self, tenant_id: UUID, blob_key: str, texts: tuple[str, ...]) -> None:
        if (tenant_id, blob_key) in self._kept or _letters(texts) > self._most:
            return
        self._kept[tenant_id, blob_key] = texts
        self._letters += _letters(texts)
        while self._letters > self._most:
            self._letters -= _letters(self._kept.popitem(last=False)[1])


def _letters(texts: tuple[str, ...]) -> int:
    return sum(map(len, texts)) + len(texts)
