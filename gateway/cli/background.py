"""`countersign deliverer | worker | scheduler`: the processes beside HTTP. They stop in order on SIGTERM."""

import argparse
import asyncio
import importlib
import inspect
import signal
from collections.abc import Callable
from typing import Any, cast

from config.errors import ConfigError
from config.logging import configure_logging
from config.settings import Settings
from config.settings_source import load_settings


def deliverer(_: argparse.Namespace) -> int:
    return _run("gateway.deliverer")


def worker(_: argparse.Namespace) -> int:
    return _run("gateway.jobs.worker")


def scheduler(_: argparse.Namespace) -> int:
    return _run("gateway.jobs.scheduler")


def _run(module: str) -> int:
    settings = load_settings()
    if settings.uses_embedded_stores:
        raise ConfigError(
            "DATABASE_HUB_URL and REDIS_URL are not set; set them, or run `countersign up`, which starts"
            " every process and its own stores."
        )
    configure_logging(str(settings.countersign.log_level))
    # The modules are looked up by name: this one names three, and a command loads one.
    run = cast("Callable[..., Any]", importlib.import_module(module).run)
    if inspect.iscoroutinefunction(run):
        asyncio.run(_until_told(run, settings))
    else:
        run(settings)
    return 0


async def _until_told(run: Callable[..., Any], settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, stop.set)
    await run(settings, stop=stop)
