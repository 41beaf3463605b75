"""`python -m engine.development`: mail, text messages, identity and authority for development, until a signal."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from config.errors import ConfigError
from config.settings_source import load_settings
from engine.development.server import serve


def main(arguments: list[str] | None = None) -> int:
    """2 for a start that cannot be made."""
    parser = argparse.ArgumentParser(prog="development services", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of the pages; 0 takes a free one")
    parser.add_argument("--smtp-port", type=int, default=0, help="of the mail server; 0 takes a free one")
    parser.add_argument("--folder", type=Path, help="the data folder: the authority keeps its keys in it")
    parser.add_argument("--json", action="store_true", help="the ready line only, nothing on standard error")
    chosen = parser.parse_args(arguments)
    try:
        settings = load_settings()
        folder = (chosen.folder or settings.countersign.data_dir).absolute()
        if not chosen.json:
            sys.stderr.write(
                "DEVELOPMENT services: nothing is delivered, nothing sealed here has legal effect.\n"
            )
        asyncio.run(serve(folder, chosen.port, chosen.smtp_port, settings.countersign.mode))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
