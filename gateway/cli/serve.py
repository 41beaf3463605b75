"""`countersign serve`: HTTP with granian, on loopback unless told otherwise.

Must not open services in this process: the server forks its workers, and native threads do not survive a fork.
"""

import argparse
import os
import signal
import subprocess
import sys

from config.errors import ConfigError
from config.processes import free_port
from config.settings import Settings
from config.settings_rules import is_default_connection
from config.settings_source import load_settings

_GRACE_S = 15


def serve(options: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT; requests in flight are finished first."""
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    settings = load_settings()
    if settings.uses_embedded_stores:
        raise ConfigError(
            "DATABASE_URL, DATABASE_OWNER_URL, DATABASE_HUB_URL and REDIS_URL are not set; set them, or run"
            " `countersign up`, which brings its own stores."
        )
    adopt_default_connections(settings)
    host, port = options.host or settings.http.host, settings.http.port
    if options.port is not None:
        port = options.port
    if port == 0:
        port = free_port()
    workers = settings.http.workers if options.workers is None else options.workers
    if workers < 1 or not 0 < port < 65_536:
        raise ConfigError("--workers is at least 1, --port at most 65535.")
    print(f"countersign serves http://{host}:{port}", file=sys.stderr, flush=True)
    # A worker may be waiting for a provider: it is killed only after every deadline has passed.
    longest_s = max(settings.provider.total_timeout_s, settings.dispatch.deadline_s, settings.http.grace_s)
    _let_new_workers_be_stopped()
    try:
        Server(
            "gateway.app:from_environment",
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            workers=workers,
            factory=True,
            websockets=False,
            log_level=LogLevels.warning,
            workers_kill_timeout=int(longest_s) + _GRACE_S,
            process_name=None,
        ).serve()
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"http://{host}:{port} cannot be served: {error}; is the port taken?") from error
    return 0


def _let_new_workers_be_stopped() -> None:
    """A worker inherits the master's handlers, which only set the master's flags: until its own are set, a
    signal that came while it loads would be lost, and the stop would last until the kill time-out.
    """

    def reset() -> None:
        for which in (signal.SIGTERM, signal.SIGINT):
            signal.signal(which, signal.SIG_DFL)

    os.register_at_fork(after_in_child=reset)


def adopt_default_connections(settings: Settings) -> None:
    """Makes the connections that DOCUSIGN_ and ADOBESIGN_ settings describe, in a process of its own."""
    if not (is_default_connection(settings.docusign) or is_default_connection(settings.adobesign)):
        return
    made = subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "provider", "adopt"], stdout=sys.stderr, check=False
    )
    if made.returncode != 0:
        raise ConfigError("the default connections could not be made; the reason stands above.")
