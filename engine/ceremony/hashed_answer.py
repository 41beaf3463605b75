"""Access codes and answers to questions: kept as argon2id hashes, compared by hashing again.

An answer is normalised first, so that case, accents' spelling and spaces do not decide; an access code is taken as
it was told, without the spaces around it. Must never log or keep the text.
Source: RFC 9106; OWASP Password Storage Cheat Sheet (argon2id with 19 MiB, t=2, p=1).
"""

import asyncio
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LONGEST = 200
_LONGEST_TYPED = 4 * LONGEST
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def normalise_answer(text: str) -> str:
    """Compatibility forms and case folded, spaces at the ends dropped, others made single; "" of what is far too
    long: folding it would keep everybody waiting.
    """
    if len(text) > _LONGEST_TYPED:
        return ""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def is_empty_answer(text: str) -> bool:
    """Whether nothing is left when it is normalised."""
    return not normalise_answer(text)


def normalise_code(text: str) -> str:
    """As it was told, without the spaces around it; "" of what is far too long."""
    if len(text) > _LONGEST_TYPED:
        return ""
    return unicodedata.normalize("NFKC", text).strip()


async def hash_text(normalised: str) -> str:
    """About 20 ms of computing, off the event loop."""
    return await asyncio.to_thread(_hasher.hash, normalised.encode("utf-8", "surrogatepass"))


async def is_text(hashed: str, normalised: str) -> bool:
    """Whether the hash was made of this text. A hash that cannot be read was made of none."""
    return await asyncio.to_thread(_verify, hashed, normalised[:LONGEST])


def _verify(hashed: str, normalised: str) -> bool:
    try:
        return _hasher.verify(hashed, normalised.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False
