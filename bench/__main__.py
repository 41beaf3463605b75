"""Runs every benchmark in this folder, each in a process of its own, and prints one JSON line each.

A benchmark is a module with a `main()` that prints one JSON object on `--json`. The exit status is 1 when a
target was missed or a benchmark failed.
"""

import json
import pkgutil
import subprocess
import sys

import bench

_NOT_BENCHMARKS = {"kit", "__main__"}
_TIMEOUT_S = 900  # the open loops run for minutes by themselves


def main() -> int:
    names = sorted(
        module.name
        for module in pkgutil.iter_modules(bench.__path__)
        if module.name not in _NOT_BENCHMARKS and not module.name.startswith("_") and not module.ispkg
    )
    return max((_run(name) for name in names), default=0)


def _run(name: str) -> int:
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"bench.{name}", "--json"],
            stdout=subprocess.PIPE,
            timeout=_TIMEOUT_S,
            check=False,
        )
        report = json.loads(done.stdout)
    except (ValueError, subprocess.TimeoutExpired) as error:
        report = {"bench": name, "ok": False, "error": f"{type(error).__name__}: {error}"[:500]}
    print(json.dumps(report), flush=True)
    return 0 if report.get("ok") is True else 1


if __name__ == "__main__":
    sys.exit(main())
