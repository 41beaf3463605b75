"""`countersign sandbox <provider>`: becomes the provider's sandbox. Its flags are its own."""

import argparse
import os
import sys

from adapters.kit.registry import adapters
from config.errors import ConfigError


def sandbox(options: argparse.Namespace) -> int:
    """Replaces this process, so that signals and the exit status are the sandbox's."""
    wanted = options.provider.replace("_", "-")
    startable = {one: one.sandbox.module for one in adapters().values() if one.sandbox is not None}
    for adapter, module in startable.items():
        if wanted in {adapter.webhook_path, adapter.name.replace("_", "-")}:
            arguments = [one for one in options.arguments if one != "--"]
            sys.stdout.flush()
            os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606  (the module is a constant of the adapter)
    known = ", ".join(sorted(adapter.webhook_path for adapter in startable))
    raise ConfigError(f"there is no sandbox called {options.provider!r}; choose one of: {known}.")
