"""A deliverer as a process of its own, started from the environment as in production."""

import asyncio
import signal

from config.settings_source import load_settings
from gateway.deliverer import run


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run(load_settings(), stop=stop)


if __name__ == "__main__":
    asyncio.run(main())
