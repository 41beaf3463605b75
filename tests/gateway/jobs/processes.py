"""Workers and schedulers as processes of their own, on the test's stores."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from config.settings import Settings

_RUN = (
    "from config.settings_source import load_settings; from gateway.jobs.{0} import run; run(load_settings())"
)


class Processes:
    def __init__(self, settings: Settings) -> None:
        urls = {
            "DATABASE_URL": settings.database.url,
            "DATABASE_HUB_URL": settings.database.hub_url,
            "DATABASE_OWNER_URL": settings.database.owner_url,
            "REDIS_URL": settings.redis.url,
        }
        self._environment = {
            **os.environ,
            **{name: url.reveal() for name, url in urls.items() if url},
            "COUNTERSIGN_DATA_DIR": str(settings.countersign.data_dir),
            "COUNTERSIGN_INBOX_LEASE_S": "2",
        }
        self._log = Path(settings.countersign.data_dir) / "processes.log"
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, module: str) -> "subprocess.Popen[bytes]":
        """`worker` or `scheduler`."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _RUN.format(module)], env=self._environment, stdout=log, stderr=log
            )
        self._running.append(process)
        return process

    async def end(self, process: "subprocess.Popen[bytes]", within_s: float = 20.0) -> int:
        """Asks it to stop; its exit status."""
        process.terminate()
        return await asyncio.to_thread(process.wait, within_s)

    def stop_all(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait(10)
        if self._log.exists():
            print(self._log.read_text(errors="replace")[-8000:])  # shown when the test failed
