"""Where a tenant may embed the ceremony, and where it may lead back to: exact lists, set by an administrator.

An origin is https and one host, without a pattern; loopback and plain http pass through the development
allow-list only. Must never widen what a link was made with: the list is asked when the link is made.
"""

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from config.database import Transaction
from normalizer.errors import Finding, ValidationFailed

MOST_ENTRIES = 100
_LONGEST_URL = 1000


class EmbeddingLists(msgspec.Struct, frozen=True):
    """Both sorted."""

    origins: tuple[str, ...]
    return_urls: tuple[str, ...]


async def load_embedding(tx: Transaction, tenant_id: UUID) -> EmbeddingLists:
    origins = await tx.driver.fetch(
        "SELECT origin FROM embedding_origins WHERE tenant_id = $1 ORDER BY origin", tenant_id
    )
    urls = await tx.driver.fetch("SELECT url FROM return_urls WHERE tenant_id = $1 ORDER BY url", tenant_id)
    return EmbeddingLists(tuple(row["origin"] for row in origins), tuple(row["url"] for row in urls))


async def save_embedding(tx: Transaction, tenant_id: UUID, lists: EmbeddingLists) -> None:
    """The lists are these from now on; links that were made already keep theirs."""
    await tx.driver.execute("DELETE FROM embedding_origins WHERE tenant_id = $1", tenant_id)
    await tx.driver.execute("DELETE FROM return_urls WHERE tenant_id = $1", tenant_id)
    await tx.driver.execute(
        "INSERT INTO embedding_origins (tenant_id, origin) SELECT $1, unnest($2::text[])",
        tenant_id,
        list(lists.origins),
    )
    await tx.driver.execute(
        "INSERT INTO return_urls (tenant_id, url) SELECT $1, unnest($2::text[])",
        tenant_id,
        list(lists.return_urls),
    )


async def check_embedding(
    tx: Transaction, tenant_id: UUID, origins: Sequence[str], return_url: str
) -> tuple[str, ...]:
    """The origins, each once. Raises ValidationFailed for whatever is not on the tenant's lists exactly."""
    lists = await load_embedding(tx, tenant_id)
    faults = [
        Finding(f"/origins/{number}", "This origin is not on the tenant's list.", _ASK)
        for number, origin in enumerate(origins)
        if origin not in lists.origins
    ]
    if return_url and return_url not in lists.return_urls:
        faults.append(
            Finding("/return_url", "This address is not on the tenant's list, letter by letter.", _ASK)
        )
    if faults:
        raise ValidationFailed(
            "The link would lead where the tenant does not allow it.", tuple(faults), code="embedding_refused"
        )
    return tuple(dict.fromkeys(origins))


def find_embedding_faults(lists: EmbeddingLists, loopback_allow_list: Iterable[str]) -> tuple[Finding, ...]:
    """Everything wrong with what an administrator wants to allow."""
    loopback = tuple(loopback_allow_list)
    faults = [
        Finding(
            f"/origins/{number}", problem, "Write https://host or https://host:port, one host, no pattern."
        )
        for number, origin in enumerate(lists.origins)
        if (problem := _origin_problem(origin, loopback))
    ]
    faults.extend(
        Finding(f"/return_urls/{number}", problem, "Write the whole https address.")
        for number, url in enumerate(lists.return_urls)
        if (problem := _url_problem(url, loopback))
    )
    for name, entries in (("origins", lists.origins), ("return_urls", lists.return_urls)):
        if len(entries) > MOST_ENTRIES or len(set(entries)) != len(entries):
            faults.append(Finding(f"/{name}", f"At most {MOST_ENTRIES} entries, each once."))
    return tuple(faults)


def _origin_problem(origin: str, loopback: Sequence[str]) -> str:
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return "This is no origin."
    host = parts.hostname or ""
    written = f"[{host}]" if ":" in host else host
    expected = f"{parts.scheme}://{written}" + (f":{port}" if port is not None else "")
    if origin != expected or not _is_plain(written):
        return "This is no origin."
    return "" if _is_safe(parts.scheme, host, port, loopback) else "An origin is https."


def _url_problem(url: str, loopback: Sequence[str]) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "This is no web address."
    if not parts.hostname or parts.username is not None or parts.fragment or len(url) > _LONGEST_URL:
        return "This is no web address, or has a user or a fragment."
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        return "A web address has no spaces or control characters."
    return "" if _is_safe(parts.scheme, parts.hostname, port, loopback) else "The address is not https."


def _is_plain(host: str) -> bool:
    """Letters, digits, dots and hyphens, or an address in brackets: no pattern and nothing that ends a header."""
    return bool(host) and all(letter.isascii() and (letter.isalnum() or letter in ".-[]:") for letter in host)


def _is_safe(scheme: str, host: str, port: int | None, loopback: Sequence[str]) -> bool:
    if scheme == "https" and host not in _LOOPBACK:
        return True
    if scheme not in {"http", "https"}:
        return False
    written = f"[{host}]" if ":" in host else host
    return f"{written}:{port or (443 if scheme == 'https' else 80)}" in loopback or f"{written}:*" in loopback


_ASK = "Use an entry of the list, or ask an administrator to add it."
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
