"""What benchmarks share: stores of their own, interleaved runs, medians, and one way of printing.

Two things that are compared run alternately in one process on one machine, and only their ratio is judged:
absolute figures say more about the machine. Must never assert an absolute figure.
"""

import asyncio
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from config.embedded import EmbeddedStores
from config.settings import DatabaseSettings, GeneralSettings, RedisSettings, Settings
from gateway.migrations.run import migrate

RUNS = 5


@contextmanager
def start_stores(*, valkey: bool = False) -> Iterator[EmbeddedStores]:
    """Migrated stores in a folder that is removed afterwards; durable, as in production."""
    folder = Path(tempfile.mkdtemp(prefix="countersign-bench-"))
    try:
        with EmbeddedStores(folder, valkey=valkey) as stores:
            asyncio.run(migrate(stores.database_owner_url))
            yield stores
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def settings_on(stores: EmbeddedStores) -> Settings:
    """The defaults, on these stores."""
    return msgspec.structs.replace(
        Settings(),
        countersign=GeneralSettings(data_dir=stores.data_dir),
        database=DatabaseSettings(
            url=stores.database_url, hub_url=stores.database_hub_url, owner_url=stores.database_owner_url
        ),
        redis=RedisSettings(url=stores.redis_url),
    )


async def measure_rate(work: Callable[[], Awaitable[object]], *, writers: int, seconds: float) -> float:
    """Calls per second of `work`, called again and again by so many tasks."""
    done = 0
    begin = time.perf_counter()
    stop = begin + seconds

    async def write() -> None:
        nonlocal done
        while time.perf_counter() < stop:
            await work()
            done += 1

    await asyncio.gather(*(write() for _ in range(writers)))
    return done / (time.perf_counter() - begin)


async def interleave(
    measures: Mapping[str, Callable[[], Awaitable[float]]], *, runs: int = RUNS, slices: int = 1
) -> dict[str, list[float]]:
    """`runs` figures of each; a run takes its measures in turns, `slices` times there and back.

    Short slices let a neighbour's load fall on all of them alike.
    """
    figures: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(runs):
        run: dict[str, list[float]] = {name: [] for name in measures}
        for place in range(slices):
            order = list(measures) if place % 2 == 0 else list(measures)[::-1]
            for name in order:
                run[name].append(await measures[name]())
        for name, values in run.items():
            figures[name].append(statistics.mean(values))
    return figures


async def until(
    holds: Callable[[], Awaitable[bool]], *, longest_s: float = 300.0, every_s: float = 0.05
) -> None:
    """Asks again and again, as nobody else does. Raises TimeoutError."""
    async with asyncio.timeout(longest_s):
        while not await holds():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(every_s)


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """The median of the ratios of runs that were made side by side."""
    return statistics.median(above / below for above, below in zip(numerators, denominators, strict=True))


def describe_machine() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
    }


def report(
    name: str, *, ratio: float, target: float, raw: Mapping[str, object], ok: bool | None = None
) -> int:
    """Prints the result; one JSON object with `--json`, lines for people without. 0 when the target is met."""
    met = ratio >= target if ok is None else ok
    result = {
        "bench": name,
        "ratio": round(ratio, 3),
        "target": target,
        "ok": met,
        **raw,
        "machine": describe_machine(),
    }
    if "--json" in sys.argv[1:]:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:28} {value}")
    return 0 if met else 1
