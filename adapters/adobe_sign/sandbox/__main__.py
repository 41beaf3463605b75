"""`python -m adapters.adobe_sign.sandbox`: start the sandbox. Flags only; the work is in server.py."""

import argparse
import asyncio
import ipaddress
import os
import sys
from pathlib import Path

from adapters.adobe_sign.sandbox.keeper import StateUnreadableError
from adapters.adobe_sign.sandbox.options import Options
from adapters.adobe_sign.sandbox.server import PortTakenError, serve


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal; 2 for a start that cannot be made."""
    parser = argparse.ArgumentParser(prog="adobe-sign sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--state-dir", type=Path, help="keep agreements here between runs")
    parser.add_argument("--json", action="store_true", help="the ready line only, nothing on standard error")
    parser.add_argument(
        "--webhook-allow",
        action="append",
        default=[],
        metavar="HOST",
        help="a host that webhooks may lead to over http and on any port (development only)",
    )
    parser.add_argument(
        "--user", action="append", default=[], metavar="EMAIL", help="a further user of the account"
    )
    parser.add_argument("--processing-seconds", type=float, default=Options().processing_s)
    parser.add_argument("--index-lag-seconds", type=float, default=0.0)
    parser.add_argument("--upload-limit-bytes", type=int, default=Options().upload_limit_bytes)
    chosen = parser.parse_args(arguments)
    if not _is_loopback(chosen.host):
        parser.error("the sandbox listens on loopback only: its control API has no authentication")
    options = Options(
        processing_s=chosen.processing_seconds,
        index_lag_s=chosen.index_lag_seconds,
        upload_limit_bytes=chosen.upload_limit_bytes,
        webhook_allow=chosen.webhook_allow,
        users=chosen.user,
    )
    if not chosen.json:
        sys.stderr.write("Acrobat Sign SANDBOX: development only, nothing signed here is a signature.\n")
    try:
        asyncio.run(serve(options, chosen.host, chosen.port, chosen.state_dir))
    except (PortTakenError, StateUnreadableError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    exit_code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # The server's threads may outlive the interpreter by a moment and then abort the process (seen once in
    # thirty stops); everything is saved and closed here already.
    os._exit(exit_code)
