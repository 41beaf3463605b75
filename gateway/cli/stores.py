"""The stores that a command works on: those of the settings, those of a running `countersign up`, or the
embedded ones, started for as long as the command takes.

`up` keeps the URLs of its stores in a file that only its user can read, and takes it away when it ends.
"""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from config.embedded import EmbeddedStores
from config.errors import ConfigError
from config.logging import configure_logging
from config.processes import FolderLock
from config.secret import Secret
from config.settings import Settings
from config.settings_source import load_settings
from gateway.composition import open_services
from gateway.migrations.run import migrate
from gateway.services import Services

LOOPBACK = ("127.0.0.1:*", "localhost:*")
_RUNNING, _BASE_URL = "running.json", "public_base_url"
_Result = TypeVar("_Result")
URL_VARIABLES = {
    "database_url": "DATABASE_URL",
    "database_owner_url": "DATABASE_OWNER_URL",
    "database_hub_url": "DATABASE_HUB_URL",
    "redis_url": "REDIS_URL",
}


@asynccontextmanager
async def reach_stores(settings: Settings) -> AsyncIterator[Settings]:
    """The settings with the URLs of stores that run. Embedded ones are migrated; others are left as they are."""
    if not settings.uses_embedded_stores:
        yield settings
        return
    folder = settings.countersign.data_dir
    # The embedded stores are development's, and so are the sandboxes that their connections lead to.
    settings = with_loopback(settings)
    running = _read_running(folder)
    if running is not None:
        general = msgspec.structs.replace(
            settings.countersign, public_base_url=running.pop(_BASE_URL).reveal()
        )
        yield with_urls(msgspec.structs.replace(settings, countersign=general), **running)
        return
    async with EmbeddedStores(folder) as stores:
        await migrate(stores.database_owner_url)
        yield on_stores(settings, stores)


@asynccontextmanager
async def reach_services(settings: Settings | None = None) -> AsyncIterator[Services]:
    """Services for one command."""
    configure_logging("error")
    async with (
        reach_stores(settings or load_settings()) as reached,
        open_services(reached, name="countersign command") as services,
    ):
        yield services


async def with_services(work: Callable[[Services], Awaitable[_Result]]) -> _Result:
    async with reach_services() as services:
        return await work(services)


def on_stores(settings: Settings, stores: EmbeddedStores) -> Settings:
    return with_urls(settings, **{name: getattr(stores, name) for name in URL_VARIABLES})


def with_urls(
    settings: Settings,
    *,
    database_url: Secret,
    database_owner_url: Secret,
    database_hub_url: Secret,
    redis_url: Secret,
) -> Settings:
    return msgspec.structs.replace(
        settings,
        database=msgspec.structs.replace(
            settings.database, url=database_url, owner_url=database_owner_url, hub_url=database_hub_url
        ),
        redis=msgspec.structs.replace(settings.redis, url=redis_url),
    )


def with_loopback(settings: Settings) -> Settings:
    """The guards of outgoing calls let this machine's own addresses pass."""
    listed = tuple(dict.fromkeys((*settings.countersign.loopback_allow_list, *LOOPBACK)))
    general = msgspec.structs.replace(settings.countersign, loopback_allow_list=listed)
    return msgspec.structs.replace(settings, countersign=general)


def announce_running(folder: Path, settings: Settings) -> Path:
    """Keeps where the stores are, for the commands of the same user, until the file is removed."""
    path = folder / _RUNNING
    urls = {name: url.reveal() for name, url in urls_of(settings).items()}
    write_private(path, json.dumps({**urls, _BASE_URL: settings.countersign.public_base_url}))
    return path


def urls_of(settings: Settings) -> dict[str, Secret]:
    """The stores that the settings name, by the names in URL_VARIABLES."""
    urls = {
        "database_url": settings.database.url,
        "database_owner_url": settings.database.owner_url,
        "database_hub_url": settings.database.hub_url,
        "redis_url": settings.redis.url,
    }
    return {name: url for name, url in urls.items() if url is not None}


def write_private(path: Path, text: str) -> None:
    """Replaces the file as a whole; only its owner can read it."""
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as written:
        written.write(text)
    unfinished.rename(path)


def running_base_url(folder: Path) -> str | None:
    """Where the `countersign up` that runs on the folder is reached; None when none does."""
    running = _read_running(folder)
    return None if running is None else running[_BASE_URL].reveal()


def _read_running(folder: Path) -> dict[str, Secret] | None:
    """None when nothing runs on the folder; a file that a killed process left does not count."""
    path = folder / _RUNNING
    if not path.exists() or not _is_locked(folder):
        return None
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {name: Secret(kept[name]) for name in (*URL_VARIABLES, _BASE_URL)}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{path} cannot be read; is it another user's `countersign up`?") from error


def _is_locked(folder: Path) -> bool:
    lock = FolderLock(folder)
    try:
        lock.take()
    except ConfigError:
        return True
    lock.release()
    return False
